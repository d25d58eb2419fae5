import KarsCore
import Testing

@Suite struct `Hexadecimal text` {
    @Test func `every byte survives the round trip in both cases`() {
        let all = Array(UInt8.min...UInt8.max)
        let text = Hex.encode(all)
        #expect(Hex.decode(text) == all)
        #expect(Hex.decode(text.uppercased()) == all)
    }

    @Test(arguments: ["0", "0g", "é0", "0x00", " 00"])
    func `what is not whole hexadecimal is refused`(text: String) {
        #expect(Hex.decode(text) == nil)
    }
}
