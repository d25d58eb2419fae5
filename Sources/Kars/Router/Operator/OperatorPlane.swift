import KarsCore

/// The listener for the controller and the operator's command line: TLS, and a bearer token that only the router's container
/// holds. What changes a mode or a list is here and nowhere else.
///
/// Every request proves itself before its path is looked at, so that nobody without the token learns which routes exist.
struct OperatorPlane: HTTPHandler {
    let token: OperatorToken
    let pipeline: Pipeline
    let egress: EgressControl
    let budget: BudgetKeeper
    let health: Health
    let config: RouterConfig
    let traces: TraceIDs
    let log: Log
    var clock: @Sendable () -> UTCTime = UTCTime.now

    private static let maxBodyBytes = 64 * 1024

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let reply = Reply(response: response, trace: traces.accepting(request.head.headers[TraceID.header]))
        do throws(Refusal) {
            guard isAuthorized(request.head.headers) else { throw .unauthorized }
            if let answer = try await evidence(request.head) {
                try request.require(.get)
                await reply.send(json: answer)
            } else if let answer = try view(request.head) {
                try request.require(.get)
                await reply.send(json: answer)
            } else {
                try await operate(request, reply)
            }
        } catch {
            await reply.send(error)
        }
    }

    /// Exactly one `Authorization: Bearer`.
    private func isAuthorized(_ headers: HTTPHeaders) -> Bool {
        let values = headers.values("authorization")
        guard values.count == 1, let value = values.first, value.utf8.count > 7,
            value.prefix(7).lowercased() == "bearer "
        else { return false }
        return token.admits(Array(value.utf8.dropFirst(7)))
    }

    // MARK: - Looking

    /// The evidence itself, for who verifies it elsewhere; nil for another path.
    private func evidence(_ head: HTTPRequestHead) async throws(Refusal) -> JSON? {
        let export = EvidenceExport(directory: "\(config.stateDirectory)/audit")
        let prefix = "/audit/files"
        guard head.path.hasPrefix(prefix) else { return nil }
        let rest = head.path.dropFirst(prefix.utf8.count)
        if rest.isEmpty { return try await export.listing() }
        guard rest.hasPrefix("/") else { return nil }
        let offset = Self.parameter("offset", in: head).map { Int($0) ?? -1 } ?? 0
        return try await export.part(of: String(rest.dropFirst()), from: offset)
    }

    /// What a path shows; nil for a path that does something, or nothing.
    private func view(_ head: HTTPRequestHead) throws(Refusal) -> JSON? {
        let now = clock()
        switch head.path {
        case "/status": return status(now)
        case "/internal/policy-status": return policyStatus
        case "/audit/head": return auditHead
        case "/budget": return budgetView
        case "/approvals": return approvalsView
        case "/egress/status": return egress.statusJSON(now: now)
        case "/egress/learned": return egress.learnedJSON
        case "/egress/allowlist": return egress.allowlistJSON(now: now)
        case "/egress/pending": return egress.pendingJSON(limit: try count("limit", in: head, or: 256, upTo: 4096))
        case "/egress/learned/blocked", "/internal/egress/blocked":
            return egress.blockedJSON(since: since(head, now), limit: try count("limit", in: head, or: 4096, upTo: 4096))
        case "/internal/egress/blocked/top":
            let seconds = Self.seconds(in: Self.parameter("window", in: head) ?? "5m") ?? 300
            return egress.topBlockedJSON(
                try count("n", in: head, or: 10, upTo: 100), window: .seconds(seconds), now: now)
        default: return nil
        }
    }

    private func status(_ now: UTCTime) -> JSON {
        let readiness = health.readiness
        let policy = pipeline.policies.current
        var problems = readiness.problems
        if let problem = budget.problem { problems.append("budgets cannot be written: \(problem)") }
        if let problem = token.problem { problems.append("the operator plane's new keys are not in force: \(problem)") }
        return [
            "sandbox": .string(config.sandbox), "ready": .bool(readiness.isReady),
            "problems": .array(problems.map { .string($0) }),
            "uptime_secs": .int(Int(Instant.now().duration(since: health.started).inSeconds)),
            "provider": [
                "kind": .string(config.provider.kind.rawValue), "model": .string(config.provider.model),
                "endpoint": .string(config.provider.endpoint), "demo": .bool(config.provider.kind == .demo),
                "note": config.provider.kind == .demo
                    ? "the demo model is a deterministic stand-in inside the router, not an AI" : .null,
            ],
            "policy": [
                "loaded": .bool(policy.profileDigest != nil), "digest": policy.profileDigest.map { .string($0) } ?? .null,
                "rules": .int(policy.engine.ruleCount),
                "inference_digest": policy.inferenceDigest.map { .string($0) } ?? .null,
                "preferred_model": policy.inference.preferredModel.map { .string($0) } ?? .null,
            ],
            "policies": pipeline.policies.board.json["entries"] ?? [],
            "egress": egress.statusJSON(now: now), "budget": budgetView, "evidence": auditHead,
            "approvals": .int(pipeline.approvals.all.count),
        ]
    }

    private var policyStatus: JSON {
        guard var object = pipeline.policies.board.json.objectValue else { return pipeline.policies.board.json }
        // Whoever asks knows whom it asked; the answer says who answers.
        object["sandbox"] = .string(config.sandbox)
        let uses = egress.approvalUses.sorted { $0.key < $1.key }.prefix(RouterReport.maxApprovals)
        object["approval_uses"] = .object(JSONObject(uses.map { ($0.key, .int($0.value)) }))
        object["persistence"] = ["budgets": .bool(budget.problem == nil), "evidence": .bool(pipeline.evidenceProblem == nil)]
        return .object(object)
    }

    private var auditHead: JSON {
        let status = pipeline.evidenceStatus
        return [
            "sandbox": .string(config.sandbox), "records": .int(Int(clamping: status.records)),
            "head": status.head.map { .string($0) } ?? .null, "hash": .string(status.headHash),
            "signed_records": .int(Int(clamping: status.signedRecords)), "healthy": .bool(status.isHealthy),
            "lost_appends": .int(Int(clamping: status.lostAppends)), "public_key": .string(status.publicKey),
        ]
    }

    private var budgetView: JSON {
        let limits = pipeline.policies.current.limits(otherwise: config.budget)
        var view = budget.usage(limits: limits).json.objectValue ?? JSONObject()
        view["per_request_limit"] = limits.perRequest.map { .int($0) } ?? .null
        view["sandbox"] = .string(config.sandbox)
        return .object(view)
    }

    /// Oldest first: who waits longest is served first.
    private var approvalsView: JSON {
        let now = Instant.now()
        pipeline.recordExpiredApprovals(now: now)
        let tickets = pipeline.approvals.all.map { ticket -> JSON in
            let state =
                switch ticket.state {
                case .pending: "pending"
                case .approved: "approved"
                case .denied: "denied"
                }
            return [
                "ticket": .string(ticket.id), "state": .string(state),
                "action": .string(EvaluationRequest.presentable(ticket.call.action)), "rule": .string(ticket.call.rule),
                "digest": .string(ticket.call.digest), "min_approvals": .int(ticket.minimum),
                "approved_by": .array(ticket.approvers.map { .string($0) }),
                "waiting_secs": .int(Int(now.duration(since: ticket.asked).inSeconds)),
                "expires_in_secs": .int(Int(ticket.expires.duration(since: now).inSeconds)),
            ]
        }
        return ["count": .int(tickets.count), "approvals": .array(tickets)]
    }

    // MARK: - Doing

    /// Each of these is recorded: an operator's hand on the controls is evidence like any other.
    private func operate(_ request: HTTPServerRequest, _ reply: Reply) async throws(Refusal) {
        let path = request.head.path
        guard Self.operations.contains(String(path)) else { throw .noSuchRoute("no such route on the operator plane") }
        try request.require(.post)
        let body = try await request.body(governedUpTo: Self.maxBodyBytes)
        let json: JSON
        do { json = body.isEmpty ? [:] : try JSON(parsing: body) } catch {
            throw .invalidRequest("the body is not JSON: \(error)")
        }
        do {
            if path.hasPrefix("/approvals/") {
                await reply.send(json: try decide(path, json, reply.trace))
            } else {
                let (what, answer) = try change(path, json)
                try record(what, reply.trace)
                await reply.send(json: answer)
            }
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw .invalidRequest("\(error)")
        }
    }

    private func record(_ what: String, _ trace: TraceID) throws(Refusal) {
        try pipeline.record(
            pipeline.action(.operation, what), .success(Pipeline.Grant(rule: "operator")), under: pipeline.policies.current,
            reason: "by the operator plane")
        log.info("operator.change", ["action": .string(what), "trace_id": .string(trace.description)])
    }

    /// An approval is recorded before it counts: the call that it lets pass comes after it in the chain.
    private func decide(_ path: Substring, _ json: JSON, _ trace: TraceID) throws -> JSON {
        guard let id = json["ticket"]?.stringValue else { throw Refusal.invalidRequest("\"ticket\" must be a string") }
        let now = Instant.now()
        pipeline.recordExpiredApprovals(now: now)
        if path == "/approvals/deny" {
            try pipeline.approvals.check(id, by: nil, now: now)
            try record("admin:approval-deny:\(id)", trace)
            return ["ticket": .string(try pipeline.approvals.deny(id, now: now).id), "status": "denied"]
        }
        let name = json["by"]?.stringValue?.forAction ?? "operator"
        try pipeline.approvals.check(id, by: name, now: now)
        try record("admin:approval-approve:\(id):\(name)", trace)
        let ticket = try pipeline.approvals.approve(id, by: name, now: now)
        return [
            "ticket": .string(ticket.id), "status": ticket.state == .approved ? "approved" : "pending",
            "missing": .int(max(0, ticket.minimum - ticket.approvers.count)),
        ]
    }

    private static let operations: Set<String> = [
        "/egress/learn", "/egress/learned/clear", "/egress/approve", "/egress/deny", "/egress/enforce",
        "/approvals/approve", "/approvals/deny",
    ]

    private func change(_ path: Substring, _ json: JSON) throws -> (what: String, answer: JSON) {
        switch path {
        case "/egress/learn":
            guard let isOn = json["enabled"]?.boolValue else {
                throw Refusal.invalidRequest("\"enabled\" must be true or false")
            }
            try egress.setLearning(isOn)
            return ("admin:egress-learn:\(isOn ? "on" : "off")", ["learn_mode": .bool(isOn)])
        case "/egress/learned/clear":
            try egress.clearLearned()
            return (
                "admin:egress-learned-clear", ["status": "cleared", "learn_mode": egress.learnedJSON["learn_mode"] ?? .null]
            )
        case "/egress/approve":
            let host = try host(json)
            let rules = try egress.approve(host)
            return (
                "admin:egress-approve:\(host.forAction)",
                ["status": "approved", "endpoints": .array(rules.map { .string($0.description) })]
            )
        case "/egress/deny":
            let host = try host(json)
            let pattern = try egress.deny(host)
            return ("admin:egress-deny:\(host.forAction)", ["status": "denied", "host": .string(pattern.description)])
        case "/egress/enforce":
            return ("admin:egress-enforce", try egress.enforceJSON(now: clock()))
        default: throw Refusal.noSuchRoute("no such route on the operator plane")
        }
    }

    private func host(_ json: JSON) throws(Refusal) -> String {
        guard let host = json["host"]?.stringValue ?? json["domain"]?.stringValue, !host.isEmpty else {
            throw .invalidRequest("\"host\" must be a host name, with a port if it matters")
        }
        return host
    }

    // MARK: - Parameters

    private static func parameter(_ name: String, in head: HTTPRequestHead) -> Substring? {
        for pair in (head.query ?? "").split(separator: "&") where pair.hasPrefix(name + "=") {
            return pair.dropFirst(name.utf8.count + 1)
        }
        return nil
    }

    private func count(_ name: String, in head: HTTPRequestHead, or fallback: Int, upTo limit: Int) throws(Refusal) -> Int {
        guard let text = Self.parameter(name, in: head) else { return fallback }
        guard let number = Int(text), number > 0 else { throw .invalidRequest("\(name) must be a whole number above zero") }
        return min(number, limit)
    }

    /// Unix seconds, RFC 3339, or `-10m`; anything else means from the start (spec/router 16.7).
    private func since(_ head: HTTPRequestHead, _ now: UTCTime) -> UTCTime {
        guard let text = Self.parameter("since", in: head) else { return UTCTime(seconds: 0) }
        if text.hasPrefix("-"), let seconds = Self.seconds(in: text.dropFirst()) {
            return now.advanced(by: .seconds(-seconds))
        }
        if let seconds = Int64(text) { return UTCTime(seconds: seconds) }
        return UTCTime(rfc3339: text.replacing("%3A", with: ":").replacing("%3a", with: ":")) ?? UTCTime(seconds: 0)
    }

    /// `90`, `90s`, `5m`, `2h` or `1d`, at most a year.
    private static func seconds(in text: Substring) -> Int? {
        let scale = ["s": 1, "m": 60, "h": 3600, "d": 86_400][text.last.map(String.init) ?? ""]
        guard let number = Int(scale == nil ? text : text.dropLast()), number >= 0 else { return nil }
        let seconds = number.multipliedReportingOverflow(by: scale ?? 1)
        return seconds.overflow ? nil : min(seconds.partialValue, 366 * 86_400)
    }
}

extension EgressControl: EgressPolicySink {}
