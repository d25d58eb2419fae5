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

    private(set) var text: [UInt8] = []
    private(set) var words: [Word] = []
    private(set) var commands: [Command] = []

    init(_ line: UnsafeBufferPointer<UInt8>) {
        guard line.count <= Self.maxBytes else {
            appendOpaque()
            return
        }
        text.reserveCapacity(line.count + 16)
        words.reserveCapacity(8)
        commands.reserveCapacity(2)
        if line.count >= Self.truncatedFrom, line.suffix(3).elementsEqual("...".utf8) { appendOpaque() }
        var reader = Reader(line: line, depth: 0)
        reader.read(into: &self)
    }

    func bytes(of word: Word) -> ArraySlice<UInt8> { text[Int(word.start)..<Int(word.end)] }

    fileprivate mutating func appendOpaque() {
        if commands.last?.isOpaque == true, commands.last?.first == commands.last?.last { return }
        commands.append(Command(first: 0, last: 0, isOpaque: true, hasUnknownArguments: false))
    }

    fileprivate mutating func append(_ found: some Sequence<UInt8>, isDynamic: Bool = false) -> Word {
        let start = Int32(text.count)
        text.append(contentsOf: found)
        return Word(start: start, end: Int32(text.count), isDynamic: isDynamic)
    }

    /// Records the command that `range` of `words` spells, and those that it starts in turn.
    fileprivate mutating func record(_ range: Range<Int>, hasUnknownArguments: Bool = false, depth: Int) {
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
    fileprivate mutating func recordLine(_ line: [UInt8], depth: Int) {
        guard depth < Self.maxDepth, commands.count < Self.maxCommands else {
            appendOpaque()
            return
        }
        line.withUnsafeBufferPointer { line in
            var reader = Reader(line: line, depth: depth + 1)
            reader.read(into: &self)
        }
    }
}

// MARK: - Reading

extension ShellLine {
    /// The tokenizer and the little of the grammar that decides where a command begins.
    private struct Reader {
        let line: UnsafeBufferPointer<UInt8>
        let depth: Int
        var position = 0
        /// Here documents announced on this line; their bodies start after the newline.
        var pendingDocuments: [(delimiter: [UInt8], stripsTabs: Bool, expands: Bool)] = []

        init(line: UnsafeBufferPointer<UInt8>, depth: Int) {
            self.line = line
            self.depth = depth
        }

        mutating func read(into out: inout ShellLine) {
            list(until: nil, depth: depth, into: &out)
            if !pendingDocuments.isEmpty { out.appendOpaque() }
        }

        private var current: UInt8? { position < line.count ? line[position] : nil }
        private func peek(_ offset: Int) -> UInt8? {
            position + offset < line.count ? line[position + offset] : nil
        }

        private mutating func take(_ byte: Unicode.Scalar) -> Bool {
            guard current == UInt8(ascii: byte) else { return false }
            position += 1
            return true
        }

