/// Looks in a model's text for attempts to steer the agent that will read it (spec/router 12).
///
/// One pass, linear in the text. Words must stand alone, one mild phrase is prose, a URL counts only on a line that also says
/// to send something, and code is left alone.
package struct ThreatScanner {
    /// In order of report; raw values are metric labels.
    package enum Threat: String, CaseIterable, Sendable {
        case promptInjection = "prompt_injection"
        case imperativePhrasing = "imperative_phrasing"
        case exfiltrationURL = "exfiltration_url"
    }

    /// Weight from which phrases count at all: "ignore previous" has 3, "you must" has 1.
    static let minimumPhraseWeight = 2

    private let text: UnsafeBufferPointer<UInt8>
    private let isWhole: Bool
    /// Tags whose end has not come yet, by position in `tags`.
    private var openTags: [Int?] = [nil, nil, nil]
    private var hasTag = false
    private var phraseWeight = 0
    private var hasExfiltration = false
    private var lineHasVerb = false
    private var lineHasURL = false
    /// Lengths of code fences that nothing closes: looking for their ends again would take quadratic time.
    private var unclosed: Set<Int> = []

    /// What is in `text`, each once.
    package static func threats(in text: String) -> [Threat] {
        var text = text
        return text.withUTF8 { threats(in: $0, isWhole: true) }
    }

    /// `isWhole`: whether no more text follows. Until then what may become code is taken for code.
    static func threats(in text: UnsafeBufferPointer<UInt8>, isWhole: Bool) -> [Threat] {
        var scanner = ThreatScanner(text, isWhole: isWhole)
        scanner.scan()
        return Threat.allCases.filter { threat in
            switch threat {
            case .promptInjection: scanner.hasTag
            case .imperativePhrasing: scanner.phraseWeight >= (scanner.hasTag ? 1 : minimumPhraseWeight)
            case .exfiltrationURL: scanner.hasExfiltration
            }
        }
    }

    private init(_ text: UnsafeBufferPointer<UInt8>, isWhole: Bool) {
        self.text = text
        self.isWhole = isWhole
    }

    private mutating func scan() {
        var index = 0
        while index < text.count {
            // Bytes that begin nothing are by far the most.
            switch text[index] {
            case 10: endLine()
            case UInt8(ascii: "`"):
                index = endOfCode(at: index)
                continue
            case UInt8(ascii: "<"), UInt8(ascii: "-"): tag(at: index)
            case UInt8(ascii: "i"), UInt8(ascii: "y"), UInt8(ascii: "r"), UInt8(ascii: "o"),
                UInt8(ascii: "I"), UInt8(ascii: "Y"), UInt8(ascii: "R"), UInt8(ascii: "O"):
                if isWordStart(index) { phrase(at: index) }
            case UInt8(ascii: "s"), UInt8(ascii: "u"), UInt8(ascii: "p"), UInt8(ascii: "c"), UInt8(ascii: "w"),
                UInt8(ascii: "e"), UInt8(ascii: "h"), UInt8(ascii: "S"), UInt8(ascii: "U"), UInt8(ascii: "P"),
                UInt8(ascii: "C"), UInt8(ascii: "W"), UInt8(ascii: "E"), UInt8(ascii: "H"):
                if isWordStart(index) { sending(at: index) }
            default: break
            }
            index += 1
        }
        endLine()
    }

    // MARK: - Tags

    private static let tags: [(opening: StaticString, closing: StaticString)] = [
        ("<!--", "-->"), ("<system>", "</system>"), ("<assistant>", "</assistant>"),
    ]

    private mutating func tag(at index: Int) {
        for (position, tag) in Self.tags.enumerated() {
            if let start = openTags[position] {
                guard index > start, matches(tag.closing, at: index) else { continue }
                hasTag = true
                openTags[position] = nil
            } else if matches(tag.opening, at: index) {
                openTags[position] = index
            }
        }
    }

    // MARK: - Phrases

    private static let phrases: [(words: [[StaticString]], weight: Int)] = [
        ([["ignore"], ["all", ""], ["previous"]], 3), ([["you"], ["must"]], 1),
        ([["reveal"], ["all", ""], ["secrets"]], 3),
        ([["override"], ["the", ""], ["instruction", "instructions"]], 3),
    ]

    private mutating func phrase(at index: Int) {
        for phrase in Self.phrases where isPhrase(phrase.words[...], at: index) { phraseWeight += phrase.weight }
    }

    private func isPhrase(_ words: ArraySlice<[StaticString]>, at index: Int) -> Bool {
        guard let choices = words.first else { return true }
        for choice in choices {
            if choice.utf8CodeUnitCount == 0 {
                if isPhrase(words.dropFirst(), at: index) { return true }
                continue
            }
            guard let end = word(choice, at: index) else { continue }
            if words.count == 1 { return true }
            var next = end
            while next < text.count, next - end < 8, text[next] == 32 || (9...13).contains(text[next]) { next += 1 }
            if next > end, isPhrase(words.dropFirst(), at: next) { return true }
        }
        return false
    }

    // MARK: - Addresses to send to

    private static let verbs: [StaticString] = ["send", "upload", "post", "curl", "wget", "exfil", "exfiltrate"]

    private mutating func sending(at index: Int) {
        if matches("http://", at: index) || matches("https://", at: index) {
            lineHasURL = true
        } else if Self.verbs.contains(where: { word($0, at: index) != nil }) {
            lineHasVerb = true
        }
    }

    private mutating func endLine() {
        if lineHasVerb, lineHasURL { hasExfiltration = true }
        lineHasVerb = false
        lineHasURL = false
    }

    // MARK: - Pieces

    /// Where the fenced block or code span of Markdown that begins at `start` ends; just past the ticks when it is none.
    private mutating func endOfCode(at start: Int) -> Int {
        let opened = endOfTicks(from: start)
        let length = opened - start
        guard !unclosed.contains(length) else { return opened }
        var position = opened
        while position < text.count {
            guard text[position] == UInt8(ascii: "`") else {
                position += 1
                continue
            }
            let run = position
            position = endOfTicks(from: run)
            guard position - run == length else { continue }
            if text[start..<position].contains(10) { endLine() }
            return position
        }
        unclosed.insert(length)
        // An unclosed fence runs to the end of the text, an unclosed span is no code.
        return length >= 3 || !isWhole ? text.count : opened
    }

    private func endOfTicks(from start: Int) -> Int {
        var index = start
        while index < text.count, text[index] == UInt8(ascii: "`") { index += 1 }
        return index
    }

    private func isWordStart(_ index: Int) -> Bool { index == 0 || !SecretScanner.isAlphanumeric(text[index - 1]) }

    /// The end of `literal` when it stands at `index` and ends there as a word.
    private func word(_ literal: StaticString, at index: Int) -> Int? {
        guard matches(literal, at: index) else { return nil }
        let end = index + literal.utf8CodeUnitCount
        return end < text.count && SecretScanner.isAlphanumeric(text[end]) ? nil : end
    }

    private func matches(_ literal: StaticString, at index: Int) -> Bool {
        let count = literal.utf8CodeUnitCount
        guard text.count - index >= count else { return false }
        for offset in 0..<count {
            let byte = text[index + offset]
            guard (byte >= 65 && byte <= 90 ? byte | 0x20 : byte) == literal.utf8Start[offset] else { return false }
        }
        return true
    }
}
