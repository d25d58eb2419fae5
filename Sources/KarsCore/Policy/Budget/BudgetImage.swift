/// What of a ledger must outlive its process, in a form small enough to be stored before every call.
///
/// The file is one page of `fileBytes` with two slots. Each store goes to the slot that does not hold the newest image, with
/// the next sequence number and a checksum over all of it, so that whenever a process or a machine stops in the middle, one
/// slot is whole. Numbers are little-endian.
///
/// | offset in slot | bytes | what |
/// |---|---|---|
/// | 0 | 8 | `karsbgt1` |
/// | 8 | 8 | sequence, from 1 |
/// | 16 | 16 | day, month (`BudgetPeriod`) |
/// | 32 | 16 | tokens used today, this month |
/// | 48 | 16 | tokens reserved today, this month |
/// | 64 | 8 | calls in flight |
/// | 72 | 8 | FNV-1a of the sandbox's name and the bytes before |
package struct BudgetImage: Equatable, Sendable {
    package var period: BudgetPeriod
    package var usedToday: Int
    package var usedThisMonth: Int
    package var reservedToday: Int
    package var reservedThisMonth: Int
    package var callsInFlight: Int

    package static let fileBytes = 4_096
    /// Slots lie in different disk sectors: a torn sector costs one of them.
    static let slotOffsets = [0, 2_048]
    private static let magic: UInt64 = 0x3174_6762_7372_616b
    private static let words = 10

    package init(
        period: BudgetPeriod, usedToday: Int = 0, usedThisMonth: Int = 0, reservedToday: Int = 0, reservedThisMonth: Int = 0,
        callsInFlight: Int = 0
    ) {
        self.period = period
        self.usedToday = usedToday
        self.usedThisMonth = usedThisMonth
        self.reservedToday = reservedToday
        self.reservedThisMonth = reservedThisMonth
        self.callsInFlight = callsInFlight
    }

    /// Stores the image with `sequence` into its slot of `page`, which is `fileBytes` long.
    package func store(into page: UnsafeMutableRawPointer, sequence: UInt64, sandbox: UInt64) {
        let slot = page + Self.slotOffsets[Int(sequence % 2)]
        var sum = sandbox
        var offset = 0
        func put(_ value: UInt64) {
            let word = value.littleEndian
            withUnsafeBytes(of: word) { bytes in for byte in bytes { sum = Self.step(sum, byte) } }
            slot.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        put(Self.magic)
        put(sequence)
        put(UInt64(bitPattern: period.day))
        put(UInt64(bitPattern: period.month))
        for number in [usedToday, usedThisMonth, reservedToday, reservedThisMonth, callsInFlight] { put(UInt64(number)) }
        put(sum)
    }

    /// The newest whole image; nil when there is none of this sandbox.
    package static func newest(in page: [UInt8], sandbox: UInt64) -> (image: BudgetImage, sequence: UInt64)? {
        guard page.count == fileBytes else { return nil }
        return slotOffsets.compactMap { read(page[$0...].prefix(words * 8), sandbox: sandbox) }.max { $0.sequence < $1.sequence }
    }

    private static func read(_ slot: ArraySlice<UInt8>, sandbox: UInt64) -> (image: BudgetImage, sequence: UInt64)? {
        let words = stride(from: slot.startIndex, to: slot.endIndex, by: 8).map { start in
            slot[start..<start + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        let sum = slot.dropLast(8).reduce(sandbox, step)
        guard words[0] == magic, words[9] == sum else { return nil }
        let numbers = words[4..<9].map { Int(exactly: $0) }
        guard let usedToday = numbers[0], let usedThisMonth = numbers[1], let reservedToday = numbers[2],
            let reservedThisMonth = numbers[3], let callsInFlight = numbers[4]
        else { return nil }
        let image = BudgetImage(
            period: BudgetPeriod(day: Int64(bitPattern: words[2]), month: Int64(bitPattern: words[3])), usedToday: usedToday,
            usedThisMonth: usedThisMonth, reservedToday: reservedToday, reservedThisMonth: reservedThisMonth,
            callsInFlight: callsInFlight)
        return (image, words[1])
    }

    /// What ties an image to its sandbox: the start of its checksum.
    package static func tag(of sandbox: String) -> UInt64 { sandbox.utf8.reduce(0xcbf2_9ce4_8422_2325, step) }

    /// FNV-1a, 64 bits.
    private static func step(_ sum: UInt64, _ byte: UInt8) -> UInt64 { (sum ^ UInt64(byte)) &* 0x100_0000_01b3 }
}
