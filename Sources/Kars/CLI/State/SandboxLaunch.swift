import KarsCore

/// Makes a sandbox on this machine from its record: directories, policy files, credentials, and the pod.
struct SandboxLaunch {
    let home: KarsHome
    let record: SandboxRecord

    private var directory: SandboxDirectory { home.sandbox(record.name) }

    /// Everything that this machine lacks, in one failure.
    func checkPrerequisites() throws(CommandFailure) {
        let problems = LocalPrerequisites.check()
        guard !problems.isEmpty else { return }
        throw CommandFailure(
            .usage, "this machine cannot run sandboxes yet:\n" + problems.map { "  \($0)" }.joined(separator: "\n"))
    }

    /// Starts the pod; policy files that exist are kept as they are. The record is written last, so that a sandbox which exists is
    /// whole; a start that fails midway removes what it made.
    func start(modelKey: Secret<String>?) async throws {
        let isNew = !directory.exists
        do {
            try Files.createDirectories(directory.path, mode: 0o700)
            let identity = try operatorIdentity()
            let plan = SandboxPod.plan(try spec(identity, modelKey))
            for configMap in plan.configMaps { try write(configMap) }
            var launch = PodLaunch(directory: directory.path, pod: plan.pod)
            launch.secrets = plan.secrets
            launch.loopbackPorts = loopbackPorts
            launch.hidden = [home.path]
            try await LocalSandbox(directory).start(launch)
            if isNew { try record.save(to: directory) }
        } catch {
            if isNew {
                try await LocalSandbox(directory).stop()
                try await LocalSandbox(directory).remove()
            }
            throw error
        }
    }

    /// Until router and agent answer.
    func waitUntilReady(within limit: Duration) async throws {
        let end = Instant.now().advanced(by: limit)
        let sandbox = LocalSandbox(directory)
        while true {
            switch try sandbox.readiness() {
            case .ready: return
            case .failed(let reason):
                throw CommandFailure(
                    .failed, "sandbox '\(record.name)' failed: \(reason)",
                    advice: "`kars logs \(record.name)` shows what its containers wrote.")
            case .starting(let reason):
                guard Instant.now() < end else {
                    throw CommandFailure(
                        .failed, "sandbox '\(record.name)' is not ready after \(limit.components.seconds) s: \(reason)",
                        advice: "`kars logs \(record.name)` shows what its containers wrote.")
                }
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// In place and whole, because the router of a running sandbox reads them.
    private func write(_ configMap: ConfigMap) throws {
        let path = directory.configMapPath(configMap.metadata.name)
        try Files.createDirectories(path, mode: 0o755)
        for (name, content) in configMap.data {
            try AtomicFile.write(Array(content.utf8), to: "\(path)/\(name)", mode: 0o644)
        }
    }

    private func operatorIdentity() throws -> OperatorIdentity {
        if Files.exists(directory.operatorPath) { return try OperatorIdentity.load(from: directory) }
        let identity = try OperatorIdentity.issue()
        try identity.save(to: directory)
        return identity
    }

    private func spec(_ identity: OperatorIdentity, _ modelKey: Secret<String>?) throws -> SandboxSpec {
        let runtime: SandboxRuntime =
            switch record.runtime {
            case .native: .native
            case .byo: .byo(image: nil, command: record.command, arguments: [])
            }
        var spec = SandboxSpec(
            name: record.name, runtime: runtime, model: record.model,
            provider: SandboxSpec.ModelBackend(kind: record.provider.rawValue, endpoint: record.endpoint),
            secrets: RouterSecretContent(
                adminToken: Secret(Array(identity.access.token.reveal().utf8)),
                tlsCertificate: Secret(identity.access.certificatePEM),
                tlsKey: identity.privateKeyPEM, modelKey: modelKey.map { Secret(Array($0.reveal().utf8)) }))
        spec.placement = .laptop(
            SandboxSpec.LaptopPlacement(
                workspace: directory.workspacePath, routerState: directory.routerStatePath, loopbackPorts: loopbackPorts))
        spec.dailyTokenBudget = record.dailyTokenBudget
        spec.policies = try policies()
        return spec
    }

    /// A model server on this machine's own loopback is reached through a port of the same number inside.
    private var loopbackPorts: [UInt16] {
        // An endpoint that cannot be read was refused when the record was made.
        guard let endpoint = record.endpoint, let url = try? HTTPURL(parsing: endpoint) else { return [] }
        return ["127.0.0.1", "::1", "localhost"].contains(url.host) ? [url.port] : []
    }

    /// The preset for a new sandbox; for an existing one what its files say now, edits included.
    private func policies() throws -> SandboxPolicies {
        guard let preset = PolicyPreset(rawValue: record.policy) else {
            throw CommandFailure(.failed, "the record of '\(record.name)' names the unknown policy '\(record.policy)'")
        }
        var policies = SandboxPolicies()
        if directory.exists {
            let files = try PolicyFiles(in: directory)
            policies.profiles = ["agt-profile.yaml": files.profile]
            policies.allowlist = String(decoding: EgressRule.document(files.allowlist.rules), as: UTF8.self)
        } else {
            policies.profiles = ["agt-profile.yaml": preset.profile(agent: record.name)]
            policies.allowlist = String(decoding: preset.allowlist, as: UTF8.self)
        }
        policies.inference = String(decoding: preset.inferencePolicy().json.encoded(), as: UTF8.self)
        return policies
    }
}
