/// Finds what looks like a credential in text: hand-written matchers, one pass, time linear in the text.
///
/// The kinds and their patterns are those of spec/router 12. A match never contains a double quote or crosses one, so that
/// it may be replaced in raw JSON as well as in the text a JSON string stands for. Works on a whole text or on the front of one
/// still arriving: then a match that more text could begin, extend or undo is reported as *open*, and what lies before it is
/// final.
struct SecretScanner {
    struct Match: Equatable {
        /// Where the pattern begins, which is before `start` when only the value is taken.
        var origin: Int
        var start: Int
        var end: Int
        var kind: Redactor.Kind
    }

    /// The longest run of spaces, quotes and escapes that may stand between a name and its value.
    static let maxGap = 32

    let text: UnsafeBufferPointer<UInt8>
    /// The byte before `text`; 0 at the start of everything.
    let previous: UInt8
    /// Whether no more text follows.
    let isWhole: Bool

    private(set) var matches: [Match] = []
    /// Where the first open match begins; the end of the text when none is open.
    private(set) var openAt: Int
    /// Its kind, and whether it already is a match that could only grow.
    private(set) var open: (kind: Redactor.Kind, isCertain: Bool)?

    private var resumeAt = InlineArray<10, Int>(repeating: 0)
    /// Up to where it is known that no password follows on the line.
    private var noPasswordUntil = 0

    private enum Outcome {
        case none
        case found(start: Int, end: Int)
        /// More text could change the answer; certain when it is a match whatever follows.
        case open(isCertain: Bool)
    }

    init(_ text: UnsafeBufferPointer<UInt8>, previous: UInt8, isWhole: Bool) {
        self.text = text
        self.previous = previous
        self.isWhole = isWhole
        openAt = text.count
    }

    /// Runs over the text, passing over connection strings before `ignoringConnectionsBefore`.
    mutating func scan(ignoringConnectionsBefore ignored: Int = 0) {
        resumeAt[Redactor.Kind.connectionString.index] = ignored
        var index = 0
        while index < text.count {
            // Bytes that begin no pattern are by far the most.
            switch text[index] | 0x20 {
            case UInt8(ascii: "b"): attempt(.bearerToken, at: index) { $0.bearer(index) }
            case UInt8(ascii: "a"):
                attempt(.apiKey, at: index) { $0.apiKey(index) }
                attempt(.awsAccessKey, at: index) { $0.awsAccessKey(index) }
                attempt(.googleAPIKey, at: index) { $0.googleAPIKey(index) }
            case UInt8(ascii: "x"):
                attempt(.apiKey, at: index) { $0.apiKey(index) }
                attempt(.slackToken, at: index) { $0.slackToken(index) }
            case UInt8(ascii: "s"):
                attempt(.connectionString, at: index) { $0.connectionString(index) }
                attempt(.secretAssignment, at: index) { $0.secretAssignment(index) }
                attempt(.openAIToken, at: index) { $0.openAIToken(index) }
            case UInt8(ascii: "h"), UInt8(ascii: "e"):
                attempt(.connectionString, at: index) { $0.connectionString(index) }
            case UInt8(ascii: "p"), UInt8(ascii: "t"):
                attempt(.secretAssignment, at: index) { $0.secretAssignment(index) }
            case UInt8(ascii: "g"): attempt(.githubToken, at: index) { $0.githubToken(index) }
            case UInt8(ascii: "-") where text[index] == UInt8(ascii: "-"):
                attempt(.pemPrivateKey, at: index) { $0.pemPrivateKey(index) }
            default: break
            }
            // What follows an open match is looked at again with it.
            if open != nil { break }
            index += 1
        }
        // A match that reaches into the open one belongs to it.
        while let crossing = matches.last(where: { $0.origin < openAt && $0.end > openAt }) { openAt = crossing.origin }
        matches.removeAll { $0.origin >= openAt }
    }

    private mutating func attempt(_ kind: Redactor.Kind, at index: Int, _ match: (inout Self) -> Outcome) {
        guard index >= resumeAt[kind.index] else { return }
        switch match(&self) {
        case .none: break
        case .found(let start, let end):
            matches.append(Match(origin: index, start: start, end: end, kind: kind))
            resumeAt[kind.index] = end
        case .open(let isCertain):
            // Two kinds may be open at one place; the certain one says more.
            if open == nil || isCertain { open = (kind, isCertain) }
            openAt = index
        }
    }

    /// Matches that overlap become one, called by the kind that comes first in order.
    var regions: [Match] {
        var regions: [Match] = []
        for match in matches.sorted(by: { ($0.start, $0.end) < ($1.start, $1.end) }) {
            guard let last = regions.last, match.start < last.end else {
                regions.append(match)
                continue
            }
            regions[regions.count - 1].end = max(last.end, match.end)
            if match.kind.index < last.kind.index { regions[regions.count - 1].kind = match.kind }
        }
        return regions
    }

    // MARK: - Patterns

