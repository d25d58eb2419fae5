/// Patterns of one profile, compiled so that one look at an action finds all that cover it.
///
/// How far an exact name reaches depends on what it does. A pattern that *restricts* (deny, approval, rate limit) covers what lies
/// under it: `tool:write_file` covers `tool:write_file:/etc/hosts`. A pattern that *allows* covers only itself, except
/// where the rest is an argument by definition: `tool:NAME` (spec/router 14.4) and paths below an `egress:` URL. Shell
/// patterns compare words, see `ShellLine`.
struct PatternTable: Sendable {
    enum Effect: Sendable { case restricts, allows }

    /// How an exact pattern is compared with a longer action.
    private enum Reach: UInt32 {
        case whole, emptyArgument, under, urlPath, urlAnything
    }

    /// A shell pattern: the program and its first words.
    fileprivate struct ShellPattern: Sendable {
        var rank: UInt32
        var effect: Effect
        /// The program as written; with a slash it names a path.
        var program: [UInt8]
        var programIsPrefix: Bool
        var arguments: [[UInt8]]
        var lastArgumentIsPrefix: Bool
    }

    private var names = PatternTrie()
    private var shellPrograms = PatternTrie()
    private var shellPatterns: [ShellPattern] = []
    /// Indices of patterns that name a path; few, compared one by one.
    private var shellPaths: [Int] = []
    /// Ranks of patterns that cover every shell command: `*`, `shell:*`.
    private var shellAnything: [UInt32] = []
    /// Ranks of restrictions on particular programs: what an opaque command may be.
    private var shellRestrictions: [UInt32] = []

    struct Item {
        var pattern: ActionPattern
        var rank: UInt32
        var effect: Effect
    }

    init(_ items: [Item]) {
        var nameItems: [PatternTrie.Pattern] = []
        var programItems: [PatternTrie.Pattern] = []
        for item in items {
            var stem = Array(item.pattern.stem.utf8)
            if stem.starts(with: Self.egressVerb) { stem = CanonicalAction.canonical(stem) }
            let isPrefix = item.pattern.isPrefix
            if stem.starts(with: Self.shellVerb) {
                let detail = stem.dropFirst(Self.shellVerb.count)
                add(ShellPattern(detail, isPrefix: isPrefix, rank: item.rank, effect: item.effect), to: &programItems)
                continue
            }
            if isPrefix ? Self.shellVerb.starts(with: stem) : item.effect == .restricts && stem.elementsEqual("shell".utf8) {
                shellAnything.append(item.rank)
            }
            let reach = Self.reach(of: stem, effect: item.effect)
            nameItems.append(
                PatternTrie.Pattern(stem: stem, isPrefix: isPrefix, entry: item.rank << 3 | reach.rawValue))
        }
        names = PatternTrie(nameItems)
        shellPrograms = PatternTrie(programItems)
        shellAnything.sort()
        shellRestrictions.sort()
    }

    private mutating func add(_ pattern: ShellPattern, to programs: inout [PatternTrie.Pattern]) {
        if pattern.program.isEmpty, pattern.programIsPrefix || pattern.effect == .restricts {
            shellAnything.append(pattern.rank)
            return
        }
        let index = shellPatterns.count
        shellPatterns.append(pattern)
        if pattern.effect == .restricts { shellRestrictions.append(pattern.rank) }
        if pattern.program.contains(UInt8(ascii: "/")) {
            shellPaths.append(index)
        } else {
            programs.append(
                PatternTrie.Pattern(stem: pattern.program, isPrefix: pattern.programIsPrefix, entry: UInt32(index)))
        }
    }

    private static let shellVerb = Array("shell:".utf8)
    private static let egressVerb = Array("egress:".utf8)
    private static let toolVerb = Array("tool:".utf8)

    private static func reach(of stem: [UInt8], effect: Effect) -> Reach {
        let isEgress = stem.starts(with: egressVerb)
        switch effect {
        case .restricts: return isEgress ? .urlAnything : .under
        case .allows:
            if isEgress { return .urlPath }
            let isToolName = stem.starts(with: toolVerb) && !stem.dropFirst(toolVerb.count).contains(UInt8(ascii: ":"))
            return isToolName ? .under : .emptyArgument
        }
    }
}

extension PatternTable.ShellPattern {
    fileprivate init(_ detail: ArraySlice<UInt8>, isPrefix: Bool, rank: UInt32, effect: PatternTable.Effect) {
        var words = detail.split(separator: UInt8(ascii: " ")).map(Array.init)
        // `git *` asks for any words after git, as `git` does.
        let endsInWord = isPrefix && detail.last != UInt8(ascii: " ")
        let program = words.isEmpty ? [] : words.removeFirst()
        self.init(
            rank: rank, effect: effect, program: program, programIsPrefix: endsInWord && words.isEmpty, arguments: words,
            lastArgumentIsPrefix: endsInWord && !words.isEmpty)
        if program.isEmpty { programIsPrefix = isPrefix }
    }
}

