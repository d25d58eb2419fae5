import KarsCore
import Synchronization

/// Serves the demo model as if it were a provider.
struct DemoBackend: ModelBackend {
    var now: @Sendable () -> UTCTime = UTCTime.now

    func send(_ call: ModelCall) async throws(ModelFailure) -> ModelAnswer {
        let completion: DemoCompletion
        do {
            completion = try DemoCompletion(body: call.body, now: now(), limits: JSONLimits(maxBytes: .max))
        } catch {
            throw ModelFailure(
                refusal: .invalidRequest("the demo model could not read the request: \(error)"), mayHaveCost: false)
        }
        guard call.isStreamed else {
            return ModelAnswer(
                status: 200, headers: ["content-type": "application/json"], body: DemoBody([completion.body]))
        }
        let events = completion.events.map { Array("data: ".utf8) + $0 + Array("\n\n".utf8) }
        return ModelAnswer(status: 200, headers: ["content-type": "text/event-stream"], body: DemoBody(events))
    }

    func models(trace: TraceID) async throws(ModelFailure) -> ModelAnswer {
        let list: JSON = [
            "object": "list",
            "data": [
                [
                    "id": .string(DemoModel.name), "object": "model", "created": 0, "owned_by": "kars",
                    "description": "a deterministic demo model inside kars, not an AI",
                ]
            ],
        ]
        return ModelAnswer(
            status: 200, headers: ["content-type": "application/json"], body: DemoBody([list.encoded()]))
    }
}

/// Parts that were made beforehand.
private final class DemoBody: ModelAnswerBody {
    private let parts: Mutex<ArraySlice<[UInt8]>>

    init(_ parts: [[UInt8]]) { self.parts = Mutex(parts[...]) }

    func next() async throws(Refusal) -> [UInt8]? { parts.withLock { $0.popFirst() } }
    func cancel() async { parts.withLock { $0 = [] } }
}