        /// Commands up to `terminator` (a closing parenthesis) or the end.
        private mutating func list(until terminator: UInt8?, depth: Int, into out: inout ShellLine) {
            guard depth < ShellLine.maxDepth else {
                out.appendOpaque()
                position = line.count
                return
            }
            var found: [Word] = []
            var hasAssignment = false
            // `for x in a b`: the words up to the next separator are data.
            var isLoopHead = false
            // After `time`, whose options come before the command.
            var isTimed = false
            // After `&>`: a further word is an argument to one shell and a program to another.
            var isAmbiguous = false

            func finish(_ out: inout ShellLine) {
                if hasAssignment {
                    // `A=1 program` is `env A=1 program`: who may not run env may not set variables either (PATH, LD_PRELOAD).
                    let start = out.words.count
                    let env = out.append("env".utf8)
                    out.words.append(env)
                    out.commands.append(
                        Command(first: Int32(start), last: Int32(start + 1), isOpaque: false, hasUnknownArguments: false))
                }
                if !found.isEmpty, !isLoopHead {
                    let start = out.words.count
                    out.words.append(contentsOf: found)
                    out.record(start..<out.words.count, depth: depth)
                }
                found.removeAll(keepingCapacity: true)
                hasAssignment = false
                isLoopHead = false
                isTimed = false
                isAmbiguous = false
            }

            while let byte = current {
                switch byte {
                case UInt8(ascii: " "), UInt8(ascii: "\t"):
                    position += 1
                case UInt8(ascii: "\\") where peek(1) == UInt8(ascii: "\n"):
                    position += 2
                case UInt8(ascii: "\n"):
                    finish(&out)
                    position += 1
                    skipDocuments(&out)
                case UInt8(ascii: "#"):
                    while let next = current, next != UInt8(ascii: "\n") {
                        _ = next
                        position += 1
                    }
                case UInt8(ascii: "&") where peek(1) == UInt8(ascii: ">"):
                    // Bash redirects both streams; other shells start a job here, and what follows is a command.
                    finish(&out)
                    position += 1
                    redirection(depth: depth, &out)
                    isAmbiguous = true
                case UInt8(ascii: ";"), UInt8(ascii: "&"), UInt8(ascii: "|"):
                    finish(&out)
                    position += 1
                case UInt8(ascii: "("):
                    // After a word it would define a function or assign an array; both change what later words mean.
                    if !found.isEmpty || hasAssignment { out.appendOpaque() }
                    position += 1
                    list(until: UInt8(ascii: ")"), depth: depth + 1, into: &out)
                case UInt8(ascii: ")"):
                    finish(&out)
                    position += 1
                    if terminator == UInt8(ascii: ")") { return }
                    out.appendOpaque()
                case UInt8(ascii: "<"), UInt8(ascii: ">"):
                    if peek(1) == UInt8(ascii: "(") {
                        position += 2
                        list(until: UInt8(ascii: ")"), depth: depth + 1, into: &out)
                        found.append(out.append([], isDynamic: true))
                    } else {
                        redirection(depth: depth, &out)
                    }
                default:
                    let (word, isQuoted) = word(depth: depth, &out)
                    if !isQuoted, isDescriptor(word, out), current == UInt8(ascii: "<") || current == UInt8(ascii: ">") {
                        continue
                    }
                    if isAmbiguous { out.appendOpaque() }
                    guard found.isEmpty, !isLoopHead else {
                        found.append(word)
                        continue
                    }
                    if isTimed, out.bytes(of: word).first == UInt8(ascii: "-") {
                        if !out.bytes(of: word).elementsEqual("-p".utf8) { out.appendOpaque() }
                    } else if isAssignment(word, out) {
                        hasAssignment = true
                    } else if !isQuoted, !hasAssignment, let role = Reserved(out.bytes(of: word)) {
                        switch role {
                        case .opensCommand, .closes: break
                        case .timesCommand:
                            isTimed = true
                            let start = out.words.count
                            out.words.append(word)
                            out.commands.append(
                                Command(
                                    first: Int32(start), last: Int32(start + 1), isOpaque: false, hasUnknownArguments: false))
                        case .loop: isLoopHead = true
                        case .unreadable: out.appendOpaque()
                        }
                    } else {
                        found.append(word)
                    }
                }
            }
            finish(&out)
            if terminator != nil { out.appendOpaque() }
        }

        private enum Reserved {
            case opensCommand, closes, timesCommand, loop, unreadable

            init?(_ word: ArraySlice<UInt8>) {
                guard word.count <= 8, let first = word.first else { return nil }
                switch first {
                case UInt8(ascii: "!"), UInt8(ascii: "{"), UInt8(ascii: "}"): if word.count > 1 { return nil }
                case UInt8(ascii: "c"), UInt8(ascii: "d"), UInt8(ascii: "e"), UInt8(ascii: "f"), UInt8(ascii: "i"),
                    UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "u"), UInt8(ascii: "w"):
                    break
                default: return nil
                }
                switch String(decoding: word, as: UTF8.self) {
                case "if", "then", "elif", "else", "while", "until", "do", "!", "{": self = .opensCommand
                case "fi", "done", "}": self = .closes
                case "time": self = .timesCommand
                case "for": self = .loop
                case "case", "esac", "select", "function", "coproc": self = .unreadable
                default: return nil
                }
            }
        }

        private func isDescriptor(_ word: Word, _ out: ShellLine) -> Bool {
            !word.isDynamic && word.start < word.end && out.bytes(of: word).allSatisfy { $0 >= 48 && $0 <= 57 }
        }

        /// `NAME=…` or `NAME+=…`; the value may be anything.
        private func isAssignment(_ word: Word, _ out: ShellLine) -> Bool { ShellLine.isAssignment(out.bytes(of: word)) }

