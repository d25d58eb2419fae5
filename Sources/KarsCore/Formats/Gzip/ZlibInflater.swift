internal import CZlib

/// Reads one zlib stream (RFC 1950) piece by piece, with a dictionary that both sides know beforehand. Each piece is a flush of the
/// sender and comes out whole; what it may come to is bounded.
package struct ZlibInflater: ~Copyable, Sendable {
    package enum Failure: Error, Equatable {
        case malformed
        case tooLarge(limitBytes: Int)
    }

    /// On the heap because zlib keeps the address of its stream. Owned by this value alone and touched only by its mutating methods and
    /// `deinit`, hence safe to send.
    private nonisolated(unsafe) let stream: UnsafeMutablePointer<z_stream>
    private let dictionary: [UInt8]
    private let maxPieceBytes: Int

    package init(dictionary: [UInt8], maxPieceBytes: Int) {
        self.dictionary = dictionary
        self.maxPieceBytes = maxPieceBytes
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        let status = inflateInit_(stream, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot decompress: out of memory")
    }

    deinit {
        inflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// What `piece` unfolds to. After a failure the stream is of no use.
    package mutating func inflate(_ piece: [UInt8]) throws(Failure) -> [UInt8] {
        var input = piece, output: [UInt8] = []
        let failure: Failure? = input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(clamping: input.count)
            defer { stream.pointee.next_in = nil }
            while true {
                var isFull = false
                var status = Z_OK
                output.append(
                    contentsOf: [UInt8](unsafeUninitializedCapacity: 4_096) { buffer, count in
                        stream.pointee.next_out = buffer.baseAddress
                        stream.pointee.avail_out = UInt32(buffer.count)
                        status = CZlib.inflate(stream, Z_SYNC_FLUSH)
                        count = buffer.count - Int(stream.pointee.avail_out)
                        isFull = stream.pointee.avail_out == 0
                    })
                if output.count > maxPieceBytes { return .tooLarge(limitBytes: maxPieceBytes) }
                switch status {
                case Z_NEED_DICT:
                    let set = dictionary.withUnsafeBufferPointer {
                        inflateSetDictionary(stream, $0.baseAddress, UInt32($0.count))
                    }
                    guard set == Z_OK else { return .malformed }
                case Z_OK where stream.pointee.avail_in > 0 || isFull: continue
                // Everything is read and written.
                case Z_OK, Z_BUF_ERROR: return stream.pointee.avail_in == 0 ? nil : .malformed
                default: return .malformed
                }
            }
        }
        if let failure { throw failure }
        return output
    }
}
