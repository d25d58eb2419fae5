/// Decides whether the agent may talk to a host and port (spec/router 16.1): block list, operator's denials, learn mode,
/// allowlist, approvals, operator's grants, and otherwise no.
///
/// It is compiled once per change of its sources and holds no state: what learn mode saw and what was refused are kept by
/// the caller. It judges names; `AddressPolicy` judges the addresses they resolve to.
package struct EgressPolicy: Sendable {
    package enum Mode: String, CaseIterable, Sendable {
        /// Only what a rule permits.
        case strict
        /// Everything that the block list does not name, recorded so that an operator can turn it into rules.
        case learn
    }

    /// Everything a decision depends on.
    package struct Sources: Sendable {
        package var mode: Mode
        /// The allowlist; nil when none could be loaded, which in strict mode closes everything, approvals included.
        package var baseline: [EgressRule]?
        package var approvals: [EgressGrant]
        /// Granted by the operator at run time.
        package var granted: [EgressRule]
        /// Denied by the operator at run time, on every port; wins over every grant, also in learn mode.
        package var denied: [EgressRule.Pattern]
        /// Nil when the block list is switched off.
        package var blockList: BlockList?

        package init(
            mode: Mode = .strict, baseline: [EgressRule]?, approvals: [EgressGrant] = [], granted: [EgressRule] = [],
            denied: [EgressRule.Pattern] = [], blockList: BlockList? = nil
        ) {
            self.mode = mode
            self.baseline = baseline
            self.approvals = approvals
            self.granted = granted
            self.denied = denied
            self.blockList = blockList
        }
    }

    /// What was decided for one destination.
    package enum Decision: Equatable, Sendable {
        case allow(rule: String)
        /// Allowed because nothing is enforced yet; the caller records the host.
        case learn
        case refuse(Refusal)
    }

    /// Before the name of the approval in the rule that it permits by.
    private static let approvalPrefix = "egress:approval:"

    /// The approval that `rule` of a decision comes from; nil for rules that last.
    package static func approval(in rule: String) -> String? {
        guard rule.hasPrefix(approvalPrefix) else { return nil }
        // Names of objects have no colon.
        return rule.dropFirst(approvalPrefix.count).split(separator: ":", maxSplits: 1).first.map(String.init)
    }

    package let sources: Sources
    private let grants: RuleTable<Grant>
    private let denials: RuleTable<String>

    private struct Grant: Sendable {
        let rule: String
        /// Of the approval it comes from; nil for rules that last.
        let approval: EgressGrant?
    }

    package init(_ sources: Sources) {
        self.sources = sources
        var grants = RuleTable<Grant>()
        if let baseline = sources.baseline {
            for rule in baseline { grants.add(rule, Grant(rule: "egress:allowlist:\(rule)", approval: nil)) }
            for approval in sources.approvals {
                for rule in approval.rules {
                    grants.add(rule, Grant(rule: "\(Self.approvalPrefix)\(approval.name):\(rule)", approval: approval))
                }
            }
            for rule in sources.granted { grants.add(rule, Grant(rule: "egress:operator:\(rule)", approval: nil)) }
        }
        self.grants = grants
        var denials = RuleTable<String>()
        for pattern in sources.denied { denials.add(EgressRule(pattern), "egress:denied:\(pattern)") }
        self.denials = denials
    }

    /// Whether a connection to `host` on `port` may be made.
    package func decide(_ host: Host, port: UInt16, now: UTCTime) -> Decision {
        decide(host, port: port as UInt16?, now: now)
    }

    /// Whether the DNS stub may answer for `name`: when a connection to it may be made on some port.
    package func decideName(_ name: HostName, now: UTCTime) -> Decision { decide(.name(name), port: nil, now: now) }

    private func decide(_ host: Host, port: UInt16?, now: UTCTime) -> Decision {
        let destination = port.map { "\(host):\($0)" } ?? host.description
        if case .name(let name) = host, let match = sources.blockList?.match(name) {
            return .refuse(Self.blocked(destination, match))
        }
        if let rule = denials.first(host, port: nil, where: { _ in true }) {
            return .refuse(Self.refusal(rule, "\(destination) is not in allowlist: the operator denied it"))
        }
        var expired: EgressGrant?
        let grant = grants.first(host, port: port) { grant in
            guard let approval = grant.approval, !approval.isActive(at: now) else { return true }
            if approval.expiresAt <= now { expired = approval }
            return false
        }
        if let grant { return .allow(rule: grant.rule) }
        if case .address = host {
            return .refuse(
                Self.refusal(
                    "egress:ip-literal", "\(destination) is not in allowlist: an address without a name needs a rule of its own"))
        }
        // A name without a dot belongs to the cluster or the machine, never to what an operator wants learnt.
        if sources.mode == .learn, case .name(let name) = host, name.text.utf8.contains(UInt8(ascii: ".")) { return .learn }
        if sources.baseline == nil {
            return .refuse(
                Self.refusal(
                    "egress:no-allowlist", "\(destination) is not in allowlist: no allowlist is loaded, so nothing is permitted"))
        }
        if let expired {
            return .refuse(
                Self.refusal(
                    "egress:approval:\(expired.name)",
                    "\(destination) is not in allowlist: approval \(expired.name) ended at \(expired.expiresAt.rfc3339)"))
        }
        return .refuse(
            Self.refusal(
                "egress:default-deny", "\(destination) is not in allowlist; ask an operator to approve it (kars egress --approve)"
            ))
    }

    /// The refusal of an egress attempt, the same on every surface.
    package static func refusal(_ rule: String, _ reason: String) -> Refusal {
        Refusal(stage: .policy, code: "egress_denied", type: "policy_violation", rule: rule, reason: reason, status: 403)
    }

    private static func blocked(_ destination: String, _ match: BlockList.Match) -> Refusal {
        let (rule, why) =
            switch match {
            case .listed(let domain): ("egress:blocklist:\(domain)", "\(domain) is on the block list")
            case .highRiskTLD(let domain): ("egress:high-risk-tld:\(domain)", "names under .\(domain) are blocked")
            }
        return Refusal(
            stage: .policy, code: "egress_blocked", type: "blocklist_violation", rule: rule,
            reason: "\(destination) is not in allowlist: \(why)", status: 403)
    }
}

