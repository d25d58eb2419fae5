import KarsCore
import Synchronization

/// The listener that the agent can reach: model calls, the list of models, and the question "may I?".
///
/// A closed table of routes; everything else is 404 with a hint, because a path that is passed through is a path that is not
/// governed. Nothing here changes a policy, a budget or a mode: those routes are on another listener that the agent cannot
/// reach.
struct AgentPlane: HTTPHandler {
    let chat: ChatRoute
    let evaluate: EvaluateRoute
    let models: ModelsRoute
    let health: Health
    let traces: TraceIDs
    let slots: CallSlots

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let trace = traces.accepting(request.head.headers[TraceID.header])
        let reply = Reply(response: response, trace: trace)
        do throws(Refusal) {
            switch request.head.path {
            case "/v1/chat/completions", "/openai/v1/chat/completions":
                try request.require(.post)
                try await governed(reply) { () throws(Refusal) in try await chat.handle(request, reply) }
            case "/agt/evaluate":
                try request.require(.post)
                try await governed(reply) { () throws(Refusal) in try await evaluate.handle(request, reply) }
            case "/v1/models", "/openai/v1/models":
                try request.require(.get)
                try await governed(reply) { () throws(Refusal) in try await models.handle(reply) }
            case "/agt/status":
                try request.require(.get)
                await reply.send(json: health.agentStatus)
            case "/healthz":
                try request.require(.get)
                await reply.send(text: "ok")
            case "/readyz":
                try request.require(.get)
                await reply.send(readiness: health.readiness)
            default: throw .noSuchRoute(Self.hint(for: request.head.path))
            }
        } catch {
            await reply.send(error)
        }
    }

    private func governed(_ reply: Reply, _ body: () async throws(Refusal) -> Void) async throws(Refusal) {
        guard slots.take() else { throw .overloaded }
        defer { slots.giveBack() }
        try await body()
    }

    /// What to use instead, for paths that agents are known to try.
    static func hint(for path: Substring) -> String {
        switch path {
        case "/v1/responses", "/openai/v1/responses", "/v1/completions", "/v1/messages", "/anthropic/v1/messages",
            "/v1/embeddings", "/v1/images/generations":
            "this router does not offer \(path) yet; use POST /v1/chat/completions"
        default: "no such route on the agent plane; it offers /v1/chat/completions, /v1/models, /agt/evaluate and /agt/status"
        }
    }
}

/// Bounds the calls in flight. Full is answered at once: a queue would only hide the overload.
final class CallSlots: Sendable {
    private let limit: Int
    private let used = Atomic<Int>(0)

    init(limit: Int) { self.limit = limit }

    var inFlight: Int { used.load(ordering: .relaxed) }

    func take() -> Bool {
        if used.add(1, ordering: .relaxed).newValue <= limit { return true }
        used.subtract(1, ordering: .relaxed)
        return false
    }

    func giveBack() { used.subtract(1, ordering: .relaxed) }
}

/// Makes trace ids without asking the kernel for randomness each time: they must be distinct, not secret.
final class TraceIDs: Sendable {
    private let counter: Atomic<UInt64>

    init(seed: UInt64 = .random(in: .min ... .max)) { counter = Atomic(seed) }

    func accepting(_ header: String?) -> TraceID {
        if let header, let trace = TraceID(header) { return trace }
        var mixer = Mixer(state: counter.wrappingAdd(0x9e37_79b9_7f4a_7c15, ordering: .relaxed).newValue)
        return TraceID(using: &mixer)
    }

    /// SplitMix64: every state gives another output.
    private struct Mixer: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }
}

extension HTTPServerRequest {
    func require(_ method: HTTPMethod) throws(Refusal) {
        guard head.method == method || (method == .get && head.method == .head) else {
            throw .methodNotAllowed(method.rawValue)
        }
    }

    /// The whole body, or the refusal that says why not.
    func body(governedUpTo limit: Int) async throws(Refusal) -> [UInt8] {
        do {
            return try await body(upTo: limit)
        } catch {
            switch error {
            case .tooLarge: throw .bodyTooLarge(limit: limit)
            case .timedOut:
                throw Refusal(
                    stage: .request, code: "request_timeout", type: "invalid_request_error",
                    reason: "the request body did not arrive in time", status: 408)
            case .disconnected, .exchangeOver, .malformed:
                throw .invalidRequest("the request body ended early or was malformed")
            }
        }
    }
}