        /// An operator that starts with `<` or `>`, and its target.
        private mutating func redirection(depth: Int, _ out: inout ShellLine) {
            if current == UInt8(ascii: "<"), peek(1) == UInt8(ascii: "<") {
                position += 2
                if take("<") {
                    skipBlanks()
                    _ = word(depth: depth, &out)
                    return
                }
                let stripsTabs = take("-")
                skipBlanks()
                let (word, isQuoted) = word(depth: depth, &out)
                if word.isDynamic { out.appendOpaque() }
                pendingDocuments.append((Array(out.bytes(of: word)), stripsTabs, !isQuoted))
                return
            }
            while let byte = current, byte == UInt8(ascii: "<") || byte == UInt8(ascii: ">") {
                if peek(1) == UInt8(ascii: "("), byte == UInt8(ascii: "<") || byte == UInt8(ascii: ">") { break }
                position += 1
            }
            if current == UInt8(ascii: "&") || current == UInt8(ascii: "|") { position += 1 }
            skipBlanks()
            switch current {
            case nil, UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "|"), UInt8(ascii: "&"), UInt8(ascii: ")"),
                UInt8(ascii: "("):
                out.appendOpaque()
            case UInt8(ascii: "<"), UInt8(ascii: ">"):
                guard peek(1) == UInt8(ascii: "(") else { return }
                position += 2
                list(until: UInt8(ascii: ")"), depth: depth + 1, into: &out)
            default: _ = word(depth: depth, &out)
            }
        }

        private mutating func skipBlanks() {
            while current == UInt8(ascii: " ") || current == UInt8(ascii: "\t") { position += 1 }
        }

        private mutating func skipDocuments(_ out: inout ShellLine) {
            let documents = pendingDocuments
            pendingDocuments.removeAll()
            for document in documents {
                var isClosed = false
                while position < line.count, !isClosed {
                    var end = position
                    while end < line.count, line[end] != UInt8(ascii: "\n") { end += 1 }
                    var start = position
                    if document.stripsTabs { while start < end, line[start] == UInt8(ascii: "\t") { start += 1 } }
                    let body = line[start..<end]
                    position = min(end + 1, line.count)
                    if body.elementsEqual(document.delimiter) {
                        isClosed = true
                    } else if document.expands, body.contains(where: { $0 == UInt8(ascii: "$") || $0 == UInt8(ascii: "`") }) {
                        // Plain `$NAME` would be harmless, but telling it from a substitution is not worth a mistake here.
                        if body.contains(UInt8(ascii: "`")) || containsSubstitution(body) { out.appendOpaque() }
                    } else if document.expands, body.last == UInt8(ascii: "\\") {
                        // The continuation could hide the delimiter from us or from the shell.
                        out.appendOpaque()
                    }
                }
                if !isClosed { out.appendOpaque() }
            }
        }

        private func containsSubstitution(_ body: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
            var previous: UInt8 = 0
            for byte in body {
                if previous == UInt8(ascii: "$"), byte == UInt8(ascii: "(") || byte == UInt8(ascii: "{") { return true }
                previous = byte
            }
            return previous == UInt8(ascii: "\\")
        }

        /// One word with its quotes removed. Commands inside substitutions are recorded on the way.
        private mutating func word(depth: Int, _ out: inout ShellLine) -> (word: Word, isQuoted: Bool) {
            // Most words hold nothing that a shell would look at twice.
            var end = position
            while end < line.count, Self.isPlain[Int(line[end])] { end += 1 }
            if end > position, isWordEnd(end < line.count ? line[end] : nil) {
                defer { position = end }
                return (out.append(UnsafeBufferPointer(rebasing: line[position..<end])), false)
            }
            var isDynamic = false
            var isQuoted = false
            // A nested substitution appends to `out.text` too, so the word is collected apart once that can happen.
            var bytes: [UInt8] = []
            loop: while let byte = current {
                switch byte {
                case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
                    UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"):
                    break loop
                case UInt8(ascii: "\\"):
                    guard let next = peek(1) else {
                        out.appendOpaque()
                        position += 1
                        break loop
                    }
                    position += 2
                    if next != UInt8(ascii: "\n") {
                        isQuoted = true
                        bytes.append(next)
                    }
                case UInt8(ascii: "'"):
                    isQuoted = true
                    position += 1
                    while let next = current, next != UInt8(ascii: "'") {
                        bytes.append(next)
                        position += 1
                    }
                    if !take("'") { out.appendOpaque() }
                case UInt8(ascii: "\""):
                    isQuoted = true
                    position += 1
                    doubleQuoted(&bytes, &isDynamic, depth: depth, &out)
                case UInt8(ascii: "$"):
                    dollar(&bytes, &isDynamic, &isQuoted, isInQuotes: false, depth: depth, &out)
                case UInt8(ascii: "`"):
                    isDynamic = true
                    backquoted(depth: depth, &out)
                case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "["), UInt8(ascii: "~"):
                    // `[` alone is the test program; `?` and `*` in a longer word are file names to be found.
                    if byte != UInt8(ascii: "[") || !bytes.isEmpty || !isWordEnd(peek(1)) { isDynamic = true }
                    if byte == UInt8(ascii: "["), bytes.isEmpty, peek(1) == UInt8(ascii: "["), isWordEnd(peek(2)) {
                        isDynamic = false
                        bytes += [byte, byte]
                        position += 2
                        continue
                    }
                    bytes.append(byte)
                    position += 1
                case UInt8(ascii: "{"):
                    if !bytes.isEmpty || !isWordEnd(peek(1)), !isEmptyBraces { isDynamic = true }
                    bytes.append(byte)
                    position += 1
                case 0:
                    out.appendOpaque()
                    position += 1
                default:
                    bytes.append(byte)
                    position += 1
                }
            }
            return (out.append(bytes, isDynamic: isDynamic), isQuoted)
        }

        /// Letters, digits and marks without a meaning of their own.
        private static let isPlain: [Bool] = (0..<256).map { byte in
            ShellLine.isNameByte(UInt8(byte)) || "-./,:@%+=^".utf8.contains(UInt8(byte))
        }

        /// `{}` is itself to the shell, and the placeholder of `find` and `xargs`.
        private var isEmptyBraces: Bool { peek(1) == UInt8(ascii: "}") }

        private func isWordEnd(_ byte: UInt8?) -> Bool {
            switch byte {
            case nil, UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: ";"), UInt8(ascii: "&"),
                UInt8(ascii: "|"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "<"), UInt8(ascii: ">"):
                true
            default: false
            }
        }

        private mutating func doubleQuoted(
            _ bytes: inout [UInt8], _ isDynamic: inout Bool, depth: Int, _ out: inout ShellLine
        ) {
            while let byte = current {
                switch byte {
                case UInt8(ascii: "\""):
                    position += 1
                    return
                case UInt8(ascii: "\\"):
                    guard let next = peek(1) else {
                        position += 1
                        continue
                    }
                    position += 2
                    switch next {
                    case UInt8(ascii: "\n"): break
                    case UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(next)
                    default: bytes += [byte, next]
                    }
                case UInt8(ascii: "$"):
                    var isQuoted = true
                    dollar(&bytes, &isDynamic, &isQuoted, isInQuotes: true, depth: depth, &out)
                case UInt8(ascii: "`"):
                    isDynamic = true
                    backquoted(depth: depth, &out)
                case 0:
                    out.appendOpaque()
                    position += 1
                default:
                    bytes.append(byte)
                    position += 1
                }
            }
            out.appendOpaque()
        }

        /// What follows a dollar sign: a parameter, arithmetic, a substitution, or nothing special.
        private mutating func dollar(
            _ bytes: inout [UInt8], _ isDynamic: inout Bool, _ isQuoted: inout Bool, isInQuotes: Bool, depth: Int,
            _ out: inout ShellLine
        ) {
            position += 1
            switch current {
            case UInt8(ascii: "("):
                isDynamic = true
                if peek(1) == UInt8(ascii: "("), skipArithmetic() { return }
                position += 1
                list(until: UInt8(ascii: ")"), depth: depth + 1, into: &out)
            case UInt8(ascii: "{"):
                isDynamic = true
                position += 1
                skipParameter(&out)
            case UInt8(ascii: "'") where !isInQuotes:
                isDynamic = true
                isQuoted = true
                position += 1
                while let byte = current, byte != UInt8(ascii: "'") {
                    // Not every shell lets a backslash hide the closing quote.
                    if byte == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "'") { out.appendOpaque() }
                    position += byte == UInt8(ascii: "\\") ? 2 : 1
                }
                if position >= line.count {
                    position = line.count
                    out.appendOpaque()
                } else {
                    position += 1
                }
            case UInt8(ascii: "\"") where !isInQuotes:
                isDynamic = true
            case let byte? where ShellLine.isNameByte(byte) || "@*#?-$!".utf8.contains(byte):
                isDynamic = true
                position += 1
                while let byte = current, ShellLine.isNameByte(byte) { position += 1 }
            case nil: bytes.append(UInt8(ascii: "$"))
            default: bytes.append(UInt8(ascii: "$"))
            }
        }

        /// `((…))` with nothing in it that runs a command; leaves the position alone otherwise.
        private mutating func skipArithmetic() -> Bool {
            var index = position + 2
            var open = 2
            while index < line.count {
                switch line[index] {
                case UInt8(ascii: "("): open += 1
                case UInt8(ascii: ")"):
                    open -= 1
                    if open == 1 {
                        // Only `))` side by side ends arithmetic; `) )` was a subshell inside a substitution.
                        guard index + 1 < line.count, line[index + 1] == UInt8(ascii: ")") else { return false }
                        position = index + 2
                        return true
                    }
                case UInt8(ascii: "`"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "\n"),
                    UInt8(ascii: ";"), UInt8(ascii: "["), UInt8(ascii: "{"):
                    return false
                case UInt8(ascii: "$") where index + 1 < line.count && line[index + 1] == UInt8(ascii: "("):
                    return false
                default: break
                }
                index += 1
            }
            return false
        }

        /// The rest of `${…`; opaque when it could run something.
        private mutating func skipParameter(_ out: inout ShellLine) {
            while let byte = current {
                position += 1
                switch byte {
                case UInt8(ascii: "}"): return
                case UInt8(ascii: "`"), UInt8(ascii: "("), UInt8(ascii: "@"), UInt8(ascii: "{"), UInt8(ascii: "'"),
                    UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "\n"), UInt8(ascii: "["):
                    out.appendOpaque()
                default: break
                }
            }
            out.appendOpaque()
        }

        private mutating func backquoted(depth: Int, _ out: inout ShellLine) {
            position += 1
            var inner: [UInt8] = []
            while let byte = current, byte != UInt8(ascii: "`") {
                if byte == UInt8(ascii: "\\"), let next = peek(1), "`$\\".utf8.contains(next) {
                    inner.append(next)
                    position += 2
                } else {
                    inner.append(byte)
                    position += 1
                }
            }
            if !take("`") { out.appendOpaque() }
            out.recordLine(inner, depth: depth)
        }
    }

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
}

