import KarsCore
import Testing

@Suite struct Quantities {
    @Test(arguments: [
        ("0", "0"), ("500m", "500m"), ("0.5", "500m"), ("2", "2"), ("1000m", "1"), ("1500m", "1500m"), ("64Mi", "64Mi"),
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000", "1k"), ("1e3", "1e3"), ("1500e-3", "1500e-3"), ("1e-9", "1e-9"),
        ("2E", "2E"), ("100k", "100k"),
        ("12.34567", "12345670u"), ("-5", "-5"), ("0.1n", "1n"), ("512", "512"), (".5", "500m"), ("5.", "5"), ("1Ei", "1Ei"),
    ])
    func `is printed in its canonical form`(text: String, canonical: String) {
        #expect(Quantity(text)?.description == canonical)
        #expect(Quantity(text)?.text == text)
    }

    @Test(arguments: ["", "m", "1x", "1 Mi", "--1", "1.2.3", "1e", "Mi", "0x10", "1KI"])
    func `what is none is refused`(text: String) { #expect(Quantity(text) == nil) }

    @Test(arguments: [
        ("", QuantityError.format), ("1 Mi", .format), ("--1", .suffix), ("lots", .format), ("5im", .suffix), ("1kk", .suffix),
        ("1.2.3", .format), ("0x10", .format), ("1x", .format),
        ("m", .number), (".", .number), ("e5", .number), ("1e", .suffix), ("1KI", .format), ("1ki", .suffix), ("1mm", .suffix),
        ("1E+", .suffix),
    ])
    func `what is wrong is told as Kubernetes tells it`(text: String, error: QuantityError) {
        #expect(throws: error) { try Quantity(parsing: text) }
    }

    @Test(arguments: ["1e400", "-1e400", "16Ei", "9223372036854775808", String(repeating: "9", count: 60)])
    func `what is too large is the largest`(text: String) {
        let quantity = Quantity(text)
        #expect(quantity?.integer == nil)
        #expect(quantity?.units == (text.hasPrefix("-") ? -Int.max : Int.max))
    }

    @Test(arguments: [("1e-400", "1n"), ("0.0000000001", "1n"), ("-1e-12", "-1n"), ("0e400", "0")])
    func `what is too small is the smallest`(text: String, smallest: String) {
        #expect(Quantity(text) == Quantity(smallest))
    }

    @Test func `every prefix of a quantity is read or refused`() {
        for text in ["-123456789.987654321Ki", "+0.5e-12", "18446744073709551616Ei"] {
            for count in 0...text.utf8.count {
                let prefix = String(text.prefix(count))
                guard let quantity = Quantity(prefix) else { continue }
                #expect(Quantity(quantity.description) == quantity, "\(prefix)")
            }
        }
    }

    @Test func `amounts add up and compare whatever their form`() {
        #expect(Quantity("1")! == Quantity("1000m")!)
        #expect(Quantity("1Ki")! > Quantity("1k")!)
        #expect((Quantity("200m")! + Quantity("1")!).description == "1200m")
        #expect((Quantity("1Gi")! - Quantity("512Mi")!).description == "512Mi")
        #expect((Quantity.zero + Quantity("3Mi")!).description == "3Mi")
    }

    @Test(arguments: [
        ("500m", 500), ("2", 2_000), ("1.5", 1_500), ("64Mi", 67_108_864_000), ("1k", 1_000_000), ("0.1Gi", 107_374_182_400),
        ("0", 0), ("1n", 1), ("9Ei", .max),
    ])
    func `counts in thousandths, rounded up`(text: String, milli: Int) { #expect(Quantity(text)?.milli == milli) }
}
