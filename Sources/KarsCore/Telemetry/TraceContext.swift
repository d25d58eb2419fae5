/// A position in a distributed trace (W3C Trace Context, `traceparent`).
package struct TraceParent: Equatable, Sendable {
    /// 16 bytes, not all zero.
    package let traceID: [UInt8]
    /// 8 bytes, not all zero.
    package let parentID: [UInt8]
    /// Bit 0: sampled. Other bits are kept only as far as version 00 defines them.
    package var isSampled: Bool

    package init?(traceID: [UInt8], parentID: [UInt8], isSampled: Bool) {
        guard traceID.count == 16, parentID.count == 8, traceID.contains(where: { $0 != 0 }),
            parentID.contains(where: { $0 != 0 })
        else { return nil }
        self.traceID = traceID
        self.parentID = parentID
        self.isSampled = isSampled
    }

    /// Reads the header's value. Versions above 00 are read as far as 00 goes, as the standard asks (§4.3); anything
    /// malformed is nil, and the caller starts a trace of its own.
    package init?(parsing header: some StringProtocol) {
        let bytes = Array(header.utf8)
        guard bytes.count >= 55, bytes.count <= 512, bytes[2] == dash, bytes[35] == dash, bytes[52] == dash,
            let version = Self.lowerHex(bytes[0..<2]), version != [0xff], bytes.count == 55 || version != [0],
            bytes.count == 55 || bytes[55] == dash, let trace = Self.lowerHex(bytes[3..<35]),
            let parent = Self.lowerHex(bytes[36..<52]), let flags = Self.lowerHex(bytes[53..<55])
        else { return nil }
        self.init(traceID: trace, parentID: parent, isSampled: flags[0] & 1 == 1)
    }

    /// A new trace.
    package static func random(isSampled: Bool, using random: inout some RandomNumberGenerator) -> TraceParent {
        while true {
            let trace = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
            let parent = (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }
            if let value = TraceParent(traceID: trace, parentID: parent, isSampled: isSampled) { return value }
        }
    }

    /// The same trace, seen by a call that we make.
    package func child(using random: inout some RandomNumberGenerator) -> TraceParent {
        while true {
            let parent = (0..<8).map { _ in UInt8.random(in: 0...255, using: &random) }
            if let value = TraceParent(traceID: traceID, parentID: parent, isSampled: isSampled) { return value }
        }
    }

    /// The header's value, version 00.
    package var header: String { "00-\(Hex.encode(traceID))-\(Hex.encode(parentID))-\(isSampled ? "01" : "00")" }

    private static func lowerHex(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard !text.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) }) else { return nil }
        return Hex.decode(String(decoding: text, as: UTF8.self))
    }
}

private let dash = UInt8(ascii: "-")

/// The id that ties a request's log lines, evidence and upstream call together: header `x-kars-trace-id` (spec/router 1).
package struct TraceID: Hashable, Sendable, CustomStringConvertible {
    package static let header = "x-kars-trace-id"
    package static let maxLength = 128

    package let description: String

    /// 1 to 128 of `[A-Za-z0-9_-]`; nil for anything else, because the id goes into logs and headers.
    package init?(_ text: some StringProtocol) {
        let utf8 = text.utf8
        guard (1...Self.maxLength).contains(utf8.count), utf8.allSatisfy(Self.isAllowed) else { return nil }
        description = String(text)
    }

    /// 16 lower-case hexadecimal digits.
    package init(using random: inout some RandomNumberGenerator) {
        let bits = random.next()
        description = Hex.encode((0..<8).map { UInt8(truncatingIfNeeded: bits >> ($0 * 8)) })
    }

    /// The client's id when it is acceptable, otherwise a new one.
    package static func accepting(_ header: String?, using random: inout some RandomNumberGenerator) -> TraceID {
        header.flatMap { TraceID($0) } ?? TraceID(using: &random)
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
