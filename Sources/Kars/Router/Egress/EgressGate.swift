import KarsCore

/// Decides about one attempt, from its name to the addresses that may be contacted.
///
/// The order is fixed: egress policy by name, resolution once, every address vetted, then the pipeline. What comes back is
/// the only thing a driver may connect to; it never resolves again, so that a name cannot change its mind between the check
/// and the connection.
final class EgressGate: Sendable {
    struct Config: Sendable {
        var addresses = AddressPolicy()
        /// Addresses kept of one answer.
        var maxAddresses = 16
        /// Names under these are asked for by resolvers on their own (search domains, reverse look-ups): their refusals are
        /// recorded, but do not wait for an operator.
        var quietSuffixes = ["in-addr.arpa", "ip6.arpa", "cluster.local"]
    }

    /// A decision to allow: what may be contacted.
    struct Route: Equatable, Sendable {
        var rule: String
        /// Vetted, at least one, in the order in which to try them.
        var addresses: [IPAddress]
    }

    typealias Resolve = @Sendable (String) async throws -> [IPAddress]

    let control: EgressControl
    private let config: Config
    private let resolve: Resolve
    private let judge: any EgressJudge
    private let clock: @Sendable () -> UTCTime

    init(
        control: EgressControl, config: Config = Config(), judge: any EgressJudge,
        resolve: @escaping Resolve = { try await Resolver.shared.resolve($0) },
        clock: @escaping @Sendable () -> UTCTime = UTCTime.now
    ) {
        self.control = control
        self.config = config
        self.judge = judge
        self.resolve = resolve
        self.clock = clock
    }

    /// Whether, and to which addresses, a connection for `attempt` may be made.
    func route(_ attempt: EgressAttempt, to host: Host) async -> Result<Route, Refusal> {
        let now = clock()
        let decision =
            switch host {
            case .name(let name) where attempt.edge == .dns: control.decideName(name, now: now)
            default: control.decide(host, port: attempt.port, now: now)
            }
        let rule: String
        switch decision {
        case .allow(let name): rule = name
        case .learn: rule = "egress:learn"
        case .refuse(let refusal): return .failure(await refuse(attempt, refusal))
        }
        let addresses: [IPAddress]
        switch await vetted(host) {
        case .success(let found): addresses = found
        case .failure(let refusal): return .failure(await refuse(attempt, refusal))
        }
        switch await judge.judge(attempt, proposed: .allow(rule: rule)) {
        case .allow(let rule):
            if decision == .learn, attempt.edge != .dns, case .name(let name) = host {
                control.noteLearned(name, port: attempt.port, now: now)
            }
            if attempt.edge != .dns { control.noteUse(of: rule) }
            return .success(Route(rule: rule, addresses: addresses))
        case .refuse(let refusal):
            note(attempt, refusal, now: now)
            return .failure(refusal)
        case .requiresApproval(let rule, let minimum):
            let refusal = Self.approvalRequired(rule, minimum)
            note(attempt, refusal, now: now)
            return .failure(refusal)
        }
    }

    /// Records a refusal that an edge, the policy or the resolution arrived at; what comes back is to be told to the client.
    func refuse(_ attempt: EgressAttempt, _ refusal: Refusal) async -> Refusal {
        let verdict = await judge.judge(attempt, proposed: .refuse(refusal))
        let final: Refusal
        switch verdict {
        case .refuse(let other): final = other
        case .allow: final = refusal  // a judge cannot overrule
        case .requiresApproval(let rule, let minimum): final = Self.approvalRequired(rule, minimum)
        }
        note(attempt, final, now: clock())
        return final
    }

    private func note(_ attempt: EgressAttempt, _ refusal: Refusal, now: UTCTime) {
        // What the machine could not do is no destination that waits for an operator.
        guard refusal.stage == .policy || refusal.stage == .approval, let host = attempt.host, !isQuiet(attempt) else { return }
        control.noteRefused(host, port: attempt.port, rule: refusal.rule ?? refusal.code, now: now)
    }

    private func isQuiet(_ attempt: EgressAttempt) -> Bool {
        guard attempt.edge == .dns, case .name(let name) = attempt.host else { return false }
        return config.quietSuffixes.contains { suffix in name.text == suffix || name.parents.contains { $0 == suffix } }
    }

    /// The addresses of `host` that may be contacted, resolved once; a refusal when there is none.
    private func vetted(_ host: Host) async -> Result<[IPAddress], Refusal> {
        let found: [IPAddress]
        switch host {
        case .address(let address): found = [address]
        case .name(let name):
            do { found = try await resolve(name.text) } catch let error as Resolver.Failure where error == .notFound(name.text) {
                return .failure(Self.unresolved("dns_not_found", "\(name) does not exist"))
            } catch {
                return .failure(Self.unresolved("dns_failed", "\(name) could not be resolved: \(error)"))
            }
        }
        var addresses: [IPAddress] = []
        var refusal: Refusal?
        for address in found.prefix(config.maxAddresses) {
            if let kind = config.addresses.refusal(of: address) {
                refusal =
                    refusal
                    ?? EgressPolicy.refusal(
                        "egress:address:\(kind)",
                        "\(host) is not in allowlist as \(address): \(kind) addresses are never contacted")
            } else {
                addresses.append(address.unmapped)
            }
        }
        if !addresses.isEmpty { return .success(addresses) }
        return .failure(
            refusal ?? Self.unresolved("dns_not_found", "\(host) has no address"))
    }

    private static func unresolved(_ code: String, _ reason: String) -> Refusal {
        Refusal(stage: .perform, code: code, type: "proxy_error", reason: reason, status: 502)
    }

    private static func approvalRequired(_ rule: String, _ minimum: Int) -> Refusal {
        Refusal(
            stage: .approval, code: "approval_required", type: "policy_violation", rule: rule,
            reason: "not in allowlist yet: rule '\(rule)' wants \(minimum) approval\(minimum == 1 ? "" : "s") first", status: 403)
    }
}