// MARK: - Programs that run programs

/// What is known about programs whose arguments name another program.
private struct ShellWrapper {
    /// Options that take the next word, or the rest of their own (`-n10`).
    var valued: Set<String> = []
    /// Options that stand alone.
    var plain: Set<String> = []
    /// Words between the options and the program.
    var operands = 0
    /// `NAME=value` words may precede the program.
    var takesAssignments = false
    /// More arguments come from elsewhere.
    var addsArguments = false
    /// The words are joined and given to a shell.
    var joinsLine = false

    private static let known: [String: ShellWrapper] = [
        "env": ShellWrapper(
            valued: ["-u", "-C", "--unset", "--chdir"], plain: ["-i", "-", "-0", "-v", "--ignore-environment"],
            takesAssignments: true),
        "sudo": ShellWrapper(
            valued: ["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-U", "-D", "-R", "-T"],
            plain: ["-n", "-E", "-H", "-k", "-b", "-A", "-S", "-P"], takesAssignments: true),
        "doas": ShellWrapper(valued: ["-u", "-C"], plain: ["-n", "-L"]),
        "nohup": ShellWrapper(),
        "setsid": ShellWrapper(plain: ["-c", "-f", "-w", "--ctty", "--fork", "--wait"]),
        "command": ShellWrapper(plain: ["-p", "-v", "-V"]),
        "builtin": ShellWrapper(),
        "exec": ShellWrapper(valued: ["-a"], plain: ["-c", "-l", "-cl"]),
        "time": ShellWrapper(valued: ["-f", "-o", "--format", "--output"], plain: ["-p", "-a", "-v", "--portability"]),
        "nice": ShellWrapper(valued: ["-n", "--adjustment"]),
        "ionice": ShellWrapper(valued: ["-c", "-n", "--class", "--classdata"], plain: ["-t"]),
        "chrt": ShellWrapper(plain: ["-b", "-f", "-i", "-o", "-r"], operands: 1),
        "timeout": ShellWrapper(
            valued: ["-s", "-k", "--signal", "--kill-after"], plain: ["--foreground", "--preserve-status", "-v", "--verbose"],
            operands: 1),
        "stdbuf": ShellWrapper(valued: ["-i", "-o", "-e", "--input", "--output", "--error"]),
        "xargs": ShellWrapper(
            valued: [
                "-I", "-n", "-P", "-L", "-d", "-a", "-E", "-s", "--max-args", "--max-procs", "--delimiter", "--arg-file",
                "--replace", "--max-lines", "--max-chars",
            ],
            plain: ["-0", "-r", "-t", "-x", "-o", "--null", "--no-run-if-empty", "--verbose", "--exit", "--open-tty"],
            addsArguments: true),
        "busybox": ShellWrapper(),
        "toybox": ShellWrapper(),
        "chroot": ShellWrapper(valued: ["--userspec", "--groups"], plain: ["--skip-chdir"], operands: 1),
        "watch": ShellWrapper(
            valued: ["-n", "--interval"], plain: ["-d", "-t", "-b", "-e", "-g", "-c", "-p"], joinsLine: true),
        "eval": ShellWrapper(joinsLine: true),
    ]

