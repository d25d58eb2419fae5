/// HMAC with SHA-256 (RFC 2104), in one call or in pieces. A copy of a fresh value skips hashing the key again.
package struct HMACSHA256: Sendable {
    package static let byteCount = SHA256.byteCount
    private static let blockBytes = 64

    private var inner = SHA256()
    private var outer = SHA256()

    /// Any key length is valid; less than 32 bytes weakens the code.
    package init(key: some Collection<UInt8>) {
        withUnsafeTemporaryAllocation(byteCount: Self.blockBytes, alignment: 8) { pad in
            let pad = pad.bindMemory(to: UInt8.self)
            pad.initialize(repeating: 0)
            key.withContiguousBytes { key in
                if key.count > Self.blockBytes {
                    _ = pad.update(fromContentsOf: SHA256.hash(key))
                } else {
                    UnsafeMutableRawBufferPointer(pad).copyMemory(from: key)
                }
            }
            for index in pad.indices { pad[index] ^= 0x36 }
            inner.update(UnsafeRawBufferPointer(pad))
            for index in pad.indices { pad[index] ^= 0x36 ^ 0x5c }
            outer.update(UnsafeRawBufferPointer(pad))
            SecretBytes.wipe(UnsafeMutableRawBufferPointer(pad))
        }
    }

    package mutating func update(_ bytes: some Collection<UInt8>) { inner.update(bytes) }

    /// The code of everything so far. The value itself is unchanged and may take more.
    package func finalize() -> [UInt8] {
        var last = outer
        last.update(inner.finalize())
        return last.finalize()
    }

    package static func authenticate(_ bytes: some Collection<UInt8>, key: some Collection<UInt8>) -> [UInt8] {
        var code = HMACSHA256(key: key)
        code.update(bytes)
        return code.finalize()
    }

    /// Compares in constant time.
    package static func isValid(
        _ code: some Collection<UInt8>, for bytes: some Collection<UInt8>, key: some Collection<UInt8>
    ) -> Bool {
        ConstantTime.equal(code, authenticate(bytes, key: key))
    }
}
