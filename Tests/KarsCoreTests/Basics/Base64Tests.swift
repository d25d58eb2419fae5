import KarsCore
import KarsTesting
import Testing

@Suite struct `Base64 text` {
    @Test(arguments: [
        ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ])
    func `the vectors of RFC 4648 hold`(plain: String, text: String) {
        #expect(Base64.encode(plain.utf8) == text)
        #expect(Base64.decode(text) == Array(plain.utf8))
        let bare = text.filter { $0 != "=" }
        #expect(Base64.encodeURL(plain.utf8) == bare)
        #expect(Base64.decodeURL(bare) == Array(plain.utf8))
    }

    @Test func `the two alphabets differ in two characters`() {
        let bytes: [UInt8] = [0xfb, 0xff, 0xfe]
        #expect(Base64.encode(bytes) == "+//+")
        #expect(Base64.encodeURL(bytes) == "-__-")
        #expect(Base64.decode("-__-") == nil)
        #expect(Base64.decodeURL("+//+") == nil)
    }

    @Test(arguments: [
        "Z", "Zg", "Zg=", "Zg===", "====", "Z===", "Zm9v\n", " Zm9v", "Zm=v", "Zh==", "Zm9=", "Zm9vYg==Zm9v", "é+==",
    ])
    func `what is not the one right text is refused`(text: String) { #expect(Base64.decode(text) == nil) }

    @Test(arguments: ["Z", "Zg==", "Zh", "Zm9v=", "Zm 9v"])
    func `the bare form takes no padding and no stray bits`(text: String) { #expect(Base64.decodeURL(text) == nil) }

    @Test(arguments: 0..<64)
    func `any bytes survive the round trip`(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let bytes = (0..<seed).map { _ in UInt8.random(in: 0...255, using: &random) }
        #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        #expect(Base64.decodeURL(Base64.encodeURL(bytes)) == bytes)
    }
}