    private static let shells: Set<String> = ["sh", "bash", "dash", "zsh", "ash", "ksh", "mksh", "rbash", "fish"]
    /// They run programs in ways that are not followed here, or change what later words mean.
    private static let unreadable: Set<String> = [
        "trap", "alias", "enable", "hash", "su", "script", "parallel", "flock", "unshare", "nsenter", "strace", "ltrace", "gdb",
        "setpriv", "runuser", "runcon", "capsh", "start-stop-daemon", "systemd-run", "bwrap", "firejail", "expect",
        "ld.so", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
    ]

    /// Records what the command at `range` starts in turn.
    static func follow(_ range: Range<Int>, hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        let program = ShellLine.baseName(of: line.bytes(of: line.words[range.lowerBound]))
        // The longest name in the table; longer ones need not be made into strings.
        guard program.count <= 24, let role = roles[String(decoding: program, as: UTF8.self)] else { return }
        let rest = range.dropFirst()
        switch role {
        case .shell: followShell(rest, hasUnknownArguments, in: &line, depth: depth)
        case .find: followFind(rest, in: &line, depth: depth)
        case .unreadable: if !rest.isEmpty || hasUnknownArguments { line.appendOpaque() }
        case .wrapper(let wrapper): wrapper.follow(rest, hasUnknownArguments, in: &line, depth: depth)
        }
    }

