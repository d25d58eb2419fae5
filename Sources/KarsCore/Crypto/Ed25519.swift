import CSodium

/// Signatures (RFC 8032): the audit chain's head, agent identities, signed cards.
package enum Ed25519 {
    package static let seedBytes = 32
    package static let publicKeyBytes = 32
    package static let signatureBytes = 64

    package struct PrivateKey: Sendable {
        /// As libsodium keeps it: the seed, then the public key.
        private let material: SecretBytes
        package let publicKey: PublicKey

        package init() { self.init(wholeSeed: SecretBytes.random(count: Ed25519.seedBytes)) }

        package init(seed: some Collection<UInt8>) throws(CryptoError) {
            guard seed.count == Ed25519.seedBytes else {
                throw .wrongLength(of: "Ed25519 seed", expected: Ed25519.seedBytes, got: seed.count)
            }
            self.init(wholeSeed: SecretBytes(copying: seed))
        }

        private init(wholeSeed seed: SecretBytes) {
            var publicBytes = [UInt8](repeating: 0, count: Ed25519.publicKeyBytes)
            material = SecretBytes(count: 64, storage: .guarded) { memory in
                seed.withUnsafeBytes { seed in
                    _ = crypto_sign_seed_keypair(&publicBytes, memory.bytes, seed.bytes)
                }
            }
            publicKey = PublicKey(unchecked: publicBytes)
        }

        /// What the key is made of again: for a file of mode 0600, nothing else.
        package var seed: Secret<[UInt8]> { Secret(Array(material.prefix(Ed25519.seedBytes))) }

        /// 64 bytes; the same message gives the same signature.
        package func sign(_ message: some Collection<UInt8>) -> [UInt8] {
            [UInt8](unsafeUninitializedCapacity: Ed25519.signatureBytes) { signature, count in
                message.withContiguousBytes { message in
                    material.withUnsafeBytes { key in
                        _ = crypto_sign_detached(
                            UnsafeMutableRawBufferPointer(signature).bytes, nil, message.bytes, UInt64(message.count), key.bytes)
                    }
                }
                count = Ed25519.signatureBytes
            }
        }
    }

    package struct PublicKey: Sendable, Hashable {
        package let rawBytes: [UInt8]

        package init(rawBytes: some Collection<UInt8>) throws(CryptoError) {
            guard rawBytes.count == Ed25519.publicKeyBytes else {
                throw .wrongLength(of: "Ed25519 public key", expected: Ed25519.publicKeyBytes, got: rawBytes.count)
            }
            self.rawBytes = Array(rawBytes)
        }

        fileprivate init(unchecked bytes: [UInt8]) { rawBytes = bytes }

        /// Strict: non-canonical encodings and keys of small order are never valid.
        package func isValid(_ signature: some Collection<UInt8>, for message: some Collection<UInt8>) -> Bool {
            Sodium.start()
            guard signature.count == Ed25519.signatureBytes else { return false }
            return signature.withContiguousBytes { signature in
                message.withContiguousBytes { message in
                    crypto_sign_verify_detached(signature.bytes, message.bytes, UInt64(message.count), rawBytes) == 0
                }
            }
        }
    }
}
