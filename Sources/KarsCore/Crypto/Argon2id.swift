import CSodium

/// Keys from passphrases (RFC 9106), slow and memory-hungry on purpose. Blocks: never on an event loop.
package enum Argon2id {
    package static let saltBytes = 16

    /// How dear one guess is. Stored beside what the key protects, so that it can be raised later.
    package struct Cost: Equatable, Sendable {
        /// Passes over the memory, at least 1.
        package var passes: Int
        /// At least 8 KiB; 1 lane.
        package var memoryBytes: Int

        package init(passes: Int, memoryBytes: Int) {
            self.passes = passes
            self.memoryBytes = memoryBytes
        }

        /// RFC 9106 §4, the second recommendation (t = 3, 64 MiB): about 0.1 s on a laptop.
        package static let interactive = Cost(passes: 3, memoryBytes: 64 << 20)
        /// What a stored cost may ask for at most: a forged header must not take the machine's memory.
        package static let limit = Cost(passes: 16, memoryBytes: 1 << 30)
    }

    package static func derive(
        from passphrase: some Collection<UInt8>, salt: some Collection<UInt8>, cost: Cost = .interactive, byteCount: Int = 32
    ) throws(CryptoError) -> SecretBytes {
        guard salt.count == saltBytes else { throw .wrongLength(of: "Argon2id salt", expected: saltBytes, got: salt.count) }
        guard byteCount >= 16, byteCount <= 1024 else { throw .parameterOutOfRange("\(byteCount) bytes of key") }
        guard cost.passes >= 1, cost.passes <= Cost.limit.passes else {
            throw .parameterOutOfRange("\(cost.passes) passes, 1 to \(Cost.limit.passes) are allowed")
        }
        guard cost.memoryBytes >= 8192, cost.memoryBytes <= Cost.limit.memoryBytes else {
            throw .parameterOutOfRange("\(cost.memoryBytes) bytes of memory, 8192 to \(Cost.limit.memoryBytes) are allowed")
        }
        return try SecretBytes(count: byteCount, storage: .guarded) { key throws(CryptoError) in
            let status = passphrase.withContiguousBytes { passphrase in
                salt.withContiguousBytes { salt in
                    crypto_pwhash(
                        key.bytes, UInt64(key.count), UnsafeRawPointer(passphrase.bytes).assumingMemoryBound(to: CChar.self),
                        UInt64(passphrase.count), salt.bytes, UInt64(cost.passes), cost.memoryBytes,
                        crypto_pwhash_ALG_ARGON2ID13)
                }
            }
            guard status == 0 else { throw .outOfMemory(bytes: cost.memoryBytes) }
        }
    }
}
