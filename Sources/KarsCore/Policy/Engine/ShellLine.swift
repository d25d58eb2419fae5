/// Which programs a shell command line would run, as far as reading it can tell.
///
/// A policy that names `shell:rm` means the program, not the first characters of a text: `/bin/rm x`, `a; r\m x`, `$(rm x)`,
/// `env A=1 rm x` and `sh -c 'rm x'` all run it. This reads the line the way a POSIX shell would (POSIX.1-2024 XCU 2) and lists
/// every simple command in it, including those inside substitutions, subshells, wrappers (`env`, `xargs`, `sudo`, `timeout`,
/// `find -exec`, …) and strings handed to another shell. Where the text alone cannot tell (`$X -rf /`, `eval "$Y"`, a here
/// document that expands, an unbalanced quote) the command is *opaque*: it could be anything, and the policy treats it so.
///
/// It sees what a line starts, not what those programs start in turn: whoever allows `python3` allows what Python can do.
struct ShellLine: Sendable {
    /// One word after quote removal.
    struct Word: Sendable {
        /// In `text`.
        var start: Int32
        var end: Int32
        /// Whether the shell would expand it at run time, so that `text` is not what the program gets.
        var isDynamic: Bool
    }

    struct Command: Sendable {
        /// In `words`: the program, then its arguments. Empty only for an opaque command.
        var first: Int32
        var last: Int32
        /// It could be any program.
        var isOpaque: Bool
        /// More arguments arrive at run time (`xargs`).
        var hasUnknownArguments: Bool
    }

    /// The longest line that is read, in bytes; longer ones are opaque.
    static let maxBytes = 65_536
    /// How deep substitutions and `sh -c` may nest before the line counts as opaque.
    static let maxDepth = 12
    /// How many commands are listed before the line counts as opaque.
    static let maxCommands = 1_024
    /// Runtimes cut an action to 256 bytes ending in `...` (spec/runtimes 3); what was cut off is unknown.
    static let truncatedFrom = 250

    // Written while the line is read, by the reader and by what follows wrappers.
    var text: [UInt8] = []
    var words: [Word] = []
    var commands: [Command] = []

    init(_ line: UnsafeBufferPointer<UInt8>) {
        guard line.count <= Self.maxBytes else {
            appendOpaque()
            return
        }
        text.reserveCapacity(line.count + 16)
        words.reserveCapacity(8)
        commands.reserveCapacity(2)
        if line.count >= Self.truncatedFrom, line.suffix(3).elementsEqual("...".utf8) { appendOpaque() }
        var reader = ShellReader(line: line, depth: 0)
        reader.read(into: &self)
    }

    func bytes(of word: Word) -> ArraySlice<UInt8> { text[Int(word.start)..<Int(word.end)] }

    mutating func appendOpaque() {
        if commands.last?.isOpaque == true, commands.last?.first == commands.last?.last { return }
        commands.append(Command(first: 0, last: 0, isOpaque: true, hasUnknownArguments: false))
    }

    mutating func append(_ found: some Sequence<UInt8>, isDynamic: Bool = false) -> Word {
        let start = Int32(text.count)
        text.append(contentsOf: found)
        return Word(start: start, end: Int32(text.count), isDynamic: isDynamic)
    }

    /// Records the command that `range` of `words` spells, and those that it starts in turn.
    mutating func record(_ range: Range<Int>, hasUnknownArguments: Bool = false, depth: Int) {
        guard let program = range.first.map({ words[$0] }) else { return }
        guard commands.count < Self.maxCommands, depth < Self.maxDepth, !program.isDynamic, program.start < program.end else {
            // An empty word runs nothing, but `"$@"` and friends may come out empty or not; both are rare enough to refuse.
            appendOpaque()
            return
        }
        commands.append(
            Command(
                first: Int32(range.lowerBound), last: Int32(range.upperBound), isOpaque: false,
                hasUnknownArguments: hasUnknownArguments))
        ShellWrapper.follow(range, hasUnknownArguments: hasUnknownArguments, in: &self, depth: depth)
    }

    /// Reads `word` as a command line of its own (`sh -c`, `eval`).
    mutating func recordLine(_ line: [UInt8], depth: Int) {
        guard depth < Self.maxDepth, commands.count < Self.maxCommands else {
            appendOpaque()
            return
        }
        line.withUnsafeBufferPointer { line in
            var reader = ShellReader(line: line, depth: depth + 1)
            reader.read(into: &self)
        }
    }
}

// MARK: - Words

extension ShellLine {
    static func isNameByte(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "_") || (byte >= 48 && byte <= 57) || (byte | 0x20 >= 97 && byte | 0x20 <= 122)
    }

    static func isAssignment(_ word: ArraySlice<UInt8>) -> Bool {
        guard let equals = word.firstIndex(of: UInt8(ascii: "=")), equals > word.startIndex,
            let first = word.first, !(first >= 48 && first <= 57)
        else { return false }
        var name = word[..<equals]
        if name.last == UInt8(ascii: "+") { name = name.dropLast() }
        // `a[1]=x` assigns too.
        if let bracket = name.firstIndex(of: UInt8(ascii: "[")) { name = name[..<bracket] }
        return !name.isEmpty && name.allSatisfy(isNameByte)
    }

    /// What follows the last slash.
    static func baseName(of path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        path.lastIndex(of: UInt8(ascii: "/")).map { path[($0 + 1)...] } ?? path
    }
}
