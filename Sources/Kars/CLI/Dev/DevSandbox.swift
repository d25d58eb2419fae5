import KarsCore

/// The sandbox of `kars dev`: made when it is not there, left as it is when it is, and waited for until somebody can talk to it.
struct DevSandbox: Sendable {
    let name: String
    let cluster: ClusterConnection

    private static let interval = Duration.milliseconds(25)

    private var rollout: SandboxRollout { SandboxRollout(cluster: cluster, name: name) }

    /// Whether it was made now. One that exists and is something else than wished is a failure, not changed.
    func ensure(_ wish: SandboxBundle.Wish, modelKey: Secret<String>?) async throws -> Bool {
        let bundle = SandboxBundle(wish), faults = bundle.faults()
        guard faults.isEmpty else {
            throw CommandFailure(
                .usage, "the sandbox would be refused:\n" + faults.map { "  \(Terminal.safeLine($0))" }.joined(separator: "\n"),
                advice: "Nothing was sent.")
        }
        if let object = try await cluster.find(KarsSandbox.self, name) {
            try await compare(ClusterSandbox(object, in: cluster), with: bundle)
            if object["spec"]?["suspended"]?.boolValue == true {
                try await cluster.merge(KarsSandbox.self, name, ["spec": ["suspended": false]])
            }
            return false
        }
        guard let modelKey else {
            try await rollout.apply(bundle)
            return true
        }
        // The router gets the key when it starts: the sandbox rests until the Secret is there.
        var resting = wish
        resting.isSuspended = true
        try await rollout.apply(SandboxBundle(resting))
        try await rollout.applyCredentials([:], modelKey: modelKey, within: .seconds(30))
        try await cluster.apply(KarsSandbox.kind.resource, bundle.sandbox.object)
        return true
    }

    private func compare(_ existing: ClusterSandbox, with bundle: SandboxBundle) async throws {
        var differences: [String] = []
        let policy = try await cluster.find(InferencePolicy.self, existing.sandbox.spec.inferenceRef.name)
        let primary = policy?["spec"]?["modelPreference"]?["primary"], wished = bundle.inference.spec.modelPreference?.primary
        if primary?["provider"]?.stringValue != wished?.provider.rawValue { differences.append("provider") }
        if primary?["deployment"]?.stringValue != wished?.deployment { differences.append("model") }
        if existing.sandbox.spec.runtime.kind != bundle.sandbox.spec.runtime.kind { differences.append("runtime") }
        guard differences.isEmpty else {
            throw CommandFailure(
                .usage, "sandbox '\(name)' exists with another \(differences.joined(separator: ", "))",
                advice:
                    "`kars destroy \(name)` removes it first; `kars model set` changes its model; another --name makes a second one."
            )
        }
    }

    /// Until the controller says that it runs, and its router and the built-in agent answer. Of a cluster that has just come back, what
    /// the status says may be of yesterday.
    func waitUntilItAnswers(within limit: Duration) async throws -> ClusterSandbox {
        let end = Instant.now().advanced(by: limit)
        try await rollout.waitUntilRunning(within: limit)
        let sandbox = try await ClusterSandbox.existing(name, in: cluster)
        while true {
            do {
                _ = try await OperatorClient(to: sandbox).get("/status")
                if sandbox.sandbox.spec.runtime.kind == .native { try await AgentChat(to: sandbox).checkPresence() }
                return sandbox
            } catch let failure as CommandFailure {
                guard Instant.now() < end else { throw failure }
            }
            try await Task.sleep(for: Self.interval)
        }
    }
}
