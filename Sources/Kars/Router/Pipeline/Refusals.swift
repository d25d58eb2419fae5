import KarsCore

/// The refusals that the router itself makes; those of policy, rate and budget come from their machines.
///
/// One place for status, code and type, so that the same failure looks the same on every surface (spec/router 6).
extension Refusal {
    static func invalidRequest(_ reason: String) -> Refusal {
        Refusal(stage: .request, code: "invalid_request", type: "invalid_request_error", reason: reason, status: 400)
    }

    static func bodyTooLarge(limit: Int) -> Refusal {
        Refusal(
            stage: .request, code: "request_too_large", type: "invalid_request_error",
            reason: "the request body is longer than \(limit) bytes", status: 413)
    }

    static func noSuchRoute(_ hint: String) -> Refusal {
        Refusal(stage: .request, code: "not_found", type: "invalid_request_error", reason: hint, status: 404)
    }

    static func methodNotAllowed(_ allowed: String) -> Refusal {
        Refusal(
            stage: .request, code: "method_not_allowed", type: "invalid_request_error",
            reason: "this route answers \(allowed) only", status: 405)
    }

    static let unauthorized = Refusal(
        stage: .request, code: "unauthorized", type: "authentication_error",
        reason: "a bearer token of the operator plane is needed", status: 401)

    static let overloaded = Refusal(
        stage: .request, code: "overloaded", type: "server_error",
        reason: "the router has as many calls in flight as it may have; try again shortly", status: 503,
        retryAfter: .seconds(1))

    static let draining = Refusal(
        stage: .request, code: "shutting_down", type: "server_error", reason: "the router is shutting down", status: 503,
        retryAfter: .seconds(5))

    static func actionTooLong(limit: Int) -> Refusal {
        Refusal(
            stage: .request, code: "invalid_request", type: "invalid_request_error",
            reason: "an action name is longer than \(limit) bytes", status: 400)
    }

    static func evidenceUnavailable(_ reason: String) -> Refusal {
        Refusal(
            stage: .evidence, code: "evidence_unavailable", type: "server_error",
            reason: "the decision could not be recorded, so the call was not made: \(reason)", status: 503,
            retryAfter: .seconds(5))
    }

    static func approvalRequired(rule: String, minimum: Int, ticket: String) -> Refusal {
        Refusal(
            stage: .approval, code: "approval_required", type: "policy_violation", rule: rule,
            reason: "rule '\(rule)' wants \(minimum) approval\(minimum == 1 ? "" : "s") first; ticket \(ticket)",
            status: 403, ticket: ticket)
    }

    static func approvalDenied(rule: String, ticket: String) -> Refusal {
        Refusal(
            stage: .approval, code: "approval_denied", type: "policy_violation", rule: rule,
            reason: "rule '\(rule)' wants an approval, and it was denied; ticket \(ticket)", status: 403)
    }

    static func approvalsFull(rule: String, retryAfter: Duration) -> Refusal {
        Refusal(
            stage: .approval, code: "approval_queue_full", type: "policy_violation", rule: rule,
            reason: "rule '\(rule)' wants an approval, and as many calls wait for one as may", status: 429,
            retryAfter: retryAfter)
    }

    // MARK: - Provider

    static let providerMissing = Refusal(
        stage: .perform, code: "provider_not_configured", type: "server_error",
        reason: "no model provider is configured for this sandbox", status: 503)

    static func providerUnreachable(_ reason: String) -> Refusal {
        Refusal(
            stage: .perform, code: "bad_gateway", type: "proxy_error",
            reason: "the model provider could not be reached: \(reason)", status: 502)
    }

    static func providerTimedOut(_ reason: String) -> Refusal {
        Refusal(
            stage: .perform, code: "gateway_timeout", type: "proxy_error",
            reason: "the model provider did not answer in time: \(reason)", status: 504)
    }

    static func providerRefusedCredential(status: Int) -> Refusal {
        Refusal(
            stage: .perform, code: "provider_unauthorized", type: "proxy_error",
            reason: "the model provider did not accept the router's credential (status \(status)); the operator must check it",
            status: 502)
    }

    /// The agent went away; nobody reads this answer, but the call's bookkeeping needs a name for it.
    static let clientGone = Refusal(
        stage: .perform, code: "client_closed_request", type: "proxy_error", reason: "the agent closed the connection",
        status: 499)

    static func providerGarbled(_ reason: String) -> Refusal {
        Refusal(
            stage: .perform, code: "bad_gateway", type: "proxy_error",
            reason: "the model provider's answer could not be understood, so it was not passed on: \(reason)", status: 502)
    }

    static func providerBrokeOff(_ reason: String) -> Refusal {
        Refusal(
            stage: .perform, code: "stream_interrupted", type: "proxy_error",
            reason: "the model provider broke the stream off: \(reason)", status: 502)
    }

    // MARK: - Wire

    /// The body that every HTTP surface answers with.
    var body: [UInt8] {
        var writer = JSONWriter(capacity: 256)
        writeError(&writer)
        return writer.bytes
    }

    /// The same as an event of a stream whose status has long been sent.
    var event: [UInt8] {
        var bytes = Array("data: ".utf8)
        bytes += body
        bytes += "\n\n".utf8
        return bytes
    }

    private func writeError(_ writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.member("message", reason)
        writer.member("type", type)
        writer.member("code", code)
        writer.member("stage", stage.rawValue)
        writer.key("rule")
        if let rule { writer.string(rule) } else { writer.null() }
        if let ticket { writer.member("ticket", ticket) }
        writer.endObject()
        writer.endObject()
    }

    /// Whole seconds for `Retry-After`, rounded up so that a client never comes back too early.
    var retryAfterSeconds: Int? {
        guard let retryAfter, retryAfter > .zero else { return nil }
        return Int(retryAfter.wholeNanoseconds / 1_000_000_000) + (retryAfter.wholeNanoseconds % 1_000_000_000 > 0 ? 1 : 0)
    }

    /// The reason as a header value: printable ASCII on one line (spec/router 6, `x-kars-decision-reason`).
    var headerReason: String {
        var text = ""
        for scalar in reason.unicodeScalars.prefix(256) {
            text.unicodeScalars.append((0x20...0x7e).contains(scalar.value) ? scalar : " ")
        }
        return text
    }
}
