/// A regular expression as read: what `RegexProgram` is made of. Groups leave no trace, because nothing here asks what they matched.
indirect enum RegexNode: Sendable {
    case empty
    case set(RegexSet)
    case assertion(RegexAssertion)
    case concatenation([RegexNode])
    case alternation([RegexNode])
    /// At least `min` and at most `max` times; without `max` any number of times.
    case repetition(RegexNode, min: Int, max: Int?, isGreedy: Bool)
}

/// A condition on a place in the text.
enum RegexAssertion: Sendable {
    case startOfText, endOfText, startOfLine, endOfLine, wordBoundary, notWordBoundary
}

/// A set of code points, of which one is matched.
struct RegexSet: Sendable {
    /// Sorted, not touching.
    private var ranges: [ClosedRange<UInt32>] = []
    /// General categories of Unicode (`\pL`, `\P{Nd}`), each with whether it is left out.
    private var categories: [(category: RegexCategory, isNegated: Bool)] = []
    private(set) var isNegated = false
    private(set) var foldsCase = false
    /// The answer for each of the first 128 code points.
    private var ascii: (UInt64, UInt64) = (0, 0)

    init(
        ranges: [ClosedRange<UInt32>], categories: [(category: RegexCategory, isNegated: Bool)] = [], isNegated: Bool = false,
        foldsCase: Bool = false
    ) {
        self.ranges = Self.merged(ranges)
        self.categories = categories
        self.isNegated = isNegated
        self.foldsCase = foldsCase
        for value: UInt32 in 0..<128 where search(value) {
            if value < 64 { ascii.0 |= 1 << UInt64(value) } else { ascii.1 |= 1 << UInt64(value - 64) }
        }
    }

    init(_ scalar: Unicode.Scalar, foldsCase: Bool) {
        self.init(ranges: [scalar.value...scalar.value], foldsCase: foldsCase)
    }

    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        if value < 64 { return ascii.0 >> UInt64(value) & 1 == 1 }
        if value < 128 { return ascii.1 >> UInt64(value - 64) & 1 == 1 }
        return search(value)
    }

    private func search(_ value: UInt32) -> Bool {
        if holds(value) { return !isNegated }
        if foldsCase, let scalar = Unicode.Scalar(value) {
            for variant in [scalar.properties.lowercaseMapping, scalar.properties.uppercaseMapping] {
                let scalars = variant.unicodeScalars
                if scalars.count == 1, let other = scalars.first, other != scalar, holds(other.value) { return !isNegated }
            }
        }
        return isNegated
    }

    private func holds(_ value: UInt32) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        if low < ranges.count, ranges[low].contains(value) { return true }
        guard !categories.isEmpty, let scalar = Unicode.Scalar(value) else { return false }
        return categories.contains { $0.category.contains(scalar) != $0.isNegated }
    }

    private static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = result.last, range.lowerBound <= last.upperBound &+ 1 {
                result[result.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                result.append(range)
            }
        }
        return result
    }

    static let digits: [ClosedRange<UInt32>] = [48...57]
    static let spaces: [ClosedRange<UInt32>] = [9...10, 12...13, 32...32]
    static let words: [ClosedRange<UInt32>] = [48...57, 65...90, 95...95, 97...122]

    /// Everything that `ranges` leaves out.
    static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var result: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in merged(ranges) {
            if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
            next = range.upperBound + 1
        }
        if next <= 0x10ffff { result.append(next...0x10ffff) }
        return result
    }
}

/// A general category of Unicode, or a family of them named by one letter.
struct RegexCategory: Sendable {
    private let members: Set<String>

    /// Nil for names that are no category; scripts are not known here.
    init?(_ name: String) {
        if name == "Any" {
            members = Set(Self.names)
        } else if Self.names.contains(name) {
            members = [name]
        } else {
            members = Set(Self.names.filter { name.utf8.count == 1 && $0.hasPrefix(name) })
            if members.isEmpty { return nil }
        }
    }

    func contains(_ scalar: Unicode.Scalar) -> Bool { members.contains(Self.name(of: scalar.properties.generalCategory)) }

    private static let names = [
        "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
        "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
    ]

    private static func name(of category: Unicode.GeneralCategory) -> String {
        switch category {
        case .uppercaseLetter: "Lu"
        case .lowercaseLetter: "Ll"
        case .titlecaseLetter: "Lt"
        case .modifierLetter: "Lm"
        case .otherLetter: "Lo"
        case .nonspacingMark: "Mn"
        case .spacingMark: "Mc"
        case .enclosingMark: "Me"
        case .decimalNumber: "Nd"
        case .letterNumber: "Nl"
        case .otherNumber: "No"
        case .connectorPunctuation: "Pc"
        case .dashPunctuation: "Pd"
        case .openPunctuation: "Ps"
        case .closePunctuation: "Pe"
        case .initialPunctuation: "Pi"
        case .finalPunctuation: "Pf"
        case .otherPunctuation: "Po"
        case .mathSymbol: "Sm"
        case .currencySymbol: "Sc"
        case .modifierSymbol: "Sk"
        case .otherSymbol: "So"
        case .spaceSeparator: "Zs"
        case .lineSeparator: "Zl"
        case .paragraphSeparator: "Zp"
        case .control: "Cc"
        case .format: "Cf"
        case .surrogate: "Cs"
        case .privateUse: "Co"
        case .unassigned: "Cn"
        @unknown default: "Cn"
        }
    }
}