    private func bearer(_ start: Int) -> Outcome {
        guard !isWordByte(byte(before: start)) else { return .none }
        return literal("bearer", at: start) { position in
            let gap = run(from: position, limit: Self.maxGap) { $0 == 32 || $0 == 9 || $0 == 10 || $0 == 13 }
            guard gap.end > position else { return gap.isOpen ? .open(isCertain: false) : .none }
            if gap.isOpen { return .open(isCertain: false) }
            return value(from: gap.end, minimum: 8, start: start, Self.isBearerByte)
        }
    }

    private func apiKey(_ start: Int) -> Outcome {
        let names: [StaticString] = text[start] | 0x20 == UInt8(ascii: "x") ? ["x-api-key"] : ["api_key", "api-key", "apikey"]
        return first(of: names, at: start) { assignment(from: $0, start: start, minimum: 8, Self.isKeyByte) }
    }

    private func secretAssignment(_ start: Int) -> Outcome {
        guard beginsName(start) else { return .none }
        return first(of: ["password", "secret", "token"], at: start) { position in
            assignment(from: position, start: start, minimum: 4, Self.isSecretByte)
        }
    }

    /// `client_secret`, `accessToken` and `password` are names; `broken` and `tokenizer` are not.
    private func beginsName(_ start: Int) -> Bool {
        let before = byte(before: start)
        let isCapital = text[start] & 0x20 == 0
        return !Self.isAlphanumeric(before) || isCapital && before & 0x20 != 0 && !Self.isDigit(before)
    }

    private mutating func connectionString(_ start: Int) -> Outcome {
        guard start >= noPasswordUntil, beginsName(start) else { return .none }
        var position: Int?
        switch first(of: ["server=", "host=", "endpoint="], at: start, { .found(start: start, end: $0) }) {
        case .none: return .none
        case .open(let isCertain): return .open(isCertain: isCertain)
        case .found(_, let end): position = end
        }
        guard var index = position else { return .none }
        var hasSeparator = false
        while index < text.count, Self.isLineByte(text[index]) {
            if text[index] == UInt8(ascii: ";") {
                hasSeparator = true
            } else if hasSeparator {
                let outcome = first(of: ["password=", "sharedaccesskey=", "accountkey=", "pwd="], at: index) { end in
                    value(from: end, minimum: 1, start: start) { Self.isLineByte($0) && $0 != UInt8(ascii: ";") }
                }
                if case .none = outcome {} else { return outcome }
            }
            index += 1
        }
        guard index < text.count || isWhole else { return .open(isCertain: false) }
        noPasswordUntil = index
        return .none
    }

    private func pemPrivateKey(_ start: Int) -> Outcome {
        literal("-----BEGIN ", at: start, ignoresCase: false) { position in
            let labels: [StaticString] = [
                "PRIVATE KEY-----", "RSA PRIVATE KEY-----", "EC PRIVATE KEY-----", "DSA PRIVATE KEY-----",
                "OPENSSH PRIVATE KEY-----", "ENCRYPTED PRIVATE KEY-----",
            ]
            return first(of: labels, at: position, ignoresCase: false) { body in
                // A key cut off by the end of an answer is a key still.
                var index = body
                while index < text.count, text[index] != UInt8(ascii: "\"") {
                    if text[index] == UInt8(ascii: "-"), let end = endOfPEM(at: index) { return .found(start: start, end: end) }
                    index += 1
                }
                if index == text.count, !isWhole { return .open(isCertain: true) }
                return .found(start: start, end: index)
            }
        }
    }

    /// The end of `-----END … PRIVATE KEY-----` at `index`; nil when it is something else or not all there.
    private func endOfPEM(at index: Int) -> Int? {
        guard
            case .found(_, var position) = literal("-----END ", at: index, ignoresCase: false, { .found(start: index, end: $0) })
        else { return nil }
        let limit = min(text.count, position + 40)
        while position < limit, text[position] != UInt8(ascii: "\"") {
            if case .found(_, let end) = literal(
                "PRIVATE KEY-----", at: position, ignoresCase: false, { .found(start: index, end: $0) })
            {
                return end
            }
            position += 1
        }
        return nil
    }

    private func githubToken(_ start: Int) -> Outcome {
        let classic = first(of: ["ghp_", "gho_", "ghs_", "ghu_", "ghr_"], at: start) {
            value(from: $0, minimum: 20, start: start, Self.isAlphanumeric)
        }
        if case .none = classic {
            return literal("github_pat_", at: start) {
                value(from: $0, minimum: 22, start: start) { Self.isAlphanumeric($0) || $0 == UInt8(ascii: "_") }
            }
        }
        return classic
    }

    private func openAIToken(_ start: Int) -> Outcome {
        let before = byte(before: start)
        guard !isWordByte(before), before != UInt8(ascii: "-") else { return .none }
        return literal("sk-", at: start, ignoresCase: false) { value(from: $0, minimum: 19, start: start, Self.isKeyByte) }
    }

