import KarsCore

/// What the operator plane shows of egress, in the shapes that tools already read (spec/router 16, spec/cli 8.1).
extension EgressControl {
    /// `GET /egress/status`
    func statusJSON(now: UTCTime) -> JSON {
        let status = status(now: now)
        return .object(
            JSONObject([
                ("mode", .string(status.mode.rawValue)), ("learn_mode", .bool(status.mode == .learn)),
                ("allowlist_count", status.allowlist.map { .int($0) } ?? .null),
                ("active_approvals", .int(status.activeApprovals)),
                ("granted_count", .int(status.granted)), ("denied_count", .int(status.denied)),
                ("learned_count", .int(status.learned)),
                ("pending_count", .int(status.pending)), ("refused_total", .int(status.refused)),
                (
                    "blocklist",
                    .object(
                        JSONObject([
                            ("enabled", .bool(status.blockedDomains != nil)), ("domain_count", .int(status.blockedDomains ?? 0)),
                        ]))
                ),
            ]))
    }

    /// `GET /egress/learned`
    var learnedJSON: JSON {
        let entries = learned
        return .object(
            JSONObject([
                ("learn_mode", .bool(isLearning)), ("count", .int(entries.count)),
                ("domains", .array(Self.unique(entries.map(\.name.text)).map { .string($0) })),
                (
                    "entries",
                    .array(
                        entries.map { entry in
                            .object(
                                JSONObject([
                                    ("host", .string(entry.name.text)), ("port", .int(Int(entry.port))),
                                    ("count", .int(entry.count)),
                                    ("first_seen", .string(entry.firstSeen.rfc3339Milliseconds)),
                                    ("last_seen", .string(entry.lastSeen.rfc3339Milliseconds)),
                                ]))
                        })
                ),
            ]))
    }

    /// `GET /egress/allowlist`
    func allowlistJSON(now: UTCTime) -> JSON {
        let rules = rules(now: now)
        return .object(
            JSONObject([
                ("count", .int(rules.count)), ("domains", .array(Self.unique(rules.map(\.rule.host)).map { .string($0) })),
                (
                    "endpoints",
                    .array(
                        rules.map { item in
                            .object(
                                JSONObject([
                                    ("host", .string(item.rule.host)), ("port", .int(Int(item.rule.port))),
                                    ("source", .string(item.source)),
                                ]))
                        })
                ),
                ("denied", .array(denied.map { .string($0.description) })),
            ]))
    }

    /// `GET /egress/pending`: what was refused and waits for an operator, newest first.
    func pendingJSON(limit: Int = 256) -> JSON {
        let entries = blocked(limit: limit)
        return .object(
            JSONObject([
                ("count", .int(entries.count)),
                (
                    "pending",
                    .array(
                        entries.map { entry in
                            .object(
                                JSONObject([
                                    ("domain", .string(Self.bare(entry.key.host))), ("url", .string(Self.destination(entry.key))),
                                    ("port", .int(Int(entry.key.port))),
                                    ("rule", .string(entry.rule)), ("count", .int(entry.count)),
                                    ("timestamp", .string(entry.lastSeen.rfc3339Milliseconds)),
                                ]))
                        })
                ),
            ]))
    }

    /// `GET /internal/egress/blocked`
    func blockedJSON(since: UTCTime, limit: Int = 4096) -> JSON {
        let entries = blocked(since: since, limit: limit)
        return .object(
            JSONObject([
                ("schema_version", 1), ("total", .int(status(now: since).pending)), ("count", .int(entries.count)),
                ("since_unix", .int(Int(max(0, since.seconds)))),
                (
                    "entries",
                    .array(
                        entries.map { entry in
                            .object(
                                JSONObject([
                                    ("host", .string(Self.bare(entry.key.host))), ("port", .int(Int(entry.key.port))),
                                    ("source_sandbox", .string(entry.key.source)),
                                    ("first_seen_unix", .int(Int(entry.firstSeen.seconds))),
                                    ("last_seen_unix", .int(Int(entry.lastSeen.seconds))),
                                    ("count", .int(entry.count)), ("rule", .string(entry.rule)),
                                    ("first_seen", .string(entry.firstSeen.rfc3339Milliseconds)),
                                    ("last_seen", .string(entry.lastSeen.rfc3339Milliseconds)),
                                ]))
                        })
                ),
            ]))
    }

    /// `GET /internal/egress/blocked/top`
    func topBlockedJSON(_ limit: Int, window: Duration, now: UTCTime) -> JSON {
        let since = now.advanced(by: .zero - window)
        return .object(
            JSONObject([
                ("schema_version", 1), ("since_unix", .int(Int(since.seconds))), ("window", .int(Int(window.components.seconds))),
                ("n", .int(limit)),
                (
                    "top",
                    .array(
                        topBlocked(limit, since: since).map { item in
                            .object(JSONObject([("host", .string(Self.bare(item.host))), ("count", .int(item.count))]))
                        })
                ),
            ]))
    }

    /// `POST /egress/enforce`
    func enforceJSON(now: UTCTime) throws(EgressStateError) -> JSON {
        let done = try enforce()
        let rules = rules(now: now)
        return .object(
            JSONObject([
                ("status", .string(done.wasEnforcing ? "already_enforcing" : "enforcing")),
                ("promoted", .int(done.promoted.count)),
                ("allowlist_count", .int(rules.count)), ("allowlist", .array(rules.map { .string($0.rule.description) })),
            ]))
    }

    private var isLearning: Bool { status(now: UTCTime(seconds: 0)).mode == .learn }

    /// Without brackets, which belong to URLs.
    private static func bare(_ host: Host) -> String {
        switch host {
        case .name(let name): name.text
        case .address(let address): address.description
        }
    }

    private static func destination(_ key: BlockedBuffer.Key) -> String {
        key.port == 0 ? bare(key.host) : "\(key.host):\(key.port)"
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }.sorted()
    }
}
