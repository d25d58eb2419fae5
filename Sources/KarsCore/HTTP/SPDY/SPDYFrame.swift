/// A frame of SPDY/3.1 (draft-mbelshe-httpbis-spdy-00 §2.2), as far as port-forward of Kubernetes clients needs it.
package enum SPDYFrame: Equatable, Sendable {
    /// SYN_STREAM; `headers` is a piece of the connection's compressed header stream.
    case open(stream: UInt32, isLast: Bool, headers: [UInt8])
    case data(stream: UInt32, isLast: Bool, [UInt8])
    /// RST_STREAM.
    case reset(stream: UInt32)
    case ping(id: UInt32)
    /// The peer opens no more streams.
    case goAway
    /// Nothing that matters here: settings, windows, further headers. What it holds of the header stream must still be read.
    case other(headers: [UInt8])
}

/// Cuts a byte stream into frames. Resumable; knows no sockets.
package struct SPDYFrameParser: Sendable {
    package enum Failure: Error, Equatable {
        case wrongVersion(UInt16)
        case tooLong(bytes: Int, limit: Int)
        case malformed(type: UInt16)
    }

    /// Of a frame's content.
    package static let maxFrameBytes = 1 << 20

    private var bytes: [UInt8] = []

    package init() {}

    /// Bytes that wait for the rest of their frame.
    package var heldBytes: Int { bytes.count }

    package mutating func push(_ more: some Collection<UInt8>) throws(Failure) -> [SPDYFrame] {
        bytes += more
        var frames: [SPDYFrame] = [], start = 0
        while bytes.count - start >= 8 {
            let length = Int(bytes[start + 5]) << 16 | Int(bytes[start + 6]) << 8 | Int(bytes[start + 7])
            guard length <= Self.maxFrameBytes else { throw .tooLong(bytes: length, limit: Self.maxFrameBytes) }
            guard bytes.count - start >= 8 + length else { break }
            frames.append(try Self.frame(bytes[start..<start + 8], Array(bytes[start + 8..<start + 8 + length])))
            start += 8 + length
        }
        bytes.removeFirst(start)
        return frames
    }

    private static func frame(_ head: ArraySlice<UInt8>, _ content: [UInt8]) throws(Failure) -> SPDYFrame {
        let first = number(head, 4)
        let flags = head[head.startIndex + 4], isLast = flags & 1 != 0
        guard first & 0x8000_0000 != 0 else { return .data(stream: first, isLast: isLast, content) }
        let version = UInt16(first >> 16 & 0x7fff), type = UInt16(first & 0xffff)
        guard version == 3 else { throw .wrongVersion(version) }
        func stream() throws(Failure) -> UInt32 {
            guard content.count >= 4 else { throw .malformed(type: type) }
            return number(content[...], 4) & 0x7fff_ffff
        }
        switch type {
        case 1:
            guard content.count >= 10 else { throw .malformed(type: type) }
            return .open(stream: try stream(), isLast: isLast, headers: Array(content[10...]))
        case 2, 8:
            _ = try stream()
            return .other(headers: Array(content[4...]))
        case 3: return .reset(stream: try stream())
        case 6:
            guard content.count == 4 else { throw .malformed(type: type) }
            return .ping(id: number(content[...], 4))
        case 7: return .goAway
        default: return .other(headers: [])
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>, _ count: Int) -> UInt32 {
        bytes.prefix(count).reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// Writes the frames of the answering side. Headers go out unpacked: a zlib stream of stored blocks, which any inflater reads.
package struct SPDYFrameEncoder: Sendable {
    private var hasBegun = false

    package init() {}

    /// SYN_REPLY without headers: the stream is accepted.
    package mutating func reply(to stream: UInt32) -> [UInt8] {
        var block: [UInt8] = []
        if !hasBegun {
            // Deflate with a window of 32 KiB, dictionary by its Adler-32 (RFC 1950 §2.2).
            block += [0x78, 0xbb] + Self.bytes(SPDYHeaders.dictionaryChecksum)
            hasBegun = true
        }
        // A stored block (RFC 1951 §3.2.4) with the number of headers: none.
        block += [0x00, 0x04, 0x00, 0xfb, 0xff, 0x00, 0x00, 0x00, 0x00]
        // An empty one, as a flush ends: inflaters that want to know the next block before they give this one out have it then.
        block += [0x00, 0x00, 0x00, 0xff, 0xff]
        return Self.control(type: 2, Self.bytes(stream) + block)
    }

    package static func data(stream: UInt32, isLast: Bool, _ content: [UInt8]) -> [UInt8] {
        bytes(stream & 0x7fff_ffff) + [isLast ? 1 : 0] + length(content) + content
    }

    /// `code` as in §2.6.3: 3 refused, 5 cancelled.
    package static func reset(stream: UInt32, code: UInt32) -> [UInt8] { control(type: 3, bytes(stream) + bytes(code)) }

    package static func ping(id: UInt32) -> [UInt8] { control(type: 6, bytes(id)) }

    private static func control(type: UInt16, _ content: [UInt8]) -> [UInt8] {
        [0x80, 0x03] + bytes(UInt32(type)).suffix(2) + [0] + length(content) + content
    }

    private static func bytes(_ number: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> UInt32($0)) }
    }

    private static func length(_ content: [UInt8]) -> [UInt8] { Array(bytes(UInt32(content.count)).suffix(3)) }
}
