import KarsCore
import Testing

@Suite struct `HTTP/1.1 request parser` {
    static let request = Array(
        "POST /v1/x?y=%20 HTTP/1.1\r\nHost: a.example:80\r\nContent-Length: 3\r\nX-Text: caf\u{e9} \tz \r\nEmpty:\r\n\r\nabc".utf8
    )

    private func parse(_ text: String) throws(HTTP1ParseError) -> HTTP1RequestParser.Step {
        var parser = HTTP1RequestParser()
        return try parser.parse(Array(text.utf8))
    }

    @Test func `a head is read with its fields and framing`() throws {
        var parser = HTTP1RequestParser()
        guard case .head(let head, let framing, let consumed) = try parser.parse(Self.request) else {
            Issue.record("incomplete")
            return
        }
        #expect(head.method == .post && head.target == "/v1/x?y=%20" && head.path == "/v1/x" && head.query == "y=%20")
        #expect(head.headers["x-text"] == "caf\u{e9} \tz" && head.headers["empty"] == "" && head.headers.count == 4)
        #expect(framing == .length(3) && consumed == Self.request.count - 3)
    }

    @Test(arguments: 0..<(request.count - 3))
    func `every prefix needs more bytes`(count: Int) throws {
        var parser = HTTP1RequestParser()
        #expect(try parser.parse(Array(Self.request[..<count])) == .needMoreBytes)
        var whole = HTTP1RequestParser()
        let expected = try whole.parse(Self.request)
        #expect(try parser.parse(Self.request) == expected)
    }

    @Test func `a head that comes byte by byte is the same head`() throws {
        var parser = HTTP1RequestParser()
        var step = HTTP1RequestParser.Step.needMoreBytes
        for count in 1...(Self.request.count - 3) { step = try parser.parse(Array(Self.request[..<count])) }
        var whole = HTTP1RequestParser()
        let expected = try whole.parse(Self.request)
        #expect(step == expected)
    }

    @Test func `one empty line before a request is skipped and a second refused`() throws {
        #expect(try parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") != .needMoreBytes)
        #expect(throws: HTTP1ParseError.invalidMethod) { try parse("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") }
    }

