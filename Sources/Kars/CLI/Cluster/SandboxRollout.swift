import KarsCore

/// Brings a bundle into a cluster and waits until the sandbox runs.
struct SandboxRollout: Sendable {
    let cluster: ClusterConnection
    let name: String

    /// How often the cluster is asked how far it is.
    private static let interval = Duration.milliseconds(100)
    /// Container states that do not end by waiting (spec/cli 7).
    static let hopeless: Set<String> = [
        "ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError",
        "CreateContainerError", "OOMKilled",
    ]

    func apply(_ bundle: SandboxBundle) async throws {
        for (resource, object) in bundle.objects { try await cluster.apply(resource, object) }
    }

    /// Keys and tokens, by the variable that the agent's container gets them in, and the model's key, each into the Secret that only
    /// the container mounts which is to have them.
    ///
    /// The controller makes the namespace; one that a command made would not be the controller's. It is waited for.
    func applyCredentials(
        _ values: [String: Secret<String>], modelKey: Secret<String>? = nil, within limit: Duration
    ) async throws {
        let namespace = try await wait(within: limit, "its namespace") { sandbox -> String? in
            guard let namespace = sandbox.sandbox.status.namespace else { return nil }
            return try await cluster.ask("looking for namespace \(namespace)") { api in
                try await api.objectIfPresent(.get(.namespaces, name: namespace)) == nil ? nil : namespace
            }
        }
        if !values.isEmpty { try await applySecret("\(name)-credentials", namespace: namespace, values) }
        if let modelKey {
            try await applySecret(
                SandboxObjectNames(sandbox: name).modelKeySecret, namespace: namespace, ["model-key": modelKey])
        }
    }

    private func applySecret(_ secret: String, namespace: String, _ values: [String: Secret<String>]) async throws {
        let data = values.sorted { $0.key < $1.key }.map { ($0.key, JSON.string(Base64.encode(Array($0.value.reveal().utf8)))) }
        try await cluster.apply(
            .secrets,
            [
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": [
                    "name": .string(secret), "namespace": .string(namespace), "labels": [SandboxBundle.label: .string(name)],
                ],
                "data": .object(JSONObject(data)),
            ])
    }

    /// Until the controller says that the pod serves.
    func waitUntilRunning(within limit: Duration) async throws {
        _ = try await wait(within: limit, "it to run") { sandbox -> Bool? in
            let status = sandbox.sandbox.status
            guard status.observedGeneration == sandbox.object.metadata["generation"]?.intValue else { return nil }
            switch status.phase {
            case .running: return true
            case .degraded, .failed:
                throw CommandFailure(
                    .failed, "sandbox '\(name)' is \(sandbox.phase): \(sandbox.explanation ?? "no reason was given")",
                    advice: "`kars status \(name)` and `kars logs \(name)` say more.")
            case .creating, .pending, nil:
                try await lookForTrouble(in: sandbox)
                return nil
            case .terminating, .overlay, .suspended: return nil
            }
        }
    }

    /// A container that will not start by itself ends the wait at once.
    private func lookForTrouble(in sandbox: ClusterSandbox) async throws {
        let selector = KarsCore.ListOptions(labelSelector: "\(SandboxBundle.label)=\(name)", limit: 100)
        let pods = try await cluster.ask("looking for the pods of '\(name)'") { api in
            try await api.list(.pods, namespace: sandbox.namespace, selector).items
        }
        for pod in pods where !pod.isBeingDeleted {
            guard let trouble = Self.trouble(of: pod) else { continue }
            throw CommandFailure(
                .failed, "sandbox '\(name)' cannot start: \(trouble)",
                advice: "`kars logs \(name)` shows what its containers wrote.")
        }
    }

    static func trouble(of pod: JSONObject) -> String? {
        for list in ["initContainerStatuses", "containerStatuses"] {
            for status in pod["status"]?[list]?.arrayValue ?? [] {
                let name = status["name"]?.stringValue ?? "?"
                let waiting = status["state"]?["waiting"], ended = status["state"]?["terminated"]
                let reason = waiting?["reason"]?.stringValue ?? ended?["reason"]?.stringValue ?? ""
                let restarts = status["restartCount"]?.intValue ?? 0
                guard hopeless.contains(reason) || (reason == "CrashLoopBackOff" && restarts >= 2) else { continue }
                let message = waiting?["message"]?.stringValue ?? ended?["message"]?.stringValue ?? ""
                return "container \(name) is in \(reason)\(message.isEmpty ? "" : ": \(message)")"
            }
        }
        return nil
    }

    /// Asks again and again until `step` gives a value.
    private func wait<Value>(
        within limit: Duration, _ what: String, _ step: (ClusterSandbox) async throws -> Value?
    ) async throws -> Value {
        let end = Instant.now().advanced(by: limit)
        while true {
            let sandbox = try await ClusterSandbox.existing(name, in: cluster)
            if let value = try await step(sandbox) { return value }
            guard Instant.now() < end else {
                throw CommandFailure(
                    .failed,
                    "sandbox '\(name)': waited \(limit.components.seconds) s for \(what); it is \(sandbox.phase)"
                        + (sandbox.explanation.map { " (\($0))" } ?? ""),
                    advice: "Does the controller run? `kars status \(name)` says more.")
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}