// MARK: - Looking up

extension PatternTable {
    /// Calls `visit` with the rank of each pattern that covers `name`, in no order, possibly more than once.
    @inline(__always)
    func visitMatches(name: UnsafeBufferPointer<UInt8>, _ visit: (UInt32) -> Void) {
        names.visitMatches(of: name) { entry, length, isPrefix in
            if isPrefix || length == name.count || Self.reaches(Reach(rawValue: entry & 7) ?? .whole, name, from: length) {
                visit(entry >> 3)
            }
        }
    }

    private static func reaches(_ reach: Reach, _ name: UnsafeBufferPointer<UInt8>, from length: Int) -> Bool {
        let next = name[length]
        switch reach {
        case .whole: return false
        case .emptyArgument: return next == UInt8(ascii: ":") && length + 1 == name.count
        case .under: return next == UInt8(ascii: ":")
        case .urlPath: return next == UInt8(ascii: "/") || next == UInt8(ascii: "?") || next == UInt8(ascii: "#")
        case .urlAnything:
            return next == UInt8(ascii: "/") || next == UInt8(ascii: "?") || next == UInt8(ascii: "#")
                || next == UInt8(ascii: ":")
        }
    }

    /// Calls `visit` with the rank of each pattern that covers `command` of `line`.
    func visitMatches(_ command: ShellLine.Command, of line: ShellLine, _ visit: (UInt32) -> Void) {
        for rank in shellAnything { visit(rank) }
        guard !command.isOpaque else {
            for rank in shellRestrictions { visit(rank) }
            return
        }
        let path = line.bytes(of: line.words[Int(command.first)])
        let name = ShellLine.baseName(of: path)
        let isPlain = name.count == path.count
        let isTrusted = isPlain || Self.isInTrustedDirectory(path, name)
        name.withUnsafeBufferPointer { bytes in
            shellPrograms.visitMatches(of: bytes) { index, length, isPrefix in
                guard isPrefix || length == bytes.count else { return }
                let pattern = shellPatterns[Int(index)]
                guard pattern.effect == .restricts || isTrusted else { return }
                if Self.coversArguments(pattern, command, line) { visit(pattern.rank) }
            }
        }
        guard !shellPaths.isEmpty else { return }
        for index in shellPaths {
            let pattern = shellPatterns[index]
            if Self.coversPath(pattern, path, name), Self.coversArguments(pattern, command, line) { visit(pattern.rank) }
        }
    }

    /// Directories of the read-only system image: `/usr/bin/ls` is `ls`, `/sandbox/ls` is whatever the agent put there.
    private static let trustedDirectories = ["/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/"].map {
        Array($0.utf8)
    }

    private static func isInTrustedDirectory(_ path: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        let directory = path[..<name.startIndex]
        return trustedDirectories.contains { $0.elementsEqual(directory) }
    }

    private static func coversPath(_ pattern: ShellPattern, _ path: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
        switch pattern.effect {
        case .allows:
            guard pattern.programIsPrefix else { return path.elementsEqual(pattern.program) }
            // `/opt/tools/*` is not `/opt/tools/../../sandbox/x`.
            return path.starts(with: pattern.program)
                && !path.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
        case .restricts:
            // One program has many paths; the last component is what they share.
            let patternName = ShellLine.baseName(of: pattern.program[...])
            return pattern.programIsPrefix
                ? path.starts(with: pattern.program) || path.contains(UInt8(ascii: ".")) && name.starts(with: patternName)
                : name.elementsEqual(patternName)
        }
    }

    private static func coversArguments(_ pattern: ShellPattern, _ command: ShellLine.Command, _ line: ShellLine) -> Bool {
        guard !pattern.arguments.isEmpty else { return true }
        let words = line.words[Int(command.first) + 1..<Int(command.last)]
        switch pattern.effect {
        case .allows:
            guard words.count >= pattern.arguments.count else { return false }
            for (offset, wanted) in pattern.arguments.enumerated() {
                let word = words[words.startIndex + offset]
                guard !word.isDynamic,
                    matches(wanted, isLast: offset == pattern.arguments.count - 1, pattern, line.bytes(of: word))
                else { return false }
            }
            return true
        case .restricts:
            // In order but not side by side, so that `git -C . push` is still a push; what expands may be anything.
            var next = 0
            for word in words {
                if word.isDynamic { return true }
                if matches(pattern.arguments[next], isLast: next == pattern.arguments.count - 1, pattern, line.bytes(of: word)) {
                    next += 1
                    if next == pattern.arguments.count { return true }
                }
            }
            return command.hasUnknownArguments
        }
    }

    private static func matches(_ wanted: [UInt8], isLast: Bool, _ pattern: ShellPattern, _ word: ArraySlice<UInt8>) -> Bool {
        isLast && pattern.lastArgumentIsPrefix ? word.starts(with: wanted) : word.elementsEqual(wanted)
    }
}
