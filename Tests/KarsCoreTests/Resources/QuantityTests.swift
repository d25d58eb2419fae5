import KarsCore
import Testing

@Suite struct `Quantity` {
    @Test(arguments: [
        ("0", "0"), ("500m", "500m"), ("0.5", "500m"), ("2", "2"), ("1000m", "1"), ("1500m", "1500m"), ("64Mi", "64Mi"),
        ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("1000", "1k"), ("1e3", "1e3"), ("1500e-3", "1500m"), ("100k", "100k"),
        ("12.34567", "12345670u"), ("-5", "-5"), ("0.1n", "1n"), ("512", "512"), (".5", "500m"), ("5.", "5"), ("1Ei", "1Ei"),
    ])
    func `is printed in its canonical form`(text: String, canonical: String) {
        #expect(Quantity(text)?.description == canonical)
        #expect(Quantity(text)?.text == text)
    }

    @Test(arguments: ["", "m", "1x", "1 Mi", "--1", "1.2.3", "1e", "1e400", "Mi", "0x10", "1KI", String(repeating: "9", count: 60)])
    func `what is none is refused`(text: String) { #expect(Quantity(text) == nil) }

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
