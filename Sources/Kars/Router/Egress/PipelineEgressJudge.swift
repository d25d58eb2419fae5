import KarsCore

/// Records each decision about egress in the chain and counts it; a decision that cannot be recorded is a refusal.
///
/// Which hosts an agent may reach is decided by the egress policy alone. The profile speaks about what an agent wants to do
/// (`http_fetch` is asked for as `egress:URL` before it runs), not about connections; asking it again here would make an
/// operator's approval of a host worthless under a profile that does not mention it.
struct PipelineEgressJudge: EgressJudge {
    let pipeline: Pipeline

    func judge(_ attempt: EgressAttempt, proposed: Verdict) async -> Verdict {
        let action = pipeline.action(attempt.edge == .dns ? .dns : .egress, attempt.actionName)
        let policy = pipeline.policies.current
        switch proposed {
        case .allow(let rule):
            do throws(Refusal) { try pipeline.record(action, .success(Pipeline.Grant(rule: rule)), under: policy) } catch {
                return count(attempt, .refuse(error))
            }
            return count(attempt, proposed)
        case .refuse(let refusal):
            return count(attempt, .refuse(pipeline.recordRefusal(action, refusal, under: policy)))
        case .requiresApproval:
            return count(attempt, proposed)  // no egress rule asks for approval
        }
    }

    private func count(_ attempt: EgressAttempt, _ verdict: Verdict) -> Verdict {
        let edge: RouterMetrics.EgressEdge =
            switch attempt.edge {
            case .connect: .connect
            case .http: .http
            case .tls: .transparent
            case .dns: .dns
            }
        switch verdict {
        case .allow(let rule):
            pipeline.metrics.egressDecisions[edge, .allow, rule == "egress:learn" ? .learned : .allowlist].increment()
        case .refuse(let refusal): pipeline.metrics.egressDecisions[edge, .deny, Self.reason(refusal)].increment()
        case .requiresApproval: pipeline.metrics.egressDecisions[edge, .deny, .other].increment()
        }
        return verdict
    }

    private static func reason(_ refusal: Refusal) -> RouterMetrics.EgressReason {
        if refusal.stage == .perform { return .unresolved }
        let kind = refusal.rule?.split(separator: ":" as Character).dropFirst().first ?? ""
        switch kind {
        case "default-deny", "no-allowlist", "ip-literal", "denied", "approval": return .notInAllowlist
        case "blocklist", "high-risk-tld": return .blocklist
        case "address": return .privateAddress
        case "no-server-name", "encrypted-hello": return .noServerName
        case "server-name-mismatch", "port-mismatch": return .mismatch
        case "malformed-hello", "bad-host": return .malformed
        default: return .other
        }
    }
}
