/// Looks in a model's or a tool's text for attempts to steer the agent that will read it (spec/router 12), and optionally takes
/// them out.
///
/// Such texts cannot be told from honest prose with certainty, so findings have weights, words must stand alone, a URL counts
/// only on a line that also says to send something, and code is left alone. What happens then is the policy's choice; by
/// default it is only observed.
package struct ResponseScanner: Sendable {
    /// Raw values are metric labels.
    package enum Threat: String, CaseIterable, Sendable {
        case promptInjection = "prompt_injection"
        case imperativePhrasing = "imperative_phrasing"
        case exfiltrationURL = "exfiltration_url"
        case credentialLeakage = "credential_leakage"
    }

    package enum Mode: String, CaseIterable, Sendable { case off, observe, redact, block }

    package struct Config: Equatable, Sendable {
        package var injection = Mode.observe
        package var exfiltration = Mode.observe
        package var credentials = Mode.redact
        /// Leaves fenced blocks and code spans as they are, except for credentials.
        package var skipsCode = true
        /// Weight from which phrases count at all: one "you must" is prose.
        package var minimumWeight = 2

        package init() {}
    }

    package struct Report: Equatable, Sendable {
        package var text: String
        package var threats: [Threat] = []
        package var credentials: [Redactor.Kind] = []
        /// Set when a threat whose mode is `block` was found.
        package var isBlocked = false
        /// The sum of what was found: 3 for a tag, a credential or a telling phrase, 2 for a URL, 1 for "you must".
        package var weight = 0
    }

    package let config: Config

    package init(_ config: Config = Config()) { self.config = config }

    package func scan(_ text: String) -> Report {
        var report = Report(text: text)
        var copy = text
        let edits = copy.withUTF8 { findings(in: $0, &report) }
        if !edits.isEmpty { report.text = Self.replacing(edits, in: Array(text.utf8)) }
        if config.credentials != .off {
            let (redacted, kinds) = Redactor().redact(report.text)
            if !kinds.isEmpty {
                report.credentials = kinds
                report.threats.append(.credentialLeakage)
                report.weight += 3
                if config.credentials == .redact { report.text = redacted }
                if config.credentials == .block { report.isBlocked = true }
            }
        }
        return report
    }

    private struct Finding {
        var start: Int
        var end: Int
        var threat: Threat
        var weight: Int
        var placeholder: StaticString
    }

    /// Fills in the report and returns what is to be replaced, in order and without overlap.
    private func findings(in text: UnsafeBufferPointer<UInt8>, _ report: inout Report) -> [Finding] {
        let reader = Reader(text: text, code: config.skipsCode ? Self.codeRanges(in: text) : [])
        var found: [Finding] = []
        if config.injection != .off {
            let tags = reader.tags()
            var phrases = reader.phrases()
            if tags.isEmpty, phrases.reduce(0, { $0 + $1.weight }) < config.minimumWeight { phrases = [] }
            found += tags + phrases
        }
        if config.exfiltration != .off { found += reader.exfiltrationURLs() }
        for threat in Threat.allCases where found.contains(where: { $0.threat == threat }) { report.threats.append(threat) }
        report.weight += found.reduce(0) { $0 + $1.weight }
        let blocked = found.contains { mode(of: $0.threat) == .block }
        report.isBlocked = report.isBlocked || blocked
        var edits: [Finding] = []
        for finding in found.filter({ mode(of: $0.threat) == .redact }).sorted(by: { ($0.start, -$0.end) < ($1.start, -$1.end) })
        where finding.start >= edits.last?.end ?? 0 {
            edits.append(finding)
        }
        return edits
    }

    private func mode(of threat: Threat) -> Mode {
        switch threat {
        case .promptInjection, .imperativePhrasing: config.injection
        case .exfiltrationURL: config.exfiltration
        case .credentialLeakage: config.credentials
        }
    }

    private static func replacing(_ edits: [Finding], in text: [UInt8]) -> String {
        var output: [UInt8] = []
        var position = 0
        for edit in edits {
            output += text[position..<edit.start]
            Redactor.append(edit.placeholder, to: &output)
            position = edit.end
        }
        output += text[position...]
        return String(decoding: output, as: UTF8.self)
    }

    /// Fenced blocks and code spans of Markdown, in order.
    private static func codeRanges(in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var index = 0
        // Lengths of fences that nothing closes: looking for them again would take quadratic time.
        var unclosed: Set<Int> = []
        while index < text.count {
            guard text[index] == UInt8(ascii: "`") else {
                index += 1
                continue
            }
            let start = index
            while index < text.count, text[index] == UInt8(ascii: "`") { index += 1 }
            let length = index - start
            guard !unclosed.contains(length) else { continue }
            var position = index
            var end: Int?
            while position < text.count, end == nil {
                guard text[position] == UInt8(ascii: "`") else {
                    position += 1
                    continue
                }
                let run = position
                while position < text.count, text[position] == UInt8(ascii: "`") { position += 1 }
                if position - run == length { end = position }
            }
            if let end {
                ranges.append(start..<end)
                index = end
            } else {
                unclosed.insert(length)
                // An unclosed fence runs to the end of the text, an unclosed span is no code.
                if length >= 3 { ranges.append(start..<text.count) }
            }
        }
        return ranges
    }

    /// Looks for one sort of finding at a time, outside code.
    private struct Reader {
        let text: UnsafeBufferPointer<UInt8>
        let code: [Range<Int>]

        func tags() -> [Finding] {
            var found: [Finding] = []
            let pairs: [(StaticString, StaticString)] = [
                ("<!--", "-->"), ("<system>", "</system>"), ("<assistant>", "</assistant>"),
            ]
            for (opening, closing) in pairs {
                var start: Int?
                eachIndex(of: UInt8(ascii: "<"), or: UInt8(ascii: "-")) { index in
                    if start == nil, matches(opening, at: index) {
                        start = index
                    } else if let begun = start, index > begun, matches(closing, at: index) {
                        let end = index + closing.utf8CodeUnitCount
                        found.append(
                            Finding(
                                start: begun, end: end, threat: .promptInjection, weight: 3, placeholder: "[REDACTED_PROMPT_TAG]")
                        )
                        start = nil
                    }
                }
            }
            return found
        }

        func phrases() -> [Finding] {
            let patterns: [(words: [[StaticString]], weight: Int)] = [
                ([["ignore"], ["all", ""], ["previous"]], 3), ([["you"], ["must"]], 1),
                ([["reveal"], ["all", ""], ["secrets"]], 3),
                ([["override"], ["the", ""], ["instruction", "instructions"]], 3),
            ]
            var found: [Finding] = []
            eachWord { index in
                for pattern in patterns {
                    if let end = phrase(pattern.words[...], at: index) {
                        found.append(
                            Finding(
                                start: index, end: end, threat: .imperativePhrasing, weight: pattern.weight,
                                placeholder: "[REDACTED_INSTRUCTION]"))
                    }
                }
            }
            return found
        }

        func exfiltrationURLs() -> [Finding] {
            let verbs: [StaticString] = ["send", "upload", "post", "curl", "wget", "exfil", "exfiltrate"]
            var found: [Finding] = []
            var line: [Finding] = []
            var hasVerb = false
            var lineEnd = -1
            eachWord { index in
                if index > lineEnd {
                    if hasVerb { found += line }
                    line = []
                    hasVerb = false
                    lineEnd = text[index...].firstIndex(of: 10) ?? text.count
                }
                if matches("http://", at: index) || matches("https://", at: index) {
                    var end = index
                    while end < text.count, text[end] > 32, !"\"'<>`)]".utf8.contains(text[end]) { end += 1 }
                    line.append(
                        Finding(start: index, end: end, threat: .exfiltrationURL, weight: 2, placeholder: "[REDACTED_URL]"))
                } else if verbs.contains(where: { word($0, at: index) != nil }) {
                    hasVerb = true
                }
            }
            if hasVerb { found += line }
            return found
        }

        private func phrase(_ words: ArraySlice<[StaticString]>, at index: Int) -> Int? {
            guard let choices = words.first else { return nil }
            for choice in choices {
                if choice.utf8CodeUnitCount == 0 {
                    if let end = phrase(words.dropFirst(), at: index) { return end }
                    continue
                }
                guard let end = word(choice, at: index) else { continue }
                if words.count == 1 { return end }
                var next = end
                while next < text.count, next - end < 8, text[next] == 32 || (9...13).contains(text[next]) { next += 1 }
                if next > end, let found = phrase(words.dropFirst(), at: next) { return found }
            }
            return nil
        }

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

        private func eachIndex(of first: UInt8, or second: UInt8, _ body: (Int) -> Void) {
            eachOutsideCode { index in if text[index] == first || text[index] == second { body(index) } }
        }

        /// Where words begin.
        private func eachWord(_ body: (Int) -> Void) {
            eachOutsideCode { index in
                if SecretScanner.isAlphanumeric(text[index]), index == 0 || !SecretScanner.isAlphanumeric(text[index - 1]) {
                    body(index)
                }
            }
        }

        private func eachOutsideCode(_ body: (Int) -> Void) {
            var ranges = code[...]
            var index = 0
            while index < text.count {
                if let range = ranges.first, index >= range.lowerBound {
                    index = range.upperBound
                    ranges = ranges.dropFirst()
                    continue
                }
                body(index)
                index += 1
            }
        }
    }
}
