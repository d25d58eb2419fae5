import CSodium

/// XChaCha20-Poly1305: encryption that also proves the text unaltered. Its nonce is long enough to be drawn at random.
package enum AEAD {
    package static let keyBytes = 32
    package static let nonceBytes = 24
    package static let tagBytes = 16

    package struct Key: Sendable {
        fileprivate let material: SecretBytes

        package init() { material = .random(count: AEAD.keyBytes, storage: .guarded) }

        package init(_ material: SecretBytes) throws(CryptoError) {
            guard material.count == AEAD.keyBytes else {
                throw .wrongLength(of: "AEAD key", expected: AEAD.keyBytes, got: material.count)
            }
            self.material = material
        }

        package init(rawBytes: some Collection<UInt8>) throws(CryptoError) { try self.init(SecretBytes(copying: rawBytes)) }
    }

    /// A fresh nonce, the ciphertext and the tag, in this order: `tagBytes + nonceBytes` longer than the plaintext.
    package static func seal(
        _ plaintext: some Collection<UInt8>, authenticating context: some Collection<UInt8> = [UInt8](), key: Key
    ) -> [UInt8] {
        let nonce = SecureRandom.bytes(nonceBytes)
        return seal(plaintext, authenticating: context, key: key, nonce: nonce)
    }

    /// As above with a chosen nonce, which must never meet the same key twice.
    static func seal(
        _ plaintext: some Collection<UInt8>, authenticating context: some Collection<UInt8>, key: Key, nonce: [UInt8]
    ) -> [UInt8] {
        precondition(nonce.count == nonceBytes, "a nonce of \(nonce.count) bytes")
        return plaintext.withContiguousBytes { plaintext in
            context.withContiguousBytes { context in
                key.material.withUnsafeBytes { key in
                    let total = nonceBytes + plaintext.count + tagBytes
                    return [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
                        let sealed = UnsafeMutableRawBufferPointer(buffer)
                        nonce.withUnsafeBytes { sealed.copyMemory(from: $0) }
                        crypto_aead_xchacha20poly1305_ietf_encrypt(
                            sealed.bytes + nonceBytes, nil, plaintext.bytes, UInt64(plaintext.count), context.bytes,
                            UInt64(context.count), nil, nonce, key.bytes)
                        count = total
                    }
                }
            }
        }
    }

    /// The plaintext of what `seal` gave; anything else, one bit apart, is refused.
    package static func open(
        _ sealed: some Collection<UInt8>, authenticating context: some Collection<UInt8> = [UInt8](), key: Key
    ) throws(CryptoError) -> [UInt8] {
        Sodium.start()
        let plaintextCount = sealed.count - nonceBytes - tagBytes
        guard plaintextCount >= 0 else { throw .authenticationFailed }
        var status: Int32 = -1
        let plaintext = sealed.withContiguousBytes { sealed in
            context.withContiguousBytes { context in
                key.material.withUnsafeBytes { key in
                    [UInt8](unsafeUninitializedCapacity: max(plaintextCount, 1)) { buffer, count in
                        status = crypto_aead_xchacha20poly1305_ietf_decrypt(
                            UnsafeMutableRawBufferPointer(buffer).bytes, nil, nil, sealed.bytes + nonceBytes,
                            UInt64(plaintextCount + tagBytes), context.bytes,
                            UInt64(context.count), sealed.bytes, key.bytes)
                        count = status == 0 ? plaintextCount : 0
                    }
                }
            }
        }
        guard status == 0 else { throw .authenticationFailed }
        return plaintext
    }
}
