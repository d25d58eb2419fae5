import KarsCore

/// One wish of the agent to reach something outside, as an edge understood it.
struct EgressAttempt: Equatable, Sendable {
    /// How it came.
    enum Edge: String, Sendable {
        /// `CONNECT host:port` to the proxy.
        case connect
        /// A plain HTTP request, in absolute form or redirected.
        case http
        /// A redirected TLS connection, known by its server name.
        case tls
        /// A question to the DNS stub.
        case dns
    }

    var edge: Edge
    /// nil when the client did not say, for instance a TLS connection without a server name.
    var host: Host?
    /// 0 for a name that is only looked up.
    var port: UInt16

    /// Verb and subject as policies match them: `egress:connect:github.com:443`, `egress:dns:github.com`.
    var actionName: String {
        let subject = host.map { "\($0)" } ?? "<no-name>"
        return edge == .dns ? "egress:dns:\(subject)" : "egress:connect:\(subject):\(port)"
    }
}

/// The pipeline's turn in a decision about egress: rate, policy and evidence (DESIGN 3).
///
/// Called exactly once for each decision, with what the egress policy and the addresses say. It may turn an allowance into a
/// refusal, never the other way round, and it records what it returns; when that fails it refuses.
protocol EgressJudge: Sendable {
    func judge(_ attempt: EgressAttempt, proposed: Verdict) async -> Verdict
}

/// Leaves decisions as they are and records nothing: for tests.
struct UnrecordedEgress: EgressJudge {
    func judge(_ attempt: EgressAttempt, proposed: Verdict) async -> Verdict { proposed }
}
