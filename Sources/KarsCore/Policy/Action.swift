/// What an edge asks the pipeline to decide: one call, of any kind, as a value (DESIGN 3).
///
/// An edge (a route, the egress proxy, the DNS stub) builds an `Action` from bytes and turns the verdict back into bytes;
/// it never decides. The principal is the sandbox's own name, fixed when the router starts, never a header.
package struct Action: Equatable, Sendable {
    /// Which edge asked; also the `surface` of the evidence record and a metric label.
    package enum Surface: String, CaseIterable, Sendable {
        case inference, tool, egress, dns, operation = "operator", router
    }

    package var surface: Surface
    /// Name of the sandbox.
    package var principal: String
    /// Verb and subject as policies match them (spec/router 14.4), for instance `inference:chat_completions:gpt-4.1`.
    package var name: String
    /// Context that rule conditions may test; keys and values are compared exactly.
    package var attributes: [String: String]

    package init(surface: Surface, principal: String, name: String, attributes: [String: String] = [:]) {
        self.surface = surface
        self.principal = principal
        self.name = name
        self.attributes = attributes
    }

    /// The part before the first colon: `inference`, `shell`, `egress`, …
    package var category: Substring { name.prefix { $0 != ":" } }
}

/// What the pipeline decided for one action.
package enum Verdict: Equatable, Sendable {
    /// Allowed, by the named rule.
    case allow(rule: String)
    case refuse(Refusal)
    /// Somebody must agree first; the call waits or is refused with a ticket.
    case requiresApproval(rule: String, minimumApprovals: Int)
}

/// Why a call was refused: the same value gives the same status, JSON and evidence on every surface.
package struct Refusal: Error, Equatable, Sendable {
    /// The step of the pipeline that refused (DESIGN 3).
    package enum Stage: String, CaseIterable, Sendable {
        case request, rate, policy, trust, budget, approval, perform, inspect, evidence
    }

    package var stage: Stage
    /// Stable, for programs: `policy_denied`, `budget_exceeded`, `rate_limited`, … (spec/router 6).
    package var code: String
    /// OpenAI's `error.type`, for SDKs that switch on it: `policy_violation`, `token_budget_exceeded`, …
    package var type: String
    /// The rule that decided, as its author named it; nil where no rule exists (a malformed request).
    package var rule: String?
    /// What happened and what a person can do about it. No secret, no payload.
    package var reason: String
    /// HTTP status code.
    package var status: Int
    /// When a retry may succeed; becomes `Retry-After`.
    package var retryAfter: Duration?
    /// What a person approves the call by; nil where that would not help.
    package var ticket: String?

    package init(
        stage: Stage, code: String, type: String, rule: String? = nil, reason: String, status: Int, retryAfter: Duration? = nil,
        ticket: String? = nil
    ) {
        self.stage = stage
        self.code = code
        self.type = type
        self.rule = rule
        self.reason = reason
        self.status = status
        self.retryAfter = retryAfter
        self.ticket = ticket
    }
}
