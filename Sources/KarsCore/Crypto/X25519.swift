import CSodium

/// Agreement on a secret (RFC 7748).
package enum X25519 {
    package static let keyBytes = 32

    package struct PrivateKey: Sendable {
        private let material: SecretBytes
        package let publicKey: PublicKey

        /// Fresh. Ephemeral keys are many and short-lived: they stay on the heap.
        package init(storage: SecretBytes.Storage = .heap) {
            self.init(material: .random(count: X25519.keyBytes, storage: storage))
        }

        package init(rawBytes: some Collection<UInt8>, storage: SecretBytes.Storage = .guarded) throws(CryptoError) {
            guard rawBytes.count == X25519.keyBytes else {
                throw .wrongLength(of: "X25519 private key", expected: X25519.keyBytes, got: rawBytes.count)
            }
            self.init(material: SecretBytes(copying: rawBytes, storage: storage))
        }

        private init(material: SecretBytes) {
            self.material = material
            publicKey = PublicKey(
                unchecked: [UInt8](unsafeUninitializedCapacity: X25519.keyBytes) { buffer, count in
                    material.withUnsafeBytes { _ = crypto_scalarmult_base(UnsafeMutableRawBufferPointer(buffer).bytes, $0.bytes) }
                    count = X25519.keyBytes
                })
        }

        package var rawBytes: Secret<[UInt8]> { Secret(Array(material)) }

        /// 32 bytes to derive keys from, not to use as a key. A public key of small order is refused (RFC 7748 §6.1).
        package func sharedSecret(with peer: PublicKey) throws(CryptoError) -> SecretBytes {
            try SecretBytes(count: X25519.keyBytes, storage: .heap) { secret throws(CryptoError) in
                let status = material.withUnsafeBytes { crypto_scalarmult(secret.bytes, $0.bytes, peer.rawBytes) }
                guard status == 0 else { throw .unsafePublicKey }
            }
        }
    }

    package struct PublicKey: Sendable, Hashable {
        package let rawBytes: [UInt8]

        package init(rawBytes: some Collection<UInt8>) throws(CryptoError) {
            guard rawBytes.count == X25519.keyBytes else {
                throw .wrongLength(of: "X25519 public key", expected: X25519.keyBytes, got: rawBytes.count)
            }
            self.rawBytes = Array(rawBytes)
        }

        fileprivate init(unchecked bytes: [UInt8]) { rawBytes = bytes }
    }
}
