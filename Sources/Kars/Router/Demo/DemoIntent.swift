/// One thing the demo model can be asked to do, recognised in plain English.
///
/// Recognition is a small grammar over words, not a model: a verb, then what the verb needs. Text that fits nothing gives
/// nil, and the demo model says what it can do instead.
enum DemoIntent: Equatable, Sendable {
    case listFiles(path: String?)
    case readFile(path: String)
    case writeFile(path: String, content: String)
    case run(command: String)
    case fetch(url: String)

    /// The tool that does it.
    var tool: String {
        switch self {
        case .listFiles: "list_files"
        case .readFile: "read_file"
        case .writeFile: "write_file"
        case .run: "exec"
        case .fetch: "http_fetch"
        }
    }

    /// The steps of a request: "… then …" asks for several, in order.
    static func steps(in text: String) -> [DemoIntent] {
        let parts = split(text)
        let steps = parts.prefix(mostSteps).compactMap { DemoIntent($0) }
        // Where a part fits nothing, the "then" was part of a command or of a text.
        return steps.count == parts.count ? steps : DemoIntent(text).map { [$0] } ?? []
    }

    /// More steps than a person writes in one sentence.
    private static let mostSteps = 8

    init?(_ text: String) {
        let words = Word.split(text)
        for (position, word) in words.enumerated() {
            guard let verb = Verb(word.lowered), let intent = verb.intent(Array(words[(position + 1)...])) else { continue }
            self = intent
            return
        }
        // "what files are in my workspace?" asks without a verb that we know.
        guard let first = words.first?.lowered, first == "what" || first == "which" || first == "are",
            words.contains(where: { Self.fileNouns.contains($0.lowered) })
        else { return nil }
        self = .listFiles(path: nil)
    }

    fileprivate static let fileNouns: Set = ["files", "file", "folder", "directory", "dir", "workspace", "contents"]

    /// Cuts at whole words outside quotes.
    private static func split(_ text: String) -> [String] {
        var parts: [[Word]] = [[]]
        let words = Word.split(text)
        var position = 0
        while position < words.count {
            if words[position].lowered == "and", position + 1 < words.count, words[position + 1].lowered == "then" {
                parts.append([])
                position += 2
            } else if words[position].lowered == "then", !words[position].isQuoted {
                parts.append([])
                position += 1
            } else {
                parts[parts.count - 1].append(words[position])
                position += 1
            }
        }
        return parts.filter { !$0.isEmpty }.map { Word.source(of: $0) }
    }
}

/// The verbs the demo model knows, each with its own way to read the rest of the sentence.
private enum Verb {
    case list, show, read, write, create, run, fetch

    init?(_ word: String) {
        switch word.last == ":" ? String(word.dropLast()) : word {
        case "list", "ls": self = .list
        case "show", "display": self = .show
        case "read", "open", "cat", "print": self = .read
        case "write", "save", "put", "store": self = .write
        case "create", "make": self = .create
        case "run", "execute", "exec": self = .run
        case "fetch", "get", "download", "visit", "curl", "browse", "retrieve": self = .fetch
        default: return nil
        }
    }

    func intent(_ rest: [Word]) -> DemoIntent? {
        switch self {
        case .list: return .listFiles(path: Self.path(rest))
        case .show:
            if rest.contains(where: { DemoIntent.fileNouns.contains($0.lowered) }),
                Self.path(rest) == nil
                    || rest.contains(where: { ["files", "contents", "directory", "folder", "dir"].contains($0.lowered) })
            {
                return .listFiles(path: Self.path(rest))
            }
            return Self.path(rest).map { .readFile(path: $0) }
        case .read:
            if let url = Self.url(rest, guess: false) { return .fetch(url: url) }
            return Self.path(rest).map { .readFile(path: $0) }
        case .write: return Self.write(rest)
        case .create: return Self.create(rest)
        case .run:
            let command = Self.command(rest)
            return command.isEmpty ? nil : .run(command: command)
        case .fetch: return Self.url(rest, guess: true).map { .fetch(url: $0) }
        }
    }

    /// "hello to a.txt", "hello into the file a.txt", "a.txt: hello".
    private static func write(_ rest: [Word]) -> DemoIntent? {
        for position in rest.indices.reversed() where ["to", "into", "in"].contains(rest[position].lowered) && position > 0 {
            guard !rest[position].isQuoted, let path = path(Array(rest[(position + 1)...])) else { continue }
            return .writeFile(path: path, content: content(Array(rest[..<position])))
        }
        if let first = rest.first, first.text.hasSuffix(":"), rest.count > 1 {
            return .writeFile(path: String(first.text.dropLast()), content: content(Array(rest[1...])))
        }
        return create(rest)
    }

