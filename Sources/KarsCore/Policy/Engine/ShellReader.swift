/// Reads one shell line into a `ShellLine`: the little of the grammar that decides where a command begins.
struct ShellReader {
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

    var current: UInt8? { position < line.count ? line[position] : nil }
    func peek(_ offset: Int) -> UInt8? {
        position + offset < line.count ? line[position + offset] : nil
    }

    mutating func take(_ byte: Unicode.Scalar) -> Bool {
        guard current == UInt8(ascii: byte) else { return false }
        position += 1
        return true
    }

    /// Commands up to `terminator` (a closing parenthesis) or the end.
    mutating func list(until terminator: UInt8?, depth: Int, into out: inout ShellLine) {
        guard depth < ShellLine.maxDepth else {
            out.appendOpaque()
            position = line.count
            return
        }
        var found: [ShellLine.Word] = []
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
                    ShellLine.Command(first: Int32(start), last: Int32(start + 1), isOpaque: false, hasUnknownArguments: false))
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
                            ShellLine.Command(
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

    private func isDescriptor(_ word: ShellLine.Word, _ out: ShellLine) -> Bool {
        !word.isDynamic && word.start < word.end && out.bytes(of: word).allSatisfy { $0 >= 48 && $0 <= 57 }
    }

    /// `NAME=…` or `NAME+=…`; the value may be anything.
    private func isAssignment(_ word: ShellLine.Word, _ out: ShellLine) -> Bool { ShellLine.isAssignment(out.bytes(of: word)) }

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
}