    private func slackToken(_ start: Int) -> Outcome {
        guard !isWordByte(byte(before: start)) else { return .none }
        return first(of: ["xoxa-", "xoxb-", "xoxp-", "xoxr-", "xoxs-"], at: start, ignoresCase: false) {
            value(from: $0, minimum: 10, start: start) { Self.isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private func awsAccessKey(_ start: Int) -> Outcome {
        guard !Self.isAlphanumeric(byte(before: start)) else { return .none }
        return first(of: ["AKIA", "ASIA"], at: start, ignoresCase: false) { position in
            exactly(
                16, from: position, start: start, { Self.isDigit($0) || $0 >= 65 && $0 <= 90 }, endsBefore: Self.isAlphanumeric)
        }
    }

    private func googleAPIKey(_ start: Int) -> Outcome {
        guard !isWordByte(byte(before: start)) else { return .none }
        return literal("AIza", at: start, ignoresCase: false) {
            exactly(35, from: $0, start: start, Self.isKeyByte, endsBefore: Self.isKeyByte)
        }
    }

    // MARK: - Pieces of patterns

    /// A separator and a value after a name: `: `, ` = "`, `": "`.
    private func assignment(from position: Int, start: Int, minimum: Int, _ isValue: (UInt8) -> Bool) -> Outcome {
        let left = run(from: position, limit: Self.maxGap, Self.isGapByte)
        if left.isOpen { return .open(isCertain: false) }
        guard left.end < text.count, text[left.end] == UInt8(ascii: ":") || text[left.end] == UInt8(ascii: "=") else {
            return .none
        }
        let right = run(from: left.end + 1, limit: Self.maxGap, Self.isGapByte)
        if right.isOpen { return .open(isCertain: false) }
        // Where quotes stand between, only the value goes, so that what remains is still quoted properly.
        let hasQuotes = text[position..<right.end].contains(where: Self.isQuote)
        return value(from: right.end, minimum: minimum, start: hasQuotes ? right.end : start, isValue)
    }

    private func value(from position: Int, minimum: Int, start: Int, _ isValue: (UInt8) -> Bool) -> Outcome {
        var end = position
        while end < text.count, isValue(text[end]) { end += 1 }
        if end == text.count, !isWhole { return .open(isCertain: end - position >= minimum) }
        return end - position >= minimum ? .found(start: start, end: end) : .none
    }

    private func exactly(
        _ count: Int, from position: Int, start: Int, _ isValue: (UInt8) -> Bool, endsBefore isMore: (UInt8) -> Bool
    ) -> Outcome {
        var end = position
        while end < text.count, end - position < count, isValue(text[end]) { end += 1 }
        if end == text.count {
            return isWhole ? (end - position == count ? .found(start: start, end: end) : .none) : .open(isCertain: false)
        }
        return end - position == count && !isMore(text[end]) ? .found(start: start, end: end) : .none
    }

    private func literal(_ literal: StaticString, at start: Int, ignoresCase: Bool = true, _ next: (Int) -> Outcome) -> Outcome {
        let count = literal.utf8CodeUnitCount
        let wanted = literal.utf8Start
        var offset = 0
        while offset < count, start + offset < text.count {
            let byte = text[start + offset]
            let folded = ignoresCase && byte >= 65 && byte <= 90 ? byte | 0x20 : byte
            guard folded == wanted[offset] else { return .none }
            offset += 1
        }
        guard offset == count else { return isWhole ? .none : .open(isCertain: false) }
        return next(start + count)
    }

    private func first(
        of literals: [StaticString], at start: Int, ignoresCase: Bool = true, _ next: (Int) -> Outcome
    ) -> Outcome {
        for literal in literals {
            let outcome = self.literal(literal, at: start, ignoresCase: ignoresCase, next)
            if case .none = outcome { continue }
            return outcome
        }
        return .none
    }

    /// Up to `limit` bytes that `matches`; open when the text ends with them.
    private func run(from start: Int, limit: Int, _ matches: (UInt8) -> Bool) -> (end: Int, isOpen: Bool) {
        var end = start
        while end < text.count, end - start < limit, matches(text[end]) { end += 1 }
        return (end, end == text.count && !isWhole)
    }

    private func byte(before index: Int) -> UInt8 { index > 0 ? text[index - 1] : previous }

    private func isWordByte(_ byte: UInt8) -> Bool { Self.isAlphanumeric(byte) || byte == UInt8(ascii: "_") }

    static func isDigit(_ byte: UInt8) -> Bool { byte >= 48 && byte <= 57 }
    static func isAlphanumeric(_ byte: UInt8) -> Bool { isDigit(byte) || (byte | 0x20 >= 97 && byte | 0x20 <= 122 && byte >= 65) }
    static func isKeyByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
    static func isBearerByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: "+"), UInt8(ascii: "/"), UInt8(ascii: "="),
            UInt8(ascii: "-"):
            true
        default: isAlphanumeric(byte)
        }
    }
    static func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "`")
    }
    static func isGapByte(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || isQuote(byte) || byte == UInt8(ascii: "\\") }
    static func isSecretByte(_ byte: UInt8) -> Bool {
        byte > 32 && !isQuote(byte) && byte != UInt8(ascii: ";") && byte != UInt8(ascii: ",") && byte != UInt8(ascii: "\\")
            && byte != 0x7f
    }
    static func isLineByte(_ byte: UInt8) -> Bool {
        byte != 10 && byte != 13 && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }
}
