internal import CZlib

/// Gzip (RFC 1952) over zlib, bounded in size and in expansion: a kilobyte can otherwise become a megabyte, and a stranger
/// chooses the kilobyte.
package enum Gzip {
    /// The content of a whole gzip text of one or more members. `limit` is the most it may come to, in bytes.
    package static func decompress(_ bytes: [UInt8], limit: Int) throws(GzipError) -> [UInt8] {
        var decoder = GzipDecoder(limits: GzipLimits(maxBytes: limit))
        decoder.push(bytes)
        var output: [UInt8] = []
        while case let part = try decoder.read(), !part.isEmpty { output += part }
        try decoder.finish()
        return output
    }

    /// One member without name or time, so that equal content gives equal bytes. `level` is zlib's, 1 (fast) to 9 (small).
    package static func compress(_ bytes: [UInt8], level: Int = 6) -> [UInt8] {
        precondition((1...9).contains(level), "zlib has no level \(level)")
        var stream = z_stream()
        // 16 more than the largest window asks for gzip's header and trailer.
        let status = deflateInit2_(
            &stream, CInt(level), Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot compress: out of memory")
        defer { deflateEnd(&stream) }
        var input = bytes
        return input.withUnsafeMutableBufferPointer { input in
            let bound = Int(deflateBound(&stream, UInt(input.count)))
            return [UInt8](unsafeUninitializedCapacity: bound) { output, written in
                var read = 0
                // zlib counts in 32 bits, hence the steps.
                repeat {
                    let step = min(input.count - read, 1 << 30)
                    stream.next_in = input.baseAddress.map { $0 + read }
                    stream.avail_in = UInt32(step)
                    read += step
                    let isLast = read == input.count
                    repeat {
                        let room = min(output.count - written, 1 << 30)
                        stream.next_out = output.baseAddress.map { $0 + written }
                        stream.avail_out = UInt32(room)
                        let status = deflate(&stream, isLast ? Z_FINISH : Z_NO_FLUSH)
                        written += room - Int(stream.avail_out)
                        if status != Z_OK { break }
                    } while stream.avail_in > 0 || isLast
                } while read < input.count
            }
        }
    }
}

/// What a reader of gzip accepts.
package struct GzipLimits: Equatable, Sendable {
    /// Most content in bytes.
    package var maxBytes: Int
    /// Most bytes of content per byte of gzip, once there are more than `unmeasuredBytes`. Text comes to 3 to 10, a log
    /// full of repetition to 100; deflate itself ends near 1030.
    package var maxRatio: Int

    /// Content that is not held against the ratio: small texts may be one repeated character.
    package static let unmeasuredBytes = 256 << 10

    package init(maxBytes: Int, maxRatio: Int = 250) {
        self.maxBytes = maxBytes
        self.maxRatio = maxRatio
    }
}

/// Why gzip was refused.
package enum GzipError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Not gzip, or damaged; `offset` counts the compressed bytes up to where that showed.
    case malformed(reason: String, offset: Int)
    /// The text ends inside a member.
    case truncated(offset: Int)
    case tooLarge(limit: Int)
    case expandsTooMuch(maxRatio: Int)

    package var description: String {
        switch self {
        case .malformed(let reason, let offset): "gzip: \(reason) near byte \(offset)"
        case .truncated(let offset): "gzip: ends inside a member at byte \(offset)"
        case .tooLarge(let limit): "gzip: more than \(limit) bytes of content"
        case .expandsTooMuch(let ratio): "gzip: more than \(ratio) bytes of content per byte"
        }
    }
}
