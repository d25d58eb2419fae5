import KarsCore
import KarsTesting
import Testing

@Suite struct `Budget image` {
    static let tag = BudgetImage.tag(of: "demo")

    static func image(_ number: Int) -> BudgetImage {
        BudgetImage(
            period: BudgetPeriod(day: 739_647, month: 24_312), usedToday: number, usedThisMonth: number * 10,
            reservedToday: 3, reservedThisMonth: 4, callsInFlight: 2)
    }

    /// A page after each of `images` was stored in turn.
    static func page(_ images: [BudgetImage]) -> [UInt8] {
        var page = [UInt8](repeating: 0, count: BudgetImage.fileBytes)
        page.withUnsafeMutableBytes { bytes in
            for (index, image) in images.enumerated() {
                image.store(into: bytes.baseAddress!, sequence: UInt64(index + 1), sandbox: tag)
            }
        }
        return page
    }

    @Test(arguments: 1...5)
    func `the newest image is read back`(count: Int) {
        let newest = BudgetImage.newest(in: Self.page((1...count).map(Self.image)), sandbox: Self.tag)
        #expect(newest?.image == Self.image(count))
        #expect(newest?.sequence == UInt64(count))
    }

    @Test func `whatever part of a store was done, the image before it or the new one is there`() {
        let before = Self.page([Self.image(1), Self.image(2)])
        let after = Self.page([Self.image(1), Self.image(2), Self.image(3)])
        let changed = before.indices.filter { before[$0] != after[$0] }
        var random = SeededRandom(seed: 1)
        for _ in 0..<2_000 {
            var page = before
            for index in changed where Bool.random(using: &random) { page[index] = after[index] }
            let found = BudgetImage.newest(in: page, sandbox: Self.tag)?.image
            #expect(found == (page == after ? Self.image(3) : Self.image(2)))
        }
    }

    @Test func `an empty, a short or another sandbox's page holds nothing`() {
        #expect(BudgetImage.newest(in: [UInt8](repeating: 0, count: BudgetImage.fileBytes), sandbox: Self.tag) == nil)
        #expect(BudgetImage.newest(in: [], sandbox: Self.tag) == nil)
        #expect(BudgetImage.newest(in: Array(Self.page([Self.image(1)]).dropLast()), sandbox: Self.tag) == nil)
        #expect(BudgetImage.newest(in: Self.page([Self.image(1)]), sandbox: BudgetImage.tag(of: "other")) == nil)
    }

    @Test func `a flipped bit anywhere in a slot is found`() {
        let page = Self.page([Self.image(1)])
        for bit in 0..<80 * 8 {
            var damaged = page
            damaged[2_048 + bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(BudgetImage.newest(in: damaged, sandbox: Self.tag) == nil)
        }
    }
}
