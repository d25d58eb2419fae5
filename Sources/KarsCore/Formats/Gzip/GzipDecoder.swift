internal import CZlib

/// Reads gzip as it arrives: compressed bytes go in with `push`, content comes out with `read` in pieces of the caller's
/// size, so that a small input that unfolds to a large output never stands in memory as a whole.
package struct GzipDecoder: ~Copyable, Sendable {
    /// On the heap because zlib keeps the address of its stream. Owned by this value alone and touched only by its
    /// mutating methods and `deinit`, hence safe to send.
    private nonisolated(unsafe) let stream: UnsafeMutablePointer<z_stream>
    private let limits: GzipLimits
    private var input: [UInt8] = []
    /// Of `input`, what zlib has taken.
    private var taken = 0
    private var totalIn = 0
    private var totalOut = 0
    private var state = State.betweenMembers

    private enum State { case betweenMembers, inMember, failed(GzipError) }

    package init(limits: GzipLimits) {
        self.limits = limits
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // 16 more than the largest window: gzip, and nothing but gzip.
        let status = inflateInit2_(stream, 15 + 16, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib cannot decompress: out of memory")
    }

    deinit {
        inflateEnd(stream)
        stream.deinitialize(count: 1)
        stream.deallocate()
    }

    /// Adds compressed bytes. They are kept until `read` has used them: read until it is empty before adding more.
    package mutating func push(_ bytes: some Collection<UInt8>) {
        if taken == input.count {
            input.removeAll(keepingCapacity: true)
            taken = 0
        }
        input.append(contentsOf: bytes)
    }

    /// The next content, at most `maxBytes` of it; empty when more input is needed or the text is over. An error stays.
    package mutating func read(upTo maxBytes: Int = 64 << 10) throws(GzipError) -> [UInt8] {
        precondition(maxBytes > 0)
        if case .failed(let error) = state { throw error }
        do throws(GzipError) {
            while taken < input.count || isInMember {
                let output = try inflate(upTo: min(maxBytes, 1 << 30))
                if !output.isEmpty { return output }
                if taken == input.count { break }
            }
            return []
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// To be called at the end of the input, once `read` is empty: throws `truncated` inside a member and for no gzip at all.
    package mutating func finish() throws(GzipError) {
        switch state {
        case .failed(let error): throw error
        case .betweenMembers where totalIn > 0 && taken == input.count: return
        case .betweenMembers, .inMember: throw .truncated(offset: totalIn)
        }
    }

    private var isInMember: Bool {
        if case .inMember = state { true } else { false }
    }

    /// One call into zlib. Empty output with input left means that a member ended.
    private mutating func inflate(upTo maxBytes: Int) throws(GzipError) -> [UInt8] {
        let available = min(input.count - taken, 1 << 30)
        var status = Z_OK
        var used = 0
        let stream = stream
        let start = taken
        // One byte above the limit tells "exactly at" from "beyond".
        let room = limits.maxBytes - totalOut
        let capacity = room < maxBytes ? room + 1 : maxBytes
        let output = input.withUnsafeMutableBufferPointer { input in
            [UInt8](unsafeUninitializedCapacity: capacity) { output, written in
                stream.pointee.next_in = input.baseAddress.map { $0 + start }
                stream.pointee.avail_in = UInt32(available)
                stream.pointee.next_out = output.baseAddress
                stream.pointee.avail_out = UInt32(capacity)
                status = CZlib.inflate(stream, Z_NO_FLUSH)
                used = available - Int(stream.pointee.avail_in)
                written = capacity - Int(stream.pointee.avail_out)
            }
        }
        taken += used
        totalIn += used
        totalOut += output.count
        if used > 0 { state = .inMember }
        switch status {
        case Z_STREAM_END:
            inflateReset(stream)
            state = .betweenMembers
        case Z_OK, Z_BUF_ERROR: break
        default:
            let reason = stream.pointee.msg.map { String(cString: $0) } ?? "damaged"
            throw .malformed(reason: reason, offset: totalIn)
        }
        guard totalOut <= limits.maxBytes else { throw .tooLarge(limit: limits.maxBytes) }
        guard totalOut <= GzipLimits.unmeasuredBytes || totalOut / limits.maxRatio <= totalIn else {
            throw .expandsTooMuch(maxRatio: limits.maxRatio)
        }
        return output
    }
}
