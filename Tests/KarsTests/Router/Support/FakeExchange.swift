import KarsCore

@testable import Kars

/// One request and what was answered to it, without sockets.
actor FakeExchange: HTTPServerExchange {
    private var body: [[UInt8]]
    /// After this many writes the client is gone.
    private let leavesAfter: Int?
    private(set) var head: HTTPResponseHead?
    private(set) var writes: [[UInt8]] = []
    private(set) var isFinished = false

    init(body: [UInt8] = [], leavesAfter: Int? = nil) {
        self.body = body.isEmpty ? [] : [body]
        self.leavesAfter = leavesAfter
    }

    var text: String { String(decoding: writes.joined(), as: UTF8.self) }
    var json: JSON? { try? JSON(parsing: Array(writes.joined())) }

    var announcedBodyBytes: Int? { body.first?.count }

    func nextBodyPart() async throws(HTTPBodyError) -> [UInt8]? { body.isEmpty ? nil : body.removeFirst() }

    func send(_ head: HTTPResponseHead, body: [UInt8]) async throws(HTTPResponseError) {
        guard self.head == nil else { throw .outOfOrder }
        self.head = head
        writes = [body]
        isFinished = true
    }

    func start(_ head: HTTPResponseHead) async throws(HTTPResponseError) {
        guard self.head == nil else { throw .outOfOrder }
        self.head = head
    }

    func write(_ bytes: [UInt8]) async throws(HTTPResponseError) {
        if let leavesAfter, writes.count >= leavesAfter { throw .disconnected }
        guard head != nil, !isFinished else { throw .outOfOrder }
        writes.append(bytes)
    }

    func finish() async throws(HTTPResponseError) { isFinished = true }
}

/// What a handler under test did with one request.
struct FakeAnswer: Sendable {
    var status: Int
    var headers: HTTPHeaders
    var text: String
    var writes: [String]
    var isFinished: Bool

    var json: JSON? { try? JSON(parsing: Array(text.utf8)) }
    var errorCode: String? { json?["error"]?["code"]?.stringValue }
    var errorStage: String? { json?["error"]?["stage"]?.stringValue }
}

extension HTTPHandler {
    /// Handles one request as a server would.
    func answer(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = HTTPHeaders(), body: String = "",
        leavesAfter: Int? = nil
    ) async throws -> FakeAnswer {
        let exchange = FakeExchange(body: Array(body.utf8), leavesAfter: leavesAfter)
        let request = HTTPServerRequest(
            head: HTTPRequestHead(method: method, target: target, headers: headers), peer: nil, isTLS: false,
            exchange: exchange)
        try await handle(request, HTTPServerResponse(exchange: exchange))
        let head = await exchange.head
        return FakeAnswer(
            status: head?.status ?? 0, headers: head?.headers ?? HTTPHeaders(), text: await exchange.text,
            writes: await exchange.writes.map { String(decoding: $0, as: UTF8.self) }, isFinished: await exchange.isFinished)
    }
}
