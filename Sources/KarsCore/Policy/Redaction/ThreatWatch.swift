/// Follows one text as it arrives and tells which threats it holds so far.
///
/// What a phrase means depends on what surrounds it (code, a line, a tag that closes later), so the text is kept and read again:
/// while an answer can still be stopped each time it has grown by a quarter, else once at its end. That keeps the whole linear.
/// Past `maxBytes` the older half is let go.
struct ThreatWatch: Sendable {
    static let maxBytes = 256 * 1024
    /// The least that is waited for between two readings of a growing text.
    private static let stride = 256

    private let readsEarly: Bool
    private var text: [UInt8] = []
    private var readBytes = 0
    private(set) var threats: Set<ThreatScanner.Threat> = []

    init(readsEarly: Bool) { self.readsEarly = readsEarly }

    mutating func push(_ piece: some Collection<UInt8>) {
        text += piece
        if text.count > Self.maxBytes {
            read(isWhole: false)
            text.removeFirst(text.count - Self.maxBytes / 2)
            readBytes = text.count
        } else if readsEarly, text.count - readBytes >= max(Self.stride, readBytes / 4) {
            read(isWhole: false)
        }
    }

    /// The text has ended.
    mutating func finish() { if !text.isEmpty { read(isWhole: true) } }

    /// A word at the end of an unfinished text may still become another one.
    private mutating func read(isWhole: Bool) {
        readBytes = text.count
        let end = isWhole ? text.count : (text.lastIndex { $0 <= 32 } ?? 0)
        threats.formUnion(
            text.withUnsafeBufferPointer {
                ThreatScanner.threats(in: UnsafeBufferPointer(rebasing: $0[..<end]), isWhole: isWhole)
            })
    }
}
