import KarsCore
import KarsTesting
import Testing

@Suite struct `SHA-256, HMAC and HKDF` {
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (String(repeating: "a", count: 1_000_000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ])
    func `the vectors of FIPS 180 hold`(message: String, digest: String) {
        #expect(Hex.encode(SHA256.hash(message.utf8)) == digest)
        #expect(Hex.encode(SHA256.hash(Array(message.utf8))) == digest)
    }

    @Test(arguments: 0...200)
    func `pieces hash as the whole`(cut: Int) {
        let bytes = (0..<200).map { UInt8($0) }
        var hasher = SHA256()
        hasher.update(bytes[..<cut])
        let prefix = hasher
        hasher.update(Array(bytes[cut...]))
        #expect(hasher.finalize() == SHA256.hash(bytes))
        #expect(prefix.finalize() == SHA256.hash(bytes[..<cut]))
    }

    // RFC 4231 §4.2, 4.3, 4.4 and 4.7 (a key longer than a block).
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func `the vectors of RFC 4231 hold`(key: [UInt8], message: [UInt8], code: String) {
        #expect(Hex.encode(HMACSHA256.authenticate(message, key: key)) == code)
        #expect(HMACSHA256.isValid(Hex.decode(code) ?? [], for: message, key: key))
        #expect(!HMACSHA256.isValid(Hex.decode(code)?.dropLast() ?? [], for: message, key: key))
    }

    @Test func `the vectors of RFC 5869 hold`() {
        let material = [UInt8](repeating: 0x0b, count: 22)
        let first = HKDF.derive(from: material, salt: Array(0...0x0c), info: Array(0xf0...0xf9), byteCount: 42)
        #expect(
            Hex.encode(first)
                == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
        let second = HKDF.derive(from: Array(0...0x4f), salt: Array(0x60...0xaf), info: Array(0xb0...0xff), byteCount: 82)
        #expect(
            Hex.encode(second)
                == "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
                + "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87")
        let third = HKDF.derive(from: material, info: [UInt8](), byteCount: 42)
        #expect(
            Hex.encode(third)
                == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    }

    @Test(arguments: [1, 31, 32, 33, HKDF.maxOutputBytes])
    func `shorter output is a prefix of longer output`(count: Int) {
        let key = [UInt8](repeating: 7, count: 32)
        let longest = HKDF.expand(key, info: [1], byteCount: HKDF.maxOutputBytes)
        #expect(HKDF.expand(key, info: [1], byteCount: count)[...] == longest[..<count])
    }
}
