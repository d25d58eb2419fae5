import Testing

@testable import KarsCore

@Suite struct `HTTP/1.1 client machine` {
    private func begun(
        _ method: HTTPMethod = .get, body: HTTPClientRequest.Body = .none, headers: HTTPHeaders = HTTPHeaders()
    ) throws -> (machine: HTTP1ClientMachine, sent: String) {
        var machine = HTTP1ClientMachine(limits: .init())
        let request = HTTPClientRequest(
            method: method, url: try HTTPURL(parsing: "http://a.test/x"), headers: headers, body: body)
        var out: [UInt8] = []
        try machine.begin(request, close: false, into: &out)
        return (machine, String(decoding: out, as: UTF8.self))
    }

    /// The status and body that `text` carries, and whether the connection may go on; nil while something is missing.
    private func read(_ machine: inout HTTP1ClientMachine, _ text: String) throws -> (Int, String, Bool)? {
        try Array(text.utf8).withUnsafeBytes { bytes in
            guard case .head(let head, var offset) = try machine.head(in: bytes) else { return nil }
            var body: [UInt8] = []
            while true {
                switch try machine.body(in: UnsafeRawBufferPointer(rebasing: bytes[offset...])) {
                case .data(let range):
                    body += bytes[(offset + range.lowerBound)..<(offset + range.upperBound)]
                    offset += range.upperBound
                case .end(let consumed):
                    let mayGoOn = machine.endExchange(unread: bytes.count - offset - consumed)
                    return (head.status, String(decoding: body, as: UTF8.self), mayGoOn)
                case .needMoreBytes: return nil
                }
            }
        }
    }

    @Test func `a request says how long its body is`() throws {
        #expect(try begun().sent == "GET /x HTTP/1.1\r\nhost: a.test\r\n\r\n")
        #expect(try begun(.post).sent == "POST /x HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n")
        #expect(try begun(.post, body: .bytes([1, 2])).sent.contains("content-length: 2\r\n"))
        #expect(try begun(.post, body: .stream(length: nil) { nil }).sent.contains("transfer-encoding: chunked\r\n"))
        let given = try begun(.put, headers: ["content-length": "7", "transfer-encoding": "x", "connection": "x", "host": "b"])
        #expect(given.sent == "PUT /x HTTP/1.1\r\nhost: b\r\ncontent-length: 0\r\n\r\n")
    }

    @Test func `a streamed body must have its announced length`() throws {
        var machine = try begun(.post, body: .stream(length: 3) { nil }).machine
        #expect(try machine.bodyPart(2) == .plain)
        #expect(!machine.isRequestSent)
        #expect(throws: HTTP1ClientMachine.BodyFailure.longerThanAnnounced(1)) { try machine.bodyPart(2) }
        #expect(throws: HTTP1ClientMachine.BodyFailure.shorterThanAnnounced(missing: 1)) { try machine.bodyEnded() }
        #expect(try machine.bodyPart(1) == .plain)
        #expect(machine.isRequestSent && !machine.takesBody)
    }

    @Test(arguments: [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", "ab", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", "abc", true),
        ("HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true),
        ("HTTP/1.1 204 No Content\r\n\r\n", "", true), ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", false),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na", "a", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200", "a", false),
    ])
    func `a response ends where it says, and the connection goes on if it may`(text: String, body: String, goesOn: Bool) throws {
        var machine = try begun().machine
        let read = try #require(try read(&machine, text))
        #expect(read.1 == body && read.2 == goesOn)
    }

    @Test func `a HEAD response has no body whatever it announces`() throws {
        var machine = try begun(.head).machine
        let read = try #require(try read(&machine, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"))
        #expect(read.1.isEmpty && read.2)
    }

    @Test func `a body without a length ends with the connection, any other does not`() throws {
        var open = try begun().machine
        #expect(try read(&open, "HTTP/1.1 200 OK\r\n\r\nabc") == nil)
        let ends = [open.inputEnded(), open.isResponseComplete, open.endExchange(unread: 0)]
        #expect(ends == [true, true, false])
        var announced = try begun().machine
        #expect(try read(&announced, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc") == nil)
        let isComplete = announced.inputEnded()
        #expect(!isComplete)
    }

    @Test func `interim responses are bounded and no other protocol is entered`() throws {
        var many = try begun().machine
        let text = String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 9)
        #expect(throws: HTTP1ParseError.tooManyInterimResponses(limit: 8)) { try read(&many, text) }
        var other = try begun().machine
        #expect(throws: HTTP1ParseError.invalidStatusLine) {
            try read(&other, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
        }
    }

    @Test func `another protocol is entered when it was asked for, and only then the bytes after the head are not HTTP`() throws {
        var machine = HTTP1ClientMachine(limits: .init())
        var request = HTTPClientRequest(url: try HTTPURL(parsing: "http://a.test/x"), headers: ["upgrade": "ignored"])
        request.upgrade = "websocket"
        var out: [UInt8] = []
        try machine.begin(request, close: false, into: &out)
        #expect(
            String(decoding: out, as: UTF8.self)
                == "GET /x HTTP/1.1\r\nhost: a.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        let step = try Array((head + "xyz").utf8).withUnsafeBytes { try machine.head(in: $0) }
        guard case .head(let answer, let consumed) = step else { Issue.record("expected a head"); return }
        #expect(answer.status == 101 && consumed == head.utf8.count && machine.isUpgraded)
        // A server may also decline.
        var declined = HTTP1ClientMachine(limits: .init())
        try declined.begin(request, close: false, into: &out)
        #expect(try #require(try read(&declined, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")).2)
    }

    @Test func `a response before the end of the request is the connection's last`() throws {
        var machine = try begun(.post, body: .stream(length: nil) { nil }).machine
        let read = try #require(try read(&machine, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"))
        #expect(read.0 == 413 && !read.2)
    }
}
