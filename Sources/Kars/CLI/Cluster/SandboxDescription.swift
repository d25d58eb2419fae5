import KarsCore

/// How a KarsSandbox is, gathered from the cluster: what `kars status` prints.
struct SandboxDescription: Sendable {
    var sandbox: ClusterSandbox
    /// Nil when its InferencePolicy does not exist.
    var inference: InferencePolicy?
    /// Nil when it has none, for instance while suspended.
    var pod: JSONObject?
    /// The router's own words; nil when it does not answer, which is then said in `notes`.
    var router: JSON?
    var budget: JSON?
    var notes: [String] = []

    /// Reads everything; only a cluster that does not answer is a failure.
    static func gather(_ sandbox: ClusterSandbox) async throws -> SandboxDescription {
        var description = SandboxDescription(sandbox: sandbox)
        let policy = sandbox.sandbox.spec.inferenceRef.name
        if let object = try await sandbox.cluster.find(InferencePolicy.self, policy) {
            do throws(ResourceError) { description.inference = try InferencePolicy(reading: object) } catch {
                description.notes.append("InferencePolicy '\(policy)': \(error)")
            }
        } else {
            description.notes.append("InferencePolicy '\(policy)' does not exist")
        }
        do { description.pod = try await sandbox.pod() } catch let failure as CommandFailure {
            description.notes.append(failure.message)
        }
        guard sandbox.phase == "Running", sandbox.cluster.client != nil else { return description }
        do {
            let router = try await OperatorClient(to: sandbox)
            description.router = try await router.get("/status")
            description.budget = try await router.get("/budget")
        } catch let failure as CommandFailure {
            description.notes.append(failure.message)
        }
        return description
    }

    private struct ContainerState {
        var name: String
        var state: String
        var restarts: Int
    }

    private var containers: [ContainerState] {
        ["initContainerStatuses", "containerStatuses"].flatMap { pod?["status"]?[$0]?.arrayValue ?? [] }.map { status in
            let state = status["state"]?.objectValue?.members.first
            let reason = state?.value["reason"]?.stringValue
            return ContainerState(
                name: status["name"]?.stringValue ?? "?", state: reason ?? state?.key ?? "unknown",
                restarts: status["restartCount"]?.intValue ?? 0)
        }
    }

    func report() -> Report {
        let spec = sandbox.sandbox.spec, primary = inference?.spec.modelPreference?.primary
        var members: JSONObject = [
            "name": .string(sandbox.name), "phase": .string(sandbox.phase), "namespace": .string(sandbox.namespace),
            "runtime": .string(spec.runtime.kind.rawValue), "isolation": .string(spec.sandbox.isolation.rawValue),
        ]
        members["provider"] = primary.map { .string($0.provider.rawValue) }
        members["model"] = primary.map { .string($0.deployment) }
        members["policy"] = .string(spec.governance?.toolPolicyRef?.name ?? ToolPolicy.defaultName)
        members["inferencePolicy"] = .string(spec.inferenceRef.name)
        members["createdAt"] = sandbox.object.metadata["creationTimestamp"]
        members["reason"] = sandbox.explanation.map { .string($0) }
        var lines = members.members.compactMap { member in
            member.value.stringValue.map { Self.line(member.key, $0) }
        }
        members["conditions"] = sandbox.object["status"]?["conditions"] ?? []
        members["containers"] = .array(
            containers.map {
                ["name": .string($0.name), "state": .string($0.state), "restarts": .int($0.restarts)]
            })
        members["router"] = router
        members["budget"] = budget
        members["notes"] = .array(notes.map { .string($0) })
        lines += containers.map { Self.line("container", "\($0.name): \($0.state), \($0.restarts) restarts") }
        if let daily = budget?["daily"] {
            let limit = daily["limit"]?.intValue ?? 0
            lines.append(Self.line("tokens", "\(daily["used"]?.intValue ?? 0) today\(limit > 0 ? " of \(limit)" : "")"))
        }
        if let note = router?["note"]?.stringValue { lines.append(Self.line("note", note)) }
        lines += notes.map { Self.line("note", $0) }
        return Report(json: .object(members), text: lines.joined(separator: "\n"))
    }

    private static func line(_ label: String, _ value: String) -> String {
        label + String(repeating: " ", count: max(1, 17 - label.count)) + Terminal.safeLine(value)
    }
}
