import KarsCore
import Testing

@Suite struct `Quantities` {
    @Test(arguments: [
        ("0", "0"), ("1", "1"), ("100m", "100m"), ("1000m", "1"), ("0.5", "500m"), ("1500m", "1500m"), ("12000", "12k"), ("1e3", "1e3"),
        ("1E", "1E"), ("64Mi", "64Mi"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1023Ki", "1023Ki"), ("0.5Ki", "512"), ("1Ki", "1Ki"),
        ("+1", "1"), ("-1k", "-1k"), (".5", "500m"), ("5.", "5"), ("1n", "1n"), ("0.1n", "1n"), ("100E", "9223372036854775807"),
        ("25023749167", "25023749167"), ("264212084Ki", "264212084Ki"), ("1e-3", "1e-3"), ("3.14159", "3141590u"),
    ])
    func `have one text`(text: String, canonical: String) throws {
        let quantity = try ResourceAmount(parsing: text)
        #expect(quantity.description == canonical)
        #expect(try ResourceAmount(parsing: canonical) == quantity)
    }

    @Test(arguments: [
        ("", .format), ("abc", .format), ("1x", .format), ("5im", .suffix), ("Mi", .number), ("1 Mi", .format), ("--1", .suffix), ("1.2.3", .format),
        ("1kk", .suffix), ("1ee", .suffix),
    ] as [(String, QuantityError)])
    func `that are none are refused`(text: String, error: QuantityError) {
        #expect(throws: error) { try ResourceAmount(parsing: text) }
    }

    @Test func `are compared and added by amount`() throws {
        let (half, kilo) = (try ResourceAmount(parsing: "500m"), try ResourceAmount(parsing: "1k"))
        #expect(half < kilo && half + half == ResourceAmount(1) && (kilo - ResourceAmount(999)) == ResourceAmount(1))
        #expect((half + half).description == "1" && half.milli == 500 && half.roundedUp == 1)
        #expect((ResourceAmount(0) + (try ResourceAmount(parsing: "1Gi"))).description == "1Gi")
    }
}