    /// "a file notes.txt with the content hello".
    private static func create(_ rest: [Word]) -> DemoIntent? {
        let with = rest.firstIndex { ["with", "containing", "saying"].contains($0.lowered) && !$0.isQuoted }
        guard let with, let path = path(Array(rest[..<with])) else {
            return nil
        }
        var text = rest[(with + 1)...]
        while let next = text.first, text.count > 1,
            ["the", "content", "contents", "text", "content:", "text:"].contains(next.lowered), !next.isQuoted
        {
            text = text.dropFirst()
        }
        return text.isEmpty ? nil : .writeFile(path: path, content: content(Array(text)))
    }

    private static func content(_ words: [Word]) -> String {
        if let quoted = words.first(where: \.isQuoted) { return quoted.text }
        var words = words[...]
        if words.count > 2, words.first?.lowered == "the", ["text", "word", "words", "line"].contains(words[1].lowered) {
            words = words.dropFirst(2)
        }
        return Word.source(of: Array(words))
    }

    /// The rest of the sentence as it was written: a command's own quotes belong to the command.
    private static func command(_ rest: [Word]) -> String {
        var words = rest[...]
        while let next = words.first, words.count > 1, !next.isQuoted,
            ["the", "command", "command:", "this:", "shell"].contains(next.lowered)
        {
            words = words.dropFirst()
        }
        if words.count == 1, let only = words.first, only.isQuoted { return only.text }
        if let first = words.first, first.isQuoted, first.quote == "`" { return first.text }
        let command = Word.source(of: Array(words))
        // The full stop of the sentence, unless it is an argument (`ls .`).
        return command.hasSuffix(".") && !command.hasSuffix(" .") && !command.hasSuffix("..")
            ? String(command.dropLast()) : command
    }

    /// A quoted word, else one that looks like a path, else the last word that is not filler.
    private static func path(_ words: [Word]) -> String? {
        if let quoted = words.first(where: \.isQuoted) { return quoted.text }
        let looksLikePath = words.first { $0.trimmed.contains(".") || $0.trimmed.contains("/") }
        if let word = looksLikePath, !word.trimmed.isEmpty { return word.trimmed }
        let filler: Set = [
            "the", "my", "a", "an", "of", "in", "from", "file", "files", "folder", "directory", "dir", "workspace", "contents",
            "content", "please", "me", "all", "for", "called", "named", "it", "is", "are", "there", "current", "this", "your",
            "and", "tell", "what", "to", "with", "says", "inside", "says?", "here", "available",
        ]
        guard let last = words.last(where: { !filler.contains($0.lowered) }) else { return nil }
        return words.contains { $0.lowered == "file" || $0.lowered == "called" || $0.lowered == "named" } || words.count == 1
            ? last.trimmed : nil
    }

    private static func url(_ words: [Word], guess: Bool) -> String? {
        for word in words {
            let text = word.trimmed
            if text.hasPrefix("http://") || text.hasPrefix("https://") { return text }
        }
        guard guess else { return nil }
        let host = words.first { word in
            let labels = word.trimmed.prefix { $0 != "/" }.split(separator: ".", omittingEmptySubsequences: false)
            return labels.count > 1 && labels.allSatisfy { !$0.isEmpty } && (labels.last ?? "").allSatisfy(\.isLetter)
        }
        return host.map { "https://" + $0.trimmed }
    }
}

/// A word of the request with its place, so that what it was written as can be taken out whole.
private struct Word {
    /// Without quotes.
    var text: String
    /// As it stands in the request, with the space before it.
    var source: Substring
    var quote: Character?

    var isQuoted: Bool { quote != nil }
    var lowered: String { isQuoted ? "" : trimmed.lowercased() }

    /// Without the punctuation of the sentence around it.
    var trimmed: String {
        if isQuoted { return text }
        var slice = text[...]
        while let last = slice.last, ".,;!?)".contains(last) { slice = slice.dropLast() }
        while let first = slice.first, "(".contains(first) { slice = slice.dropFirst() }
        return String(slice)
    }

    static func source(of words: [Word]) -> String {
        let text = words.map { String($0.source) }.joined()
        var slice = text[...]
        while slice.first?.isWhitespace == true { slice = slice.dropFirst() }
        while slice.last?.isWhitespace == true { slice = slice.dropLast() }
        return String(slice)
    }

    private static let quotes: [Character: Character] = ["\"": "\"", "'": "'", "`": "`", "“": "”"]

    static func split(_ text: String) -> [Word] {
        var words: [Word] = []
        var position = text.startIndex
        while position < text.endIndex {
            let start = position
            while position < text.endIndex, text[position].isWhitespace { position = text.index(after: position) }
            guard position < text.endIndex else { break }
            let opening = text[position]
            if let closing = quotes[opening],
                let end = text[text.index(after: position)...].firstIndex(of: closing)
            {
                let inner = text[text.index(after: position)..<end]
                position = text.index(after: end)
                words.append(Word(text: String(inner), source: text[start..<position], quote: opening))
                continue
            }
            let wordStart = position
            while position < text.endIndex, !text[position].isWhitespace { position = text.index(after: position) }
            words.append(Word(text: String(text[wordStart..<position]), source: text[start..<position], quote: nil))
        }
        return words
    }
}
