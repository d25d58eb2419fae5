@testable import KarsCore
import KarsTesting
import Testing

@Suite struct `Sealing and stretching` {
    // draft-irtf-cfrg-xchacha-03 §A.3.1.
    @Test func `the published XChaCha20-Poly1305 vector holds`() throws {
        let plaintext = Array(
            "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
                .utf8)
        let context = try #require(Hex.decode("50515253c0c1c2c3c4c5c6c7"))
        let key = try AEAD.Key(rawBytes: Array(0x80...0x9f))
        let nonce: [UInt8] = Array(0x40...0x57)
        let sealed = AEAD.seal(plaintext, authenticating: context, key: key, nonce: nonce)
        #expect(
            Hex.encode(sealed.dropFirst(24))
                == "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39"
                + "ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9"
                + "21f9664c97637da9768812f615c68b13b52ec0875924c1c7987947deafd8780acf49")
        #expect(try AEAD.open(sealed, authenticating: context, key: key) == plaintext)
    }

    @Test(arguments: [0, 1, 15, 16, 17, 1000])
    func `what was sealed opens, and nothing else does`(count: Int) throws {
        let key = AEAD.Key()
        let plaintext = SecureRandom.bytes(count)
        let sealed = AEAD.seal(plaintext, authenticating: [1, 2], key: key)
        #expect(sealed.count == count + AEAD.nonceBytes + AEAD.tagBytes)
        #expect(try AEAD.open(sealed, authenticating: [1, 2], key: key) == plaintext)
        #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed, key: key) }
        #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed, authenticating: [1, 2], key: AEAD.Key()) }
        for position in sealed.indices {
            var altered = sealed
            altered[position] ^= 0x80
            #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(altered, authenticating: [1, 2], key: key) }
        }
        for end in sealed.indices {
            #expect(throws: CryptoError.authenticationFailed) { try AEAD.open(sealed[..<end], authenticating: [1, 2], key: key) }
        }
    }

    @Test func `the same text is never sealed to the same bytes`() {
        let key = AEAD.Key()
        #expect(AEAD.seal([1], key: key) != AEAD.seal([1], key: key))
    }

    // Computed with OpenSSL 3.5: t = 2, m = 64 KiB, one lane.
    @Test func `Argon2id agrees with another implementation`() throws {
        let key = try Argon2id.derive(
            from: Array("password".utf8), salt: Array("somesalt12345678".utf8), cost: .init(passes: 2, memoryBytes: 64 << 10))
        #expect(Hex.encode(key) == "d1dd9f4bfa15a408c1ae553f4c84aa83d73afcdb94a3b5b597e8eb201489b96b")
    }

    @Test func `a cost out of range is refused before any memory is taken`() {
        let salt = [UInt8](repeating: 0, count: 16)
        for cost in [
            Argon2id.Cost(passes: 0, memoryBytes: 8192), .init(passes: 17, memoryBytes: 8192),
            .init(passes: 1, memoryBytes: 8191),
            .init(passes: 1, memoryBytes: Argon2id.Cost.limit.memoryBytes + 1),
        ] {
            #expect(throws: CryptoError.self) { try Argon2id.derive(from: [1], salt: salt, cost: cost) }
        }
        #expect(throws: CryptoError.wrongLength(of: "Argon2id salt", expected: 16, got: 8)) {
            try Argon2id.derive(from: [1], salt: salt.prefix(8))
        }
    }

    @Test func `comparison sees every byte and the length`() {
        let bytes = SecureRandom.bytes(100)
        #expect(ConstantTime.equal(bytes, bytes[...]))
        for position in bytes.indices {
            var other = bytes
            other[position] ^= 1
            #expect(!ConstantTime.equal(bytes, other))
        }
        #expect(!ConstantTime.equal(bytes, bytes.dropLast()))
        #expect(ConstantTime.equal([UInt8](), [UInt8]()))
    }

    @Test func `random bytes differ from call to call`() {
        #expect(SecureRandom.bytes(32) != SecureRandom.bytes(32))
        #expect(SecureRandom.bytes(0) == [])
    }
}
