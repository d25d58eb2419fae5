import CSodium

/// Key material that is wiped when its last owner lets go, and that prints as `<redacted>`.
///
/// Immutable after creation, which is what makes sharing it between threads safe. A collection, so that key derivation and MACs take
/// it without a copy; copying it into an array gives up the wiping.
package final class SecretBytes: RandomAccessCollection, @unchecked Sendable, CustomStringConvertible, CustomReflectable {
    package enum Storage {
        /// Own pages between guard pages, locked into memory: for keys that live long. Some 10 µs and 4 pages each.
        case guarded
        /// The heap: for keys that live as long as a message.
        case heap
    }

    private let memory: UnsafeMutableRawBufferPointer
    private let storage: Storage

    /// `fill` must write every byte.
    init<Failure: Error>(
        count: Int, storage: Storage, fill: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        Sodium.start()
        let start: UnsafeMutableRawPointer
        switch storage {
        case .guarded:
            guard let pages = sodium_malloc(count) else { preconditionFailure("no memory for \(count) bytes of key") }
            start = pages
        case .heap: start = .allocate(byteCount: Swift.max(count, 1), alignment: 16)
        }
        memory = UnsafeMutableRawBufferPointer(start: start, count: count)
        self.storage = storage
        try fill(memory)
        if storage == .guarded { sodium_mprotect_readonly(start) }
    }

    package convenience init(copying bytes: some Collection<UInt8>, storage: Storage = .heap) {
        self.init(count: bytes.count, storage: storage) { memory in
            bytes.withContiguousBytes { memory.copyMemory(from: $0) }
        }
    }

    package static func random(count: Int, storage: Storage = .heap) -> SecretBytes {
        SecretBytes(count: count, storage: storage) { randombytes_buf($0.bytes, $0.count) }
    }

    deinit {
        guard let start = memory.baseAddress else { return }
        switch storage {
        case .guarded: sodium_free(start)
        case .heap:
            Self.wipe(memory)
            start.deallocate()
        }
    }

    /// Overwrites with zeros in a way that the compiler may not leave out.
    static func wipe(_ memory: UnsafeMutableRawBufferPointer) {
        if let start = memory.baseAddress { sodium_memzero(start, memory.count) }
    }

    package func withUnsafeBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(memory))
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { memory.count }
    package subscript(position: Int) -> UInt8 { memory[position] }

    package func withContiguousStorageIfAvailable<Result>(
        _ body: (UnsafeBufferPointer<UInt8>) throws -> Result
    ) rethrows -> Result? {
        defer { withExtendedLifetime(self) {} }
        return try UnsafeRawBufferPointer(memory).withMemoryRebound(to: UInt8.self, body)
    }

    package var description: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
