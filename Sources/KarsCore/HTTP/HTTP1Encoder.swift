/// Puts heads and chunks on the wire. A head that could break its frame is refused whole.
enum HTTP1Encoder {
    /// How the encoder announces the end of a body.
    enum Announcement: Equatable {
        /// Nothing is said: no body, or it ends with the connection, or the head says so itself.
        case none
        case length(Int)
        case chunked
    }

    enum Failure: Error, Equatable {
        case malformedField(String)
        case invalidStatus(Int)
        case invalidReason
        case invalidMethod
        case invalidTarget
    }

    static func response(
        _ head: HTTPResponseHead, version: HTTPVersion, announcing body: Announcement, connection: StaticString?, date: [UInt8],
        skippingContentLength: Bool = false, into out: inout [UInt8]
    ) throws(Failure) {
        if let name = head.headers.malformedName { throw .malformedField(name) }
        guard (100...599).contains(head.status) else { throw .invalidStatus(head.status) }
        let headers = head.headers
        out.reserveCapacity(out.count + headers.bytes.count + 4 * headers.count + 160)
        out.append(version == .http11 ? "HTTP/1.1 " : "HTTP/1.0 ")
        let status = UInt8(truncatingIfNeeded: head.status / 100)
        out.append(48 + status)
        out.append(48 + UInt8(truncatingIfNeeded: head.status / 10 % 10))
        out.append(48 + UInt8(truncatingIfNeeded: head.status % 10))
        out.append(0x20)
        if let reason = head.reason {
            let start = out.count
            out.append(contentsOf: reason.utf8)
            guard out[start...].allSatisfy(\.isFieldValueCharacter) else { throw .invalidReason }
        } else {
            out.append(HTTPReason.phrase(head.status))
        }
        out.append("\r\n")
        var hasDate = false
        headers.bytes.withUnsafeBufferPointer { bytes in
            for field in headers.fields {
                switch field.known {
                case .date: hasDate = true
                case .contentLength where skippingContentLength: continue
                default: break
                }
                append(field, of: bytes, to: &out)
            }
        }
        if !hasDate {
            out.append("date: ")
            out.append(contentsOf: date)
            out.append("\r\n")
        }
        append(body, to: &out)
        if let connection {
            out.append("connection: ")
            out.append(connection)
            out.append("\r\n")
        }
        out.append("\r\n")
    }

    /// `host` is added when the headers have none; framing fields in `headers` are left out.
    static func request(
        _ method: HTTPMethod, target: String, host: String, headers: HTTPHeaders, announcing body: Announcement, close: Bool,
        upgrade: String? = nil, into out: inout [UInt8]
    ) throws(Failure) {
        if let name = headers.malformedName { throw .malformedField(name) }
        out.reserveCapacity(out.count + headers.bytes.count + 4 * headers.count + target.utf8.count + host.utf8.count + 120)
        let name = method.rawValue
        guard !name.isEmpty, name.utf8.allSatisfy(\.isTokenCharacter) else { throw .invalidMethod }
        out.append(contentsOf: name.utf8)
        out.append(0x20)
        let start = out.count
        out.append(contentsOf: target.utf8)
        guard out.count > start, out[start...].allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw .invalidTarget }
        out.append(" HTTP/1.1\r\n")
        if !headers.contains(.host) {
            out.append("host: ")
            let start = out.count
            out.append(contentsOf: host.utf8)
            guard out.count > start, out[start...].allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw .invalidTarget }
            out.append("\r\n")
        }
        headers.bytes.withUnsafeBufferPointer { bytes in
            for field in headers.fields {
                switch field.known {
                case .contentLength, .transferEncoding, .connection, .keepAlive, .expect: continue
                case .upgrade where upgrade != nil: continue
                default: append(field, of: bytes, to: &out)
                }
            }
        }
        append(body, to: &out)
        if let upgrade {
            guard !upgrade.isEmpty, upgrade.utf8.allSatisfy(\.isTokenCharacter) else { throw .malformedField("upgrade") }
            out.append("connection: upgrade\r\nupgrade: ")
            out.append(contentsOf: upgrade.utf8)
            out.append("\r\n")
        } else if close {
            out.append("connection: close\r\n")
        }
        out.append("\r\n")
    }

    private static func append(_ body: Announcement, to out: inout [UInt8]) {
        switch body {
        case .none: break
        case .length(let count):
            out.append("content-length: ")
            out.append(decimal: count)
            out.append("\r\n")
        case .chunked: out.append("transfer-encoding: chunked\r\n")
        }
    }

    @inline(__always)
    private static func append(_ field: HTTPHeaders.Field, of bytes: UnsafeBufferPointer<UInt8>, to out: inout [UInt8]) {
        out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[field.name]))
        out.append(0x3a)
        out.append(0x20)
        out.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[field.value]))
        out.append(0x0d)
        out.append(0x0a)
    }

    /// The line that opens a chunk. No empty chunk: that would end the body.
    static func openChunk(_ count: Int, into out: inout [UInt8]) {
        precondition(count > 0, "an empty chunk ends the body")
        var shift = (Int.bitWidth - count.leadingZeroBitCount - 1) / 4 * 4
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: count >> shift & 15)
            out.append(digit < 10 ? 48 + digit : 87 + digit)
            shift -= 4
        }
        out.append("\r\n")
    }

    static let lastChunk: StaticString = "0\r\n\r\n"
    static let continueHead: StaticString = "HTTP/1.1 100 Continue\r\n\r\n"
}

extension [UInt8] {
    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func append(decimal number: Int) {
        guard number >= 10 else { return append(48 + UInt8(truncatingIfNeeded: number)) }
        var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
        Swift.withUnsafeMutableBytes(of: &digits) { digits in
            var index = digits.count
            var rest = number
            while rest > 0 {
                index -= 1
                digits[index] = 48 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            append(contentsOf: UnsafeRawBufferPointer(rebasing: digits[index...]))
        }
    }
}
