/// One line of the budget journal: JSON, ended by a newline.
///
/// The journal continues a snapshot: its first line names the snapshot's generation. Then each reservation is written before
/// its call is sent, and each settlement or release after. A line cut off by a crash is the last one, and its call was never
/// sent.
package enum BudgetRecord: Equatable, Sendable {
    case begin(generation: UInt64)
    case reserve(BudgetLedger.Reservation)
    case settle(id: UInt64, tokens: Int)
    case release(id: UInt64)

    static let version = 1
    /// The longest line that is read, in bytes.
    static let maxLineBytes = 4_096

    package func encoded() -> [UInt8] {
        var writer = JSONWriter(capacity: 128)
        writer.beginObject()
        switch self {
        case .begin(let generation):
            writer.member("op", "begin")
            writer.member("v", Self.version)
            writer.member("generation", Int(clamping: generation))
        case .reserve(let reservation):
            writer.member("op", "reserve")
            writer.member("id", Int(clamping: reservation.id))
            writer.member("sandbox", reservation.sandbox)
            writer.member("tokens", reservation.tokens)
            writer.member("day_key", Int(reservation.period.day))
            writer.member("month_key", Int(reservation.period.month))
        case .settle(let id, let tokens):
            writer.member("op", "settle")
            writer.member("id", Int(clamping: id))
            writer.member("tokens", tokens)
        case .release(let id):
            writer.member("op", "release")
            writer.member("id", Int(clamping: id))
        }
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// Nil for anything that `encoded` does not produce.
    package init?(line: [UInt8]) {
        guard let json = try? JSON(parsing: line, limits: JSONLimits(maxBytes: Self.maxLineBytes, maxDepth: 2)),
            let operation = json["op"]?.stringValue
        else { return nil }
        switch operation {
        case "begin":
            guard json["v"]?.intValue == Self.version, let generation = json.count("generation") else { return nil }
            self = .begin(generation: UInt64(generation))
        case "reserve":
            guard let reservation = BudgetLedger.Reservation(json) else { return nil }
            self = .reserve(reservation)
        case "settle":
            guard let id = json.count("id"), let tokens = json.count("tokens") else { return nil }
            self = .settle(id: UInt64(id), tokens: tokens)
        case "release":
            guard let id = json.count("id") else { return nil }
            self = .release(id: UInt64(id))
        default: return nil
        }
    }
}

extension BudgetLedger.Reservation {
    init?(_ json: JSON) {
        guard let id = json.count("id"), let sandbox = json["sandbox"]?.stringValue, let tokens = json.count("tokens"),
            let day = json.count("day_key"), let month = json.count("month_key")
        else { return nil }
        self.init(
            id: UInt64(id), sandbox: sandbox, tokens: tokens, period: BudgetPeriod(day: Int64(day), month: Int64(month)),
            completionAllowance: nil)
    }
}

extension JSON {
    /// A member that is a whole number from 0.
    func count(_ key: String) -> Int? { self[key]?.intValue.flatMap { $0 >= 0 ? $0 : nil } }
}
