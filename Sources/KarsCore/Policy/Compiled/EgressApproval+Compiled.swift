extension EgressApproval {
    /// The key of a grant's file in the ConfigMap of its sandbox.
    package static func fileName(_ name: String) -> String { "approval-\(name).json" }

    /// The longest that any grant lasts, in seconds, whatever is configured.
    package static let longestTTL = 7 * 86_400
}

extension EgressApproval.Spec {
    /// What may be reached, each once, in order; nil for a host that is none.
    package var rules: [EgressRule]? {
        var rules: Set<EgressRule> = []
        for entry in hosts {
            guard let port = UInt16(exactly: entry.port ?? 443), let rule = try? EgressRule(host: entry.host, port: port) else {
                return nil
            }
            rules.insert(rule)
        }
        return rules.sorted()
    }

    /// The file that the router reads (spec/controller 7), in force from `start` to `end`.
    package func file(name: String, from start: UTCTime, until end: UTCTime) -> String? {
        guard let rules else { return nil }
        var object: JSONObject = [
            "schemaVersion": 1, "approvalName": .string(name), "sandbox": .string(sandbox),
            "hosts": .array(rules.map { ["host": .string($0.host), "port": .int(Int($0.port))] }), "reason": .string(reason),
        ]
        object["ticket"] = ticket.map(JSON.string)
        object["effectiveAt"] = .string(start.rfc3339)
        object["expiresAt"] = .string(end.rfc3339)
        return String(decoding: JSON.object(object).encoded(), as: UTF8.self)
    }
}

/// The digest that a router reports of its allow list and grants together, computed from the same files by the same code (spec/router
/// 16.8).
package enum MergedAllowlist {
    /// - Parameters:
    ///   - baseline: content of `allowlist.json`; nil when there is none, and then nothing may be reached.
    ///   - files: the grants by file name. One that cannot be read counts as absent, as it does for the router.
    package static func digest(baseline: String?, files: [String: String], at now: UTCTime) throws(PolicyFileError)
        -> PolicyDigest
    {
        var rules: [EgressRule]?
        if let baseline { rules = try EgressAllowlist.rules(parsing: Array(baseline.utf8)) }
        let grants = files.sorted { $0.key < $1.key }.compactMap { name, text in
            try? EgressGrant(parsing: Array(text.utf8), file: name)
        }
        let policy = EgressPolicy(EgressPolicy.Sources(baseline: rules, approvals: grants))
        return PolicyDigest(name: PolicyDigest.Name.mergedAllowlist, body: policy.mergedDocument(at: now))
    }
}