    @Test(arguments: [
        (
            "Content-Length and Transfer-Encoding", "Content-Length: 3\r\nTransfer-Encoding: chunked",
            HTTP1ParseError.contentLengthWithTransferEncoding
        ),
        ("differing lengths", "Content-Length: 3\r\nContent-Length: 4", .differingContentLengths),
        ("a list of lengths", "Content-Length: 3, 3", .invalidContentLength),
        ("a signed length", "Content-Length: +3", .invalidContentLength),
        ("a negative length", "Content-Length: -3", .invalidContentLength),
        ("a hexadecimal length", "Content-Length: 0x3", .invalidContentLength),
        ("an empty length", "Content-Length:", .invalidContentLength),
        ("an absurd length", "Content-Length: 99999999999999999999", .invalidContentLength),
        ("gzip coding", "Transfer-Encoding: gzip, chunked", .unsupportedTransferEncoding),
        ("identity coding", "Transfer-Encoding: identity", .unsupportedTransferEncoding),
        ("quoted coding", "Transfer-Encoding: \"chunked\"", .unsupportedTransferEncoding),
        ("chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .unsupportedTransferEncoding),
        ("a vertical tab before chunked", "Transfer-Encoding: \u{b}chunked", .invalidByte(0x0b, offset: 53)),
        ("a folded line", "A: b\r\n c", .foldedLine),
        ("a line folded with a tab", "A: b\r\n\tc", .foldedLine),
        ("space before the colon", "Content-Length : 3", .spaceBeforeColon),
        ("a tab before the colon", "Content-Length\t: 3", .spaceBeforeColon),
        ("no colon", "abc", .missingColon),
        ("no name", ": b", .emptyFieldName),
        ("a bare carriage return", "A: b\rc", .invalidByte(0x0d, offset: 38)),
        ("a bare line feed", "A: b\nB: c", .bareLineFeed(offset: 38)),
        ("a NUL", "A: b\u{0}c", .invalidByte(0, offset: 38)),
        ("a delete character", "A: b\u{7f}c", .invalidByte(0x7f, offset: 38)),
        ("a name outside ASCII", "\u{e9}: b", .invalidByte(0xc3, offset: 34)),
        ("a second host", "Host: a", .duplicateHost),
    ])
    func `what two readers could understand differently is refused`(name: String, fields: String, error: HTTP1ParseError) {
        #expect(throws: error, "\(name)") { try parse("POST /abcdefgh HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n") }
    }

    @Test(arguments: [
        ("GET  / HTTP/1.1\r\nHost: a", HTTP1ParseError.invalidTarget),
        ("GET /a b HTTP/1.1\r\nHost: a", .invalidRequestLine),
        ("GET / HTTP/1.1 \r\nHost: a", .invalidRequestLine),
        (" GET / HTTP/1.1\r\nHost: a", .invalidMethod),
        ("G@T / HTTP/1.1\r\nHost: a", .invalidMethod),
        ("GET /\r\nHost: a", .invalidTarget),
        ("GET / HTTP/2.0\r\nHost: a", .unsupportedVersion),
        ("GET / http/1.1\r\nHost: a", .invalidRequestLine),
        ("GET / HTTP/1.10\r\nHost: a", .invalidRequestLine),
        ("GET a HTTP/1.1\r\nHost: a", .invalidTarget),
        ("GET /\u{e9} HTTP/1.1\r\nHost: a", .invalidTarget),
        ("GET /#x HTTP/1.1\r\nHost: a", .invalidTarget),
        ("GET * HTTP/1.1\r\nHost: a", .invalidTarget),
        ("GET / HTTP/1.1", .missingHost),
        ("GET / HTTP/1.1\r\nHost:", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a b", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a@b", .invalidHost),
        ("GET / HTTP/1.1\r\nHost: a/b", .invalidHost),
        ("GET http://a/ HTTP/1.1\r\nHost: b", .hostMismatch),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a", .hostMismatch),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a", .invalidTarget),
        ("CONNECT a HTTP/1.1\r\nHost: a", .invalidTarget),
        ("CONNECT /x HTTP/1.1\r\nHost: a", .invalidTarget),
        ("CONNECT a:443 HTTP/1.1\r\nHost: b:443", .hostMismatch),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:80", .hostMismatch),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked", .transferEncodingInHTTP10),
    ])
    func `a malformed or contradictory request is refused`(text: String, error: HTTP1ParseError) {
        #expect(throws: error) { try parse(text + "\r\n\r\n") }
    }

    @Test(arguments: [
        "GET http://A.example/x HTTP/1.1\r\nHost: a.EXAMPLE", "GET http://a:80/ HTTP/1.1\r\nHost: a",
        "OPTIONS * HTTP/1.1\r\nHost: a",
        "CONNECT a:443 HTTP/1.1\r\nHost: a:443", "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]", "GET / HTTP/1.0",
        "POST / HTTP/1.1\r\nHost: [::1]:8080\r\nContent-Length: 3\r\nContent-Length: 3", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8443",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: CHUNKED",
    ])
    func `every form of target and host that agrees is accepted`(text: String) throws {
        #expect(try parse(text + "\r\n\r\n") != .needMoreBytes)
    }

    @Test func `limits hold to the byte`() throws {
        let line = "GET /\(String(repeating: "a", count: 8192 - 14)) HTTP/1.1"
        #expect(line.utf8.count == 8192)
        #expect(try parse(line + "\r\nHost: a\r\n\r\n") != .needMoreBytes)
        #expect(throws: HTTP1ParseError.requestLineTooLong(limitBytes: 8192)) {
            try parse("GET /\(String(repeating: "a", count: 8192 - 13)) HTTP/1.1\r\n")
        }
        #expect(throws: HTTP1ParseError.requestLineTooLong(limitBytes: 8192)) { try parse(String(repeating: "A", count: 8194)) }
        let start = "GET / HTTP/1.1\r\nHost: a\r\n"
        #expect(try parse(start + String(repeating: "A: b\r\n", count: 99) + "\r\n") != .needMoreBytes)
        #expect(throws: HTTP1ParseError.tooManyFields(limit: 100)) {
            try parse(start + String(repeating: "A: b\r\n", count: 100) + "\r\n")
        }
        let filler = String(repeating: "b", count: 65_536 - start.utf8.count - 7)
        #expect(try parse(start + "A: \(filler)\r\n\r\n") != .needMoreBytes)
        #expect(throws: HTTP1ParseError.headerTooLarge(limitBytes: 65_536)) { try parse(start + "A: \(filler)b\r\n\r\n") }
    }
}
