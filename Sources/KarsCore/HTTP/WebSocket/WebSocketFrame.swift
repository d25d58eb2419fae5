/// The first bytes of a WebSocket frame (RFC 6455 §5.2), without the payload.
struct WebSocketFrameHeader: Equatable {
    enum Opcode: UInt8 {
        case continuation = 0, text = 1, binary = 2
        case close = 8, ping = 9, pong = 10

        var isControl: Bool { rawValue >= 8 }
    }

    var isFinal: Bool
    var opcode: Opcode
    /// Four bytes in the order they are sent; nil from a server.
    var mask: UInt32?
    var payloadBytes: Int

    static let maxControlBytes = 125

    /// The header at the front of `bytes` and how long it is; nil when some of it is missing.
    ///
    /// No extension is ever agreed on, so reserved bits are errors; lengths must be in their shortest form.
    static func parse(_ bytes: ArraySlice<UInt8>) throws(WebSocketError) -> (header: WebSocketFrameHeader, consumed: Int)? {
        var reader = Reader(rest: bytes)
        guard let first = reader.byte() else { return nil }
        guard first & 0x70 == 0 else { throw .protocolError("a reserved bit is set") }
        guard let opcode = Opcode(rawValue: first & 0x0f) else { throw .protocolError("unknown opcode \(first & 0x0f)") }
        let isFinal = first & 0x80 != 0
        guard let second = reader.byte() else { return nil }
        if opcode.isControl, !isFinal || second & 0x7f > 125 { throw .protocolError("a control frame is fragmented or too long") }
        var length = UInt64(second & 0x7f)
        if length == 126 {
            guard let wide = reader.number(bytes: 2) else { return nil }
            guard wide > 125 else { throw .protocolError("a length is not in its shortest form") }
            length = wide
        } else if length == 127 {
            guard let wide = reader.number(bytes: 8) else { return nil }
            guard wide > 0xffff, let value = Int64(exactly: wide) else {
                throw .protocolError("a length is not in its shortest form, or beyond 63 bits")
            }
            length = UInt64(value)
        }
        var mask: UInt32?
        if second & 0x80 != 0 {
            guard let key = reader.number(bytes: 4) else { return nil }
            mask = UInt32(key)
        }
        let header = WebSocketFrameHeader(isFinal: isFinal, opcode: opcode, mask: mask, payloadBytes: Int(length))
        return (header, bytes.count - reader.rest.count)
    }

    func write(to out: inout [UInt8]) {
        out.append((isFinal ? 0x80 : 0) | opcode.rawValue)
        let masked: UInt8 = mask == nil ? 0 : 0x80
        switch payloadBytes {
        case ...125: out.append(masked | UInt8(payloadBytes))
        case ...0xffff:
            out.append(masked | 126)
            out.append(UInt8(payloadBytes >> 8))
            out.append(UInt8(payloadBytes & 0xff))
        default:
            out.append(masked | 127)
            for shift in stride(from: 56, through: 0, by: -8) { out.append(UInt8(truncatingIfNeeded: payloadBytes >> shift)) }
        }
        if let mask { for shift: UInt32 in [24, 16, 8, 0] { out.append(UInt8(truncatingIfNeeded: mask >> shift)) } }
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func byte() -> UInt8? { rest.popFirst() }

        mutating func number(bytes count: Int) -> UInt64? {
            guard rest.count >= count else { return nil }
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count).reduce(0) { $0 << 8 | UInt64($1) }
        }
    }
}

extension [UInt8] {
    /// XOR with the mask from `start` on (RFC 6455 §5.3); the same again undoes it.
    mutating func applyWebSocketMask(_ mask: UInt32, from start: Int) {
        let key = (
            UInt8(truncatingIfNeeded: mask >> 24), UInt8(truncatingIfNeeded: mask >> 16),
            UInt8(truncatingIfNeeded: mask >> 8), UInt8(truncatingIfNeeded: mask)
        )
        withUnsafeMutableBufferPointer { bytes in
            var index = start
            while index + 4 <= bytes.count {
                bytes[index] ^= key.0
                bytes[index + 1] ^= key.1
                bytes[index + 2] ^= key.2
                bytes[index + 3] ^= key.3
                index += 4
            }
            if index < bytes.count { bytes[index] ^= key.0 }
            if index + 1 < bytes.count { bytes[index + 1] ^= key.1 }
            if index + 2 < bytes.count { bytes[index + 2] ^= key.2 }
        }
    }
}

/// Why a WebSocket connection is over, or never was one.
package enum WebSocketError: Error, Equatable {
    /// What came is against RFC 6455.
    case protocolError(String)
    /// Text that is not UTF-8.
    case invalidText
    case tooLarge(limitBytes: Int)
    /// The opening handshake failed.
    case handshake(String)
    /// The connection ended without a closing handshake.
    case disconnected(String)
    case timedOut
    case cancelled
    /// Sending after the end.
    case closed

    /// What the peer is told (RFC 6455 §7.4.1); nil when nothing can be told.
    var closeCode: WebSocketCloseCode? {
        switch self {
        case .protocolError: .protocolError
        case .invalidText: .invalidPayload
        case .tooLarge: .messageTooBig
        case .handshake, .disconnected, .timedOut, .cancelled, .closed: nil
        }
    }
}

/// A status code of the closing handshake (RFC 6455 §7.4).
package struct WebSocketCloseCode: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let normal = WebSocketCloseCode(rawValue: 1000)
    package static let goingAway = WebSocketCloseCode(rawValue: 1001)
    package static let protocolError = WebSocketCloseCode(rawValue: 1002)
    package static let unsupportedData = WebSocketCloseCode(rawValue: 1003)
    package static let invalidPayload = WebSocketCloseCode(rawValue: 1007)
    package static let policyViolation = WebSocketCloseCode(rawValue: 1008)
    package static let messageTooBig = WebSocketCloseCode(rawValue: 1009)
    package static let internalError = WebSocketCloseCode(rawValue: 1011)

    /// Whether it may be sent: not the codes that only stand for the absence of one (1005, 1006, 1015) nor unassigned ones.
    var isSendable: Bool {
        switch rawValue {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
