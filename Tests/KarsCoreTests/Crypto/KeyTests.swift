import KarsCore
import KarsTesting
import Testing

@Suite struct `Signatures and key agreement` {
    // RFC 8032 §7.1, tests 1 to 3.
    @Test(arguments: [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
        (
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ])
    func `the vectors of RFC 8032 hold`(seed: String, publicKey: String, message: String, signature: String) throws {
        let key = try Ed25519.PrivateKey(seed: try #require(Hex.decode(seed)))
        let message = try #require(Hex.decode(message))
        #expect(Hex.encode(key.publicKey.rawBytes) == publicKey)
        #expect(Hex.encode(key.seed.reveal()) == seed)
        #expect(Hex.encode(key.sign(message)) == signature)
        #expect(key.publicKey.isValid(try #require(Hex.decode(signature)), for: message))
    }

    @Test func `one changed bit anywhere in a signature makes it invalid`() {
        let key = Ed25519.PrivateKey()
        let message = Array("head of the chain".utf8)
        let signature = key.sign(message)
        for bit in 0..<512 {
            var altered = signature
            altered[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(!key.publicKey.isValid(altered, for: message))
        }
        #expect(!key.publicKey.isValid(signature, for: message.dropLast()))
        #expect(!key.publicKey.isValid(signature.dropLast(), for: message))
        #expect(!Ed25519.PrivateKey().publicKey.isValid(signature, for: message))
    }

    @Test func `a public key of small order verifies nothing`() throws {
        // The neutral element: without the check, (R = 1, S = 0) would sign every message.
        let neutral = [1] + [UInt8](repeating: 0, count: 31)
        let key = try Ed25519.PublicKey(rawBytes: neutral)
        #expect(!key.isValid(neutral + [UInt8](repeating: 0, count: 32), for: Array("anything".utf8)))
    }

    // RFC 7748 §6.1.
    @Test func `the vectors of RFC 7748 hold`() throws {
        let alice = try X25519.PrivateKey(
            rawBytes: try #require(Hex.decode("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")))
        let bob = try X25519.PrivateKey(
            rawBytes: try #require(Hex.decode("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")))
        #expect(
            Hex.encode(alice.publicKey.rawBytes) == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
        #expect(Hex.encode(bob.publicKey.rawBytes) == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f")
        let secret = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        #expect(Hex.encode(try alice.sharedSecret(with: bob.publicKey)) == secret)
        #expect(Hex.encode(try bob.sharedSecret(with: alice.publicKey)) == secret)
    }

    @Test func `a key of small order yields no secret`() throws {
        let zero = try X25519.PublicKey(rawBytes: [UInt8](repeating: 0, count: 32))
        #expect(throws: CryptoError.unsafePublicKey) { try X25519.PrivateKey().sharedSecret(with: zero) }
    }

    @Test func `wrong lengths are refused with both numbers`() {
        #expect(throws: CryptoError.wrongLength(of: "Ed25519 seed", expected: 32, got: 31)) {
            try Ed25519.PrivateKey(seed: [UInt8](repeating: 0, count: 31))
        }
        #expect(throws: CryptoError.wrongLength(of: "Ed25519 public key", expected: 32, got: 33)) {
            try Ed25519.PublicKey(rawBytes: [UInt8](repeating: 0, count: 33))
        }
        #expect(throws: CryptoError.wrongLength(of: "X25519 private key", expected: 32, got: 0)) {
            try X25519.PrivateKey(rawBytes: [])
        }
        #expect(throws: CryptoError.wrongLength(of: "X25519 public key", expected: 32, got: 1)) {
            try X25519.PublicKey(rawBytes: [9])
        }
    }

    @Test func `secret bytes print as nothing`() {
        let secret = SecretBytes(copying: Array("hunter2".utf8), storage: .guarded)
        #expect("\(secret) \(String(reflecting: secret))" == "<redacted> <redacted>")
        #expect(Array(secret) == Array("hunter2".utf8))
        #expect(String(reflecting: Ed25519.PrivateKey()).contains("material: <redacted>"))
    }
}
