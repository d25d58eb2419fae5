/// The redactor for text that arrives in pieces: gives out what can no longer be part of a secret and keeps the rest back.
///
/// Nothing is held back in ordinary text; only from where a secret may have begun, and never more than `holdBackBytes`. A
/// match that outgrows the window is replaced at once and the rest of it dropped as it arrives. The one thing that a window
/// can miss is a connection string whose password comes later than that.
package struct StreamRedactor: Sendable {
    /// The largest useful piece to keep back: longer than any token of the known kinds.
    package static let defaultHoldBackBytes = 1_024

    private let holdBackBytes: Int
    private var held: [UInt8] = []
    /// The last byte given out or dropped: what stands before `held`.
    private var previous: UInt8 = 0
    /// The rest of a match that was already replaced.
    private var dropping: Redactor.Kind?
    private var ignoringConnectionsBefore = 0
    /// What was replaced so far.
    package private(set) var kinds: [Redactor.Kind] = []

    package init(holdBackBytes: Int = defaultHoldBackBytes) { self.holdBackBytes = max(256, holdBackBytes) }

    /// Bytes kept back at the moment.
    package var heldBytes: Int { held.count }

    /// Takes the next piece, whole characters, and returns what may go out.
    package mutating func push(_ piece: some Collection<UInt8>) -> [UInt8] { step(piece, isLast: false) }

    /// As `push`; nil when exactly this piece may go out, which is so for most.
    package mutating func passing(_ piece: String) -> String? {
        var piece = piece
        if held.isEmpty, dropping == nil {
            let isPlain = piece.withUTF8 { text in
                var scanner = SecretScanner(text, previous: previous, isWhole: false)
                scanner.scan()
                guard scanner.open == nil, scanner.matches.isEmpty else { return false }
                previous = text.last ?? previous
                return true
            }
            if isPlain { return nil }
        }
        return String(decoding: push(piece.utf8), as: UTF8.self)
    }

    /// The text has ended: returns what was kept back.
    package mutating func finish() -> [UInt8] { step([], isLast: true) }

    private mutating func step(_ piece: some Collection<UInt8>, isLast: Bool) -> [UInt8] {
        held.append(contentsOf: piece)
        var output: [UInt8] = []
        while true {
            if dropping != nil, !dropRest() { break }
            guard !held.isEmpty, advance(isLast: isLast, &output) else { break }
        }
        return output
    }

    /// Gives out what is final. Returns whether the rest must be looked at again.
    private mutating func advance(isLast: Bool, _ output: inout [UInt8]) -> Bool {
        let ignored = ignoringConnectionsBefore
        let (openAt, open) = held.withUnsafeBufferPointer { text -> (Int, (kind: Redactor.Kind, isCertain: Bool)?) in
            var scanner = SecretScanner(text, previous: previous, isWhole: isLast)
            scanner.scan(ignoringConnectionsBefore: ignored)
            Redactor.write(text, upTo: scanner.openAt, regions: scanner.regions, to: &output, kinds: &kinds)
            return (scanner.openAt, scanner.open)
        }
        release(openAt)
        guard let open, held.count > holdBackBytes else { return false }
        if open.isCertain {
            // An open match reaches to the end of what is held, so all of that goes; its rest goes as it arrives.
            Redactor.append(open.kind.placeholder, to: &output)
            kinds.append(open.kind)
            dropping = open.kind
            release(open.kind == .pemPrivateKey ? held.count - Self.endOfKey.count : held.count)
            return true
        }
        if open.kind == .connectionString {
            ignoringConnectionsBefore = held.count
            return true
        }
        // No other beginning is longer than the window; what is left is a match overlapping another. The window ends here.
        return advance(isLast: true, &output)
    }

    private static let endOfKey = Array("PRIVATE KEY-----".utf8)

    /// Drops what still belongs to a replaced match. Returns whether its end was found.
    private mutating func dropRest() -> Bool {
        guard let kind = dropping else { return true }
        let end: Int?
        switch kind {
        case .pemPrivateKey:
            var position = 0
            while position < held.count, held[position] != UInt8(ascii: "\""), !held[position...].starts(with: Self.endOfKey) {
                position += 1
            }
            guard position < held.count else {
                // What may be the beginning of the last line is kept.
                release(max(0, held.count - Self.endOfKey.count + 1))
                return false
            }
            end = held[position] == UInt8(ascii: "\"") ? position : position + Self.endOfKey.count
        case .connectionString: end = held.firstIndex { !SecretScanner.isLineByte($0) || $0 == UInt8(ascii: ";") }
        case .secretAssignment: end = held.firstIndex { !SecretScanner.isSecretByte($0) }
        case .bearerToken: end = held.firstIndex { !SecretScanner.isBearerByte($0) }
        case .apiKey, .openAIToken, .googleAPIKey, .githubToken, .slackToken, .awsAccessKey:
            end = held.firstIndex { !SecretScanner.isKeyByte($0) }
        }
        guard let end else {
            release(held.count)
            return false
        }
        release(end)
        dropping = nil
        return true
    }

    /// Removes `count` bytes from the front.
    private mutating func release(_ count: Int) {
        guard count > 0 else { return }
        previous = held[count - 1]
        held.removeFirst(count)
        ignoringConnectionsBefore = max(0, ignoringConnectionsBefore - count)
    }
}