    private enum Role {
        case shell, find, unreadable
        case wrapper(ShellWrapper)
    }

    private static let roles: [String: Role] = {
        var roles = known.mapValues { Role.wrapper($0) }
        for name in shells { roles[name] = .shell }
        for name in unreadable { roles[name] = .unreadable }
        roles["find"] = .find
        return roles
    }()

    private func follow(_ rest: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        var index = rest.lowerBound
        options: while index < rest.upperBound {
            let word = line.words[index]
            if word.isDynamic {
                // It may come out as an option, as the program, or as nothing.
                line.appendOpaque()
                return
            }
            let bytes = line.bytes(of: word)
            if takesAssignments, ShellLine.isAssignment(bytes) {
                index += 1
                continue
            }
            guard bytes.first == UInt8(ascii: "-"), !joinsLine || bytes.count > 1 else { break }
            let text = String(decoding: bytes, as: UTF8.self)
            switch text {
            case "--":
                index += 1
                break options
            case _ where plain.contains(text): index += 1
            case _ where valued.contains(text): index += 2
            default:
                // `--option=value`, `-n10`, `-10` (nice).
                let isLong = text.hasPrefix("--")
                let stem = isLong ? String(text.prefix { $0 != "=" }) : String(text.prefix(2))
                let isNumber = !isLong && text.dropFirst().utf8.allSatisfy { $0 >= 48 && $0 <= 57 }
                guard isNumber || (valued.contains(stem) && (!isLong || text.contains("="))) else {
                    line.appendOpaque()
                    return
                }
                index += 1
            }
        }
        index += operands
        // `env -- A=1 program`: assignments may follow the end of the options.
        if takesAssignments {
            while index < rest.upperBound, !line.words[index].isDynamic,
                ShellLine.isAssignment(line.bytes(of: line.words[index]))
            {
                index += 1
            }
        }
        guard index < rest.upperBound else {
            if hasUnknownArguments { line.appendOpaque() }
            return
        }
        if joinsLine {
            Self.followJoined(index..<rest.upperBound, hasUnknownArguments, in: &line, depth: depth)
        } else if line.bytes(of: line.words[index]).contains(UInt8(ascii: "{")) {
            // The placeholder of xargs as the program.
            line.appendOpaque()
        } else {
            line.record(
                index..<rest.upperBound, hasUnknownArguments: hasUnknownArguments || addsArguments, depth: depth + 1)
        }
    }

