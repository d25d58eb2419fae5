import KarsCore
import Synchronization

/// Whether the router can do its work, and why not: the answer to readiness probes and a part of status.
final class Health: Sendable {
    struct Readiness: Equatable, Sendable {
        /// What is missing, in words; ready when empty.
        var problems: [String]
        var isReady: Bool { problems.isEmpty }
    }

    private let pipeline: Pipeline
    private let config: RouterConfig
    private let isDraining = Atomic<Bool>(false)
    let started: Instant

    init(pipeline: Pipeline, config: RouterConfig, started: Instant = .now()) {
        self.pipeline = pipeline
        self.config = config
        self.started = started
    }

    func beginDraining() { isDraining.store(true, ordering: .sequentiallyConsistent) }

    var readiness: Readiness {
        var problems: [String] = []
        if isDraining.load(ordering: .relaxed) { problems.append("shutting down") }
        if pipeline.policies.current.profileDigest == nil {
            let reason = pipeline.policies.board[.profile]?.lastError ?? "none is mounted"
            problems.append("no policy profile is in force, so everything is denied: \(reason)")
        }
        if let problem = pipeline.evidenceProblem { problems.append("evidence cannot be written: \(problem)") }
        if config.provider.kind == .none { problems.append("no model provider is configured") }
        return Readiness(problems: problems)
    }

    /// What the agent may know about its own router: nothing that is not its own.
    var agentStatus: JSON {
        let policy = pipeline.policies.current
        return [
            "enabled": true, "governance_mode": "native", "sandbox": .string(config.sandbox),
            "provider": .string(config.provider.kind.rawValue), "model": .string(config.provider.model),
            "demo": .bool(config.provider.kind == .demo),
            "policy_loaded": .bool(policy.profileDigest != nil), "policy_rules": .int(policy.engine.ruleCount),
            "ready": .bool(readiness.isReady),
            "uptime_secs": .int(Int(Instant.now().duration(since: started).inSeconds)),
        ]
    }
}

extension Reply {
    func send(readiness: Health.Readiness) async {
        if readiness.isReady {
            await send(text: "ok")
        } else {
            await send(status: 503, text: readiness.problems.joined(separator: "\n"))
        }
    }
}
