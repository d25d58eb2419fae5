/// Output of a connection that the kernel has not taken yet, in its order.
///
/// Pieces are collected in one buffer, so that head, body and last chunk leave together; a large piece is kept as it is and
/// sent beside what was collected before it, not copied. What was sent is given back when bytes are added, so that an output
/// that never runs empty holds no more than about twice what is still to be sent.
struct OutgoingBytes {
    /// From this size a piece is kept as it is.
    private static let largeBytes = 16_384
    /// Memory for a typical answer, kept while nothing waits.
    private static let keptBytes = 16_384
    /// Sent bytes that are not worth moving what comes after them.
    private static let slackBytes = 65_536

    private var collected: [UInt8] = []
    private var collectedStart = 0
    private var large: [UInt8] = []
    private var largeStart = 0

    /// Bytes still to be sent.
    var count: Int { collected.count - collectedStart + large.count - largeStart }

    /// Memory that is held for them.
    var heldBytes: Int { collected.capacity + large.capacity }

    mutating func append(_ bytes: [UInt8]) {
        if bytes.count >= Self.largeBytes, large.isEmpty {
            large = bytes
        } else {
            bytes.withUnsafeBytes { append($0) }
        }
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        if large.isEmpty {
            Self.dropSent(&collected, &collectedStart)
            collected.append(contentsOf: bytes)
        } else {
            Self.dropSent(&large, &largeStart)
            large.append(contentsOf: bytes)
        }
    }

    /// As `append`, without a copy where nothing waits before them: for bytes that nobody else keeps.
    mutating func append(taking bytes: consuming [UInt8]) {
        if count == 0 {
            removeAll()
            collected = bytes
        } else {
            append(bytes)
        }
    }

    /// Lets `body` append in place where that is possible; nothing is added when it throws.
    @inline(__always)
    mutating func build<Failure: Error>(_ body: (inout [UInt8]) throws(Failure) -> Void) throws(Failure) {
        guard large.isEmpty else {
            var bytes: [UInt8] = []
            try body(&bytes)
            return append(bytes)
        }
        Self.dropSent(&collected, &collectedStart)
        let count = collected.count
        do throws(Failure) { try body(&collected) } catch {
            collected.removeSubrange(count...)
            throw error
        }
    }

    /// What is to be sent: the second part is empty unless a large piece waits, the first may be empty then.
    @inline(__always)
    func withParts<Value>(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Value) -> Value {
        collected.withUnsafeBytes { collected in
            large.withUnsafeBytes { large in
                body(
                    UnsafeRawBufferPointer(rebasing: collected[collectedStart...]),
                    UnsafeRawBufferPointer(rebasing: large[largeStart...]))
            }
        }
    }

    /// The first `count` bytes have been sent.
    mutating func consume(_ count: Int) {
        let first = min(count, collected.count - collectedStart)
        collectedStart += first
        largeStart += count - first
        if collectedStart == collected.count {
            collected.removeAll(keepingCapacity: collected.capacity <= Self.keptBytes)
            collectedStart = 0
        }
        if largeStart == large.count {
            large = []
            largeStart = 0
        }
    }

    /// For a connection that will be idle.
    mutating func releaseMemory() {
        if collected.isEmpty { collected = [] }
    }

    mutating func removeAll() {
        (collected, large) = ([], [])
        (collectedStart, largeStart) = (0, 0)
    }

    /// Moves at most as many bytes as were sent since the last time.
    @inline(__always)
    private static func dropSent(_ buffer: inout [UInt8], _ start: inout Int) {
        guard start >= slackBytes, start * 2 >= buffer.count else { return }
        buffer.removeSubrange(..<start)
        start = 0
    }
}