    private static func followJoined(_ range: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        if hasUnknownArguments || line.words[range].contains(where: \.isDynamic) {
            line.appendOpaque()
            return
        }
        var joined: [UInt8] = []
        for word in line.words[range] {
            if !joined.isEmpty { joined.append(UInt8(ascii: " ")) }
            joined += line.bytes(of: word)
        }
        line.recordLine(joined, depth: depth)
    }

    private static func followShell(_ rest: Range<Int>, _ hasUnknownArguments: Bool, in line: inout ShellLine, depth: Int) {
        var takesString = false
        var index = rest.lowerBound
        while index < rest.upperBound {
            let word = line.words[index]
            if word.isDynamic {
                line.appendOpaque()
                return
            }
            let text = String(decoding: line.bytes(of: word), as: UTF8.self)
            guard text.hasPrefix("-") || text.hasPrefix("+"), text != "--", text.utf8.count > 1 else {
                if text == "--" || text == "-" { index += 1 }
                break
            }
            if text.hasPrefix("--") {
                guard ["--norc", "--noprofile", "--posix", "--login"].contains(text) else {
                    line.appendOpaque()
                    return
                }
                index += 1
                continue
            }
            let flags = text.dropFirst()
            if flags.contains("s") {
                line.appendOpaque()
                return
            }
            if text.hasPrefix("-"), flags.contains("c") { takesString = true }
            index += flags.contains("o") || flags.contains("O") ? 2 : 1
        }
        guard index < rest.upperBound else {
            // Commands come from standard input.
            line.appendOpaque()
            return
        }
        let operand = line.words[index]
        guard takesString else {
            // A script that is a pipe in disguise is standard input again.
            let path = line.bytes(of: operand)
            if operand.isDynamic || path.starts(with: "/dev/".utf8) || path.starts(with: "/proc/".utf8) { line.appendOpaque() }
            return
        }
        if operand.isDynamic || line.bytes(of: operand).contains(UInt8(ascii: "{")) && hasUnknownArguments {
            line.appendOpaque()
        } else {
            line.recordLine(Array(line.bytes(of: operand)), depth: depth)
        }
    }

    private static func followFind(_ rest: Range<Int>, in line: inout ShellLine, depth: Int) {
        var index = rest.lowerBound
        while index < rest.upperBound {
            let word = line.words[index]
            // A quoted `$X` is one word, an unquoted one could hide an -exec; both are refused alike.
            if word.isDynamic, line.bytes(of: word).isEmpty { line.appendOpaque() }
            let text = String(decoding: line.bytes(of: word), as: UTF8.self)
            index += 1
            guard ["-exec", "-execdir", "-ok", "-okdir"].contains(text) else { continue }
            var end = index
            while end < rest.upperBound, !line.bytes(of: line.words[end]).elementsEqual(";".utf8),
                !line.bytes(of: line.words[end]).elementsEqual("+".utf8)
            {
                end += 1
            }
            if index == end || line.bytes(of: line.words[index]).contains(UInt8(ascii: "{")) {
                line.appendOpaque()
            } else {
                line.record(index..<end, hasUnknownArguments: true, depth: depth + 1)
            }
            index = end + 1
        }
    }
}

extension ShellLine {
    /// What follows the last slash.
    static func baseName(of path: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        path.lastIndex(of: UInt8(ascii: "/")).map { path[($0 + 1)...] } ?? path
    }
}
