/// One text under one program: runs all its threads in step, a code point at a time.
///
/// A thread is an instruction and the place where its match began. There is at most one for each instruction, the most preferred
/// one, which is what makes the time linear.
struct RegexMatcher {
    private let program: RegexProgram
    private let text: RegexText
    private var current: Threads
    private var next: Threads
    /// Up to which byte the last search has read.
    private(set) var reach = 0

    init(_ program: RegexProgram, _ bytes: UnsafeBufferPointer<UInt8>) {
        self.program = program
        text = RegexText(bytes: bytes)
        current = Threads(capacity: program.instructions.count)
        next = current
    }

    /// Threads in order of preference, each instruction once.
    private struct Threads {
        var instructions: [Int] = []
        /// Where the match of the thread at the same index began.
        var starts: [Int] = []
        /// For each instruction the generation it was last added in.
        private var added: [Int]
        private var generation = 1
        private var pending: [Int] = []

        init(capacity: Int) { added = Array(repeating: 0, count: capacity) }

        mutating func clear() {
            instructions.removeAll(keepingCapacity: true)
            starts.removeAll(keepingCapacity: true)
            generation += 1
        }

        /// Adds a thread and all that it leads to without reading on.
        mutating func add(
            _ instruction: Int, startingAt start: Int, _ program: borrowing RegexProgram, _ text: RegexText, _ position: Int
        ) {
            pending.append(instruction)
            while let instruction = pending.popLast() {
                if added[instruction] == generation { continue }
                added[instruction] = generation
                switch program.instructions[instruction] {
                case .jump(let target): pending.append(target)
                case .split(let first, let second):
                    pending.append(second)
                    pending.append(first)
                case .assertion(let assertion): if text.holds(assertion, at: position) { pending.append(instruction + 1) }
                case .set, .match:
                    instructions.append(instruction)
                    starts.append(start)
                }
            }
        }
    }

    /// The bytes of the first match that begins at or after `start`; with `anyEnd` as soon as there is one, wherever it ends.
    mutating func firstMatch(from start: Int, anyEnd: Bool = false) -> Range<Int>? {
        var match: Range<Int>?
        var position = start
        defer { reach = position }
        current.clear()
        while true {
            if match == nil, position == 0 || !program.isAnchored {
                current.add(0, startingAt: position, program, text, position)
            }
            if current.instructions.isEmpty, match != nil || program.isAnchored { break }
            let (scalar, length) = text.decode(at: position)
            next.clear()
            threads: for index in current.instructions.indices {
                switch program.instructions[current.instructions[index]] {
                case .match:
                    match = current.starts[index]..<position
                    if anyEnd { return match }
                    // What is less preferred than a match is not looked for any more.
                    break threads
                case .set(let set):
                    if length > 0, program.sets[set].contains(scalar) {
                        let instruction = current.instructions[index] + 1
                        next.add(instruction, startingAt: current.starts[index], program, text, position + length)
                    }
                case .assertion, .split, .jump: break
                }
            }
            guard length > 0 else { break }
            swap(&current, &next)
            position += length
        }
        return match
    }

    /// Where the code point after the one at `position` starts; past the end at the end.
    func next(after position: Int) -> Int { position + max(1, text.decode(at: position).length) }
}

/// Valid UTF-8 and what a pattern can ask about a place in it.
private struct RegexText {
    let bytes: UnsafeBufferPointer<UInt8>

    func holds(_ assertion: RegexAssertion, at position: Int) -> Bool {
        switch assertion {
        case .startOfText: position == 0
        case .endOfText: position == bytes.count
        case .startOfLine: position == 0 || bytes[position - 1] == 10
        case .endOfLine: position == bytes.count || bytes[position] == 10
        case .wordBoundary: isWord(position - 1) != isWord(position)
        case .notWordBoundary: isWord(position - 1) == isWord(position)
        }
    }

    /// Word characters are ASCII, so a byte is enough to tell.
    private func isWord(_ position: Int) -> Bool {
        guard bytes.indices.contains(position) else { return false }
        switch bytes[position] {
        case 48...57, 65...90, 95, 97...122: return true
        default: return false
        }
    }

    /// The code point at `position` and its length in bytes, which is zero at the end.
    @inline(__always)
    func decode(at position: Int) -> (scalar: UInt32, length: Int) {
        guard position < bytes.count else { return (0, 0) }
        let first = UInt32(bytes[position])
        if first < 0x80 { return (first, 1) }
        let length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
        var scalar = first & (0xff >> UInt32(length + 1))
        for offset in 1..<length { scalar = scalar << 6 | UInt32(bytes[position + offset] & 0x3f) }
        return (scalar, length)
    }
}