// MARK: - The merged document

extension EgressPolicy {
    /// The rules of the allowlist and of every approval active at `now`, sorted by host and port, each once. What an operator
    /// granted at run time is not part of it: its digest must equal what the controller computes from the cluster alone.
    package func mergedRules(at now: UTCTime) -> [EgressRule] {
        guard let baseline = sources.baseline else { return [] }
        return Set(baseline + sources.approvals.filter { $0.isActive(at: now) }.flatMap(\.rules)).sorted()
    }

    /// The bytes under the `EgressGrant` digest (spec/router 16.8), to be hashed under the name `merged-allowlist.json`.
    package func mergedDocument(at now: UTCTime) -> [UInt8] { EgressRule.document(mergedRules(at: now)) }
}

extension EgressRule {
    /// The compact allowlist document of `rules` in the given order: `{"schemaVersion":1,"endpoints":[…]}`. Nothing in a host
    /// needs escaping.
    package static func document(_ rules: [EgressRule]) -> [UInt8] {
        let endpoints = rules.map { #"{"host":"\#($0.host)","port":\#($0.port)}"# }
        return Array(#"{"schemaVersion":1,"endpoints":[\#(endpoints.joined(separator: ","))]}"#.utf8)
    }
}

// MARK: - Look-up

/// Rules by host, then by suffix, so that a decision costs a few hash look-ups however many rules there are.
private struct RuleTable<Value: Sendable>: Sendable {
    private var exact: [Host: [(port: UInt16, value: Value)]] = [:]
    private var below: [Substring: [(port: UInt16, value: Value)]] = [:]

    mutating func add(_ rule: EgressRule, _ value: Value) {
        switch rule.pattern {
        case .exact(let host): exact[host, default: []].append((rule.port, value))
        case .below(let suffix): below[suffix.text[...], default: []].append((rule.port, value))
        }
    }

    /// The first value for `host` whose port is `port` (any port when nil) and that passes `accept`: exact rules before
    /// suffixes, near suffixes before far ones, otherwise in the order they were added.
    func first(_ host: Host, port: UInt16?, where accept: (Value) -> Bool) -> Value? {
        func pick(_ entries: [(port: UInt16, value: Value)]?) -> Value? {
            entries?.first { (port == nil || $0.port == port) && accept($0.value) }?.value
        }
        if let value = pick(exact[host]) { return value }
        guard case .name(let name) = host, !below.isEmpty else { return nil }
        for parent in name.parents {
            if let value = pick(below[parent]) { return value }
        }
        return nil
    }
}
