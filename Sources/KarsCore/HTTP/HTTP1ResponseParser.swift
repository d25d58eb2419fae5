/// Reads a response head from the front of a buffer, as strictly as a request's: a server that frames its answers ambiguously is
/// not one to share a connection with.
package struct HTTP1ResponseParser {
    package enum Step: Equatable {
        case needMoreBytes
        case head(HTTPResponseHead, HTTPBodyFraming, consumed: Int)
    }

    package struct Limits: Sendable, Equatable {
        package var maxStatusLineBytes = 8192
        package var maxHeaderBytes = 65_536
        package var maxFields = 100

        package init() {}
    }

    private let limits: Limits
    private let method: HTTPMethod
    private var scanner = HTTP1LineScanner()
    private var reader: HTTP1FieldReader
    private var start: (status: Int, reason: Range<Int>, version: HTTPVersion)?
    private var failure: HTTP1ParseError?

    /// `method` is that of the request: it decides whether a body follows.
    package init(answering method: HTTPMethod, limits: Limits = Limits()) {
        self.method = method
        self.limits = limits
        reader = HTTP1FieldReader(maxBytes: limits.maxHeaderBytes, maxFields: limits.maxFields)
    }

    package mutating func parse(_ bytes: [UInt8]) throws(HTTP1ParseError) -> Step {
        try bytes.withUnsafeBufferPointer { bytes throws(HTTP1ParseError) in try parse(UnsafeRawBufferPointer(bytes)) }
    }

    /// `bytes` begins where the first call's began. After a failure every call fails the same way.
    package mutating func parse(_ bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> Step {
        if let failure { throw failure }
        do throws(HTTP1ParseError) { return try step(bytes) } catch {
            failure = error
            throw error
        }
    }

    private mutating func step(_ bytes: UnsafeRawBufferPointer) throws(HTTP1ParseError) -> Step {
        while true {
            // As in the request parser: beyond a limit nothing is looked at.
            let lineLimit = limits.maxStatusLineBytes + 2
            let visible = UnsafeRawBufferPointer(
                rebasing: bytes.prefix(start == nil ? min(lineLimit, limits.maxHeaderBytes) : limits.maxHeaderBytes))
            guard let end = try scanner.line(in: visible) else {
                if start == nil, visible.count == lineLimit { throw .invalidStatusLine }
                guard bytes.count < limits.maxHeaderBytes else { throw .headerTooLarge(limitBytes: limits.maxHeaderBytes) }
                return .needMoreBytes
            }
            let begin = scanner.lineStart
            scanner.advance()
            guard let line = start else {
                start = try statusLine(visible, begin, end)
                reader.reserve(12)
                continue
            }
            guard begin < end else {
                let headers = HTTPHeaders(parsed: Array(visible[..<scanner.lineStart]), fields: reader.fields)
                let framing = try HTTP1Framing.ofResponse(headers, line.version, status: line.status, to: method)
                let reason = visible[line.reason]
                let phrase = HTTPReason.phrase(line.status)
                let isStandard = phrase.withUTF8Buffer { $0.elementsEqual(reason) }
                let head = HTTPResponseHead(
                    status: line.status, reason: isStandard ? nil : String(decoding: reason, as: UTF8.self),
                    version: line.version, headers: headers)
                return .head(head, framing, consumed: scanner.lineStart)
            }
            try reader.read(visible, begin, end)
        }
    }

    private func statusLine(
        _ bytes: UnsafeRawBufferPointer, _ begin: Int, _ end: Int
    ) throws(HTTP1ParseError) -> (status: Int, reason: Range<Int>, version: HTTPVersion) {
        let line = UnsafeRawBufferPointer(rebasing: bytes[begin..<end])
        guard line.count <= limits.maxStatusLineBytes, line.count >= 12, line.starts(with: "HTTP/".utf8) else {
            throw .invalidStatusLine
        }
        let version: HTTPVersion
        switch (line[5], line[6], line[7]) {
        case (UInt8(ascii: "1"), UInt8(ascii: "."), UInt8(ascii: "1")): version = .http11
        case (UInt8(ascii: "1"), UInt8(ascii: "."), UInt8(ascii: "0")): version = .http10
        default: throw .unsupportedVersion
        }
        var status = 0
        for digit in line[9..<12] {
            guard (48...57).contains(digit) else { throw .invalidStatusLine }
            status = status * 10 + Int(digit - 48)
        }
        // The space before an empty reason is commonly forgotten.
        guard line[8] == 0x20, (100...599).contains(status), line.count == 12 || line[12] == 0x20 else {
            throw .invalidStatusLine
        }
        return (status, min(begin + 13, end)..<end, version)
    }
}
