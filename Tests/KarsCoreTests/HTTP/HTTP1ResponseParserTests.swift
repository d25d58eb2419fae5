import KarsCore
import Testing

@Suite struct `HTTP/1.1 response parser` {
    static let response = Array("HTTP/1.1 404 Not Here\r\nContent-Length: 5\r\nSet-Cookie: a\r\n\r\nhello".utf8)

    private func parse(_ text: String, answering method: HTTPMethod = .get) throws(HTTP1ParseError) -> HTTP1ResponseParser.Step {
        var parser = HTTP1ResponseParser(answering: method)
        return try parser.parse(Array(text.utf8))
    }

    private func framing(_ text: String, answering method: HTTPMethod = .get) throws -> HTTPBodyFraming? {
        guard case .head(_, let framing, _) = try parse(text, answering: method) else { return nil }
        return framing
    }

    @Test(arguments: 0..<(response.count - 5))
    func `every prefix needs more bytes and the rest completes it`(count: Int) throws {
        var parser = HTTP1ResponseParser(answering: .get)
        #expect(try parser.parse(Array(Self.response[..<count])) == .needMoreBytes)
        guard case .head(let head, let framing, let consumed) = try parser.parse(Self.response) else {
            Issue.record("incomplete")
            return
        }
        #expect(head.status == 404 && head.reason == "Not Here" && head.headers["set-cookie"] == "a")
        #expect(framing == .length(5) && consumed == Self.response.count - 5)
    }

    @Test func `the body's end follows from status, method and fields`() throws {
        #expect(try framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") == .chunked)
        #expect(try framing("HTTP/1.1 200 OK\r\n\r\n") == .untilClose)
        #expect(try framing("HTTP/1.0 200\r\n\r\n") == .untilClose)
        #expect(try framing("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") == HTTPBodyFraming.none)
        #expect(try framing("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", answering: .head) == HTTPBodyFraming.none)
        #expect(try framing("HTTP/1.1 204 No Content\r\n\r\n") == HTTPBodyFraming.none)
        #expect(try framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n") == HTTPBodyFraming.none)
        #expect(try framing("HTTP/1.1 200 OK\r\n\r\n", answering: .connect) == HTTPBodyFraming.none)
    }

    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "HTTP/1.1 99 x\r\n\r\n", "HTTP/1.1 600 x\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\n A: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\u{0}\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ])
    func `an ambiguous or malformed answer is refused`(text: String) {
        #expect(throws: HTTP1ParseError.self) { try parse(text) }
    }
}
