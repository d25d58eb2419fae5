/// Reads a request head from the front of a buffer, strictly: what two readers could understand differently is refused, never guessed
/// (RFC 9112; the refusals are the request smuggling attacks of the last decade).
///
/// Feed the same growing buffer until a head is found; then make a new parser for what follows `consumed`. It owns no
/// buffer.
package struct HTTP1RequestParser {
    package enum Step: Equatable {
        case needMoreBytes
        case head(HTTPRequestHead, HTTPBodyFraming, consumed: Int)
    }

    package struct Limits: Sendable, Equatable {
        package var maxRequestLineBytes = 8192
        /// Everything up to and including the empty line.
        package var maxHeaderBytes = 65_536
        package var maxFields = 100

        package init() {}
    }

    private let limits: Limits
    private var scanner = HTTP1LineScanner()
    private var reader: HTTP1FieldReader
    private var start: RequestLine?
    private var hasSkippedEmptyLine = false
    private var failure: HTTP1ParseError?

    private struct RequestLine {
        var method: HTTPMethod
        var target: Range<Int>
        var version: HTTPVersion
        var end: Int
    }

    package init(limits: Limits = Limits()) {
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
            // Beyond a limit nothing is looked at, so that the outcome does not depend on how the bytes were split.
            let lineLimit = scanner.lineStart + limits.maxRequestLineBytes + 2
            let visible = UnsafeRawBufferPointer(
                rebasing: bytes.prefix(start == nil ? min(lineLimit, limits.maxHeaderBytes) : limits.maxHeaderBytes))
            guard let end = try scanner.line(in: visible) else {
                if start == nil, visible.count == lineLimit {
                    throw .requestLineTooLong(limitBytes: limits.maxRequestLineBytes)
                }
                guard bytes.count < limits.maxHeaderBytes else { throw .headerTooLarge(limitBytes: limits.maxHeaderBytes) }
                return .needMoreBytes
            }
            let begin = scanner.lineStart
            scanner.advance()
            guard let line = start else {
                // One empty line before a request is left over from clients that end a body with one (RFC 9112 §2.2).
                if begin == end, !hasSkippedEmptyLine {
                    hasSkippedEmptyLine = true
                    continue
                }
                start = try requestLine(visible, begin, end)
                reader.reserve(12)
                continue
            }
            guard begin < end else { return try finish(visible, line, consumed: scanner.lineStart) }
            try reader.read(visible, begin, end)
        }
    }

    private func requestLine(
        _ bytes: UnsafeRawBufferPointer, _ begin: Int, _ end: Int
    ) throws(HTTP1ParseError) -> RequestLine {
        guard end - begin <= limits.maxRequestLineBytes else { throw .requestLineTooLong(limitBytes: limits.maxRequestLineBytes) }
        var methodEnd = begin
        while methodEnd < end, bytes[methodEnd].isTokenCharacter { methodEnd += 1 }
        guard methodEnd > begin, methodEnd - begin <= 32, methodEnd < end, bytes[methodEnd] == 0x20 else { throw .invalidMethod }
        let targetStart = methodEnd + 1
        var targetEnd = targetStart
        while targetEnd < end, bytes[targetEnd].isTargetCharacter { targetEnd += 1 }
        guard targetEnd > targetStart, targetEnd < end, bytes[targetEnd] == 0x20 else { throw .invalidTarget }
        let version = UnsafeRawBufferPointer(rebasing: bytes[(targetEnd + 1)..<end])
        guard version.count == 8, version.starts(with: "HTTP/".utf8), version[6] == UInt8(ascii: "."),
            (48...57).contains(version[5]), (48...57).contains(version[7])
        else { throw .invalidRequestLine }
        guard version[5] == UInt8(ascii: "1"), version[7] == UInt8(ascii: "1") || version[7] == UInt8(ascii: "0") else {
            throw .unsupportedVersion
        }
        return RequestLine(
            method: Self.method(UnsafeRawBufferPointer(rebasing: bytes[begin..<methodEnd])), target: targetStart..<targetEnd,
            version: version[7] == UInt8(ascii: "1") ? .http11 : .http10, end: end)
    }

    private static func method(_ bytes: UnsafeRawBufferPointer) -> HTTPMethod {
        switch bytes.count {
        case 3 where bytes[0] == UInt8(ascii: "G") && bytes[1] == UInt8(ascii: "E") && bytes[2] == UInt8(ascii: "T"): .get
        case 4 where bytes.loadUnaligned(as: UInt32.self).littleEndian == 0x5453_4f50: .post  // POST
        default: HTTPMethod(String(decoding: bytes, as: UTF8.self))
        }
    }

    private func finish(
        _ bytes: UnsafeRawBufferPointer, _ line: RequestLine, consumed: Int
    ) throws(HTTP1ParseError) -> Step {
        let headers = HTTPHeaders(parsed: Array(bytes[..<consumed]), fields: reader.fields)
        let framing = try HTTP1Framing.ofRequest(headers, line.version)
        let target = String(decoding: bytes[line.target], as: UTF8.self)
        try HTTP1Target.check(target, line.method, line.version, headers)
        let head = HTTPRequestHead(method: line.method, target: target, version: line.version, headers: headers)
        return .head(head, framing, consumed: consumed)
    }
}

extension UInt8 {
    /// Visible ASCII without the fragment mark and what no URI may contain (RFC 3986 §2).
    @inline(__always) fileprivate var isTargetCharacter: Bool {
        switch self {
        case 0x22, 0x23, 0x3c, 0x3e, 0x5c, 0x5e, 0x60, 0x7b, 0x7c, 0x7d: false
        default: self > 0x20 && self < 0x7f
        }
    }
}
