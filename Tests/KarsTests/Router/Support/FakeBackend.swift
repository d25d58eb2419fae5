import KarsCore
import Synchronization

@testable import Kars

/// A provider that answers from a script and remembers what it was asked.
final class FakeBackend: ModelBackend {
    enum Part: Sendable {
        case bytes(String)
        case fails(Refusal)
    }

    struct Script: Sendable {
        var status = 200
        var contentType = "application/json"
        var headers: [(String, String)] = []
        var parts: [Part] = []
        var failure: ModelFailure?
    }

    private let script: Mutex<Script>
    private let seen = Mutex<[ModelCall]>([])
    private let cancelled = Atomic<Int>(0)

    init(_ script: Script) { self.script = Mutex(script) }

    /// A buffered JSON answer.
    convenience init(status: Int = 200, _ body: String) {
        self.init(Script(status: status, parts: [.bytes(body)]))
    }

    /// A stream of events, each a network read of its own unless `cut` says otherwise.
    convenience init(events: [String], then failure: Refusal? = nil) {
        var parts = events.map { Part.bytes("data: \($0)\n\n") }
        if let failure { parts.append(.fails(failure)) }
        self.init(Script(contentType: "text/event-stream", parts: parts))
    }

    var calls: [ModelCall] { seen.withLock { $0 } }
    var cancellations: Int { cancelled.load(ordering: .relaxed) }
    func use(_ script: Script) { self.script.withLock { $0 = script } }

    func send(_ call: ModelCall) async throws(ModelFailure) -> ModelAnswer {
        seen.withLock { $0.append(call) }
        let script = script.withLock { $0 }
        if let failure = script.failure { throw failure }
        var headers = HTTPHeaders(script.headers)
        headers.add("content-type", script.contentType)
        return ModelAnswer(status: script.status, headers: headers, body: Body(script.parts, self))
    }

    func models(trace: TraceID) async throws(ModelFailure) -> ModelAnswer {
        try await send(ModelCall(body: [], model: "", isStreamed: false, trace: trace))
    }

    private final class Body: ModelAnswerBody {
        private let parts: Mutex<ArraySlice<Part>>
        private let backend: FakeBackend

        init(_ parts: [Part], _ backend: FakeBackend) {
            self.parts = Mutex(parts[...])
            self.backend = backend
        }

        func next() async throws(Refusal) -> [UInt8]? {
            switch parts.withLock({ $0.popFirst() }) {
            case .bytes(let text): return Array(text.utf8)
            case .fails(let refusal): throw refusal
            case nil: return nil
            }
        }

        func cancel() async { backend.cancelled.add(1, ordering: .relaxed) }
    }
}
