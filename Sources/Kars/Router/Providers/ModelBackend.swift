import KarsCore

/// Something that answers chat completions: a provider over the network, or the demo model.
///
/// A backend only carries: it decides nothing and reads no answer beyond its head.
protocol ModelBackend: Sendable {
    func send(_ call: ModelCall) async throws(ModelFailure) -> ModelAnswer
    /// The provider's list of models, as it sends it.
    func models(trace: TraceID) async throws(ModelFailure) -> ModelAnswer
}

/// Why a provider gave no answer.
struct ModelFailure: Error, Equatable {
    /// Of the stage `perform`, ready for the agent.
    var refusal: Refusal
    /// The provider may have done the work, and then it is paid for.
    var mayHaveCost: Bool
}

/// A governed request on its way out.
struct ModelCall: Sendable {
    var body: [UInt8]
    var model: String
    var isStreamed: Bool
    var trace: TraceID
}

/// The head of an answer, and its body as it comes.
struct ModelAnswer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var body: any ModelAnswerBody

    var isEventStream: Bool { headers.bytes(of: "content-type")?.hasPrefixIgnoringCase("text/event-stream".utf8) == true }
}

protocol ModelAnswerBody: Sendable {
    /// The next bytes, never empty; nil at the end. Throws when the provider breaks off or stalls.
    func next() async throws(Refusal) -> [UInt8]?
    /// Gives up what has not been read; the provider sees its client go away.
    func cancel() async
}

extension ModelAnswerBody {
    /// Everything, as long as it stays within `limit` bytes.
    func whole(upTo limit: Int) async throws(Refusal) -> [UInt8] {
        guard var bytes = try await next() else { return [] }
        while let part = try await next() {
            bytes += part
            guard bytes.count <= limit else {
                await cancel()
                throw .providerGarbled("the answer is longer than \(limit) bytes")
            }
        }
        return bytes
    }
}

/// No provider is configured: every call says so.
struct NoBackend: ModelBackend {
    func send(_ call: ModelCall) async throws(ModelFailure) -> ModelAnswer { throw Self.failure }
    func models(trace: TraceID) async throws(ModelFailure) -> ModelAnswer { throw Self.failure }

    private static let failure = ModelFailure(refusal: .providerMissing, mayHaveCost: false)
}
