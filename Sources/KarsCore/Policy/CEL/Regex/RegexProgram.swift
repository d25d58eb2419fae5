/// A regular expression as instructions of a machine that is in several of them at once (Thompson 1968; Cox, "Regular Expression
/// Matching: the Virtual Machine Approach").
struct RegexProgram: Sendable {
    enum Instruction: Sendable {
        /// One code point of the set at this index, then on.
        case set(Int)
        /// On, if the place is such.
        case assertion(RegexAssertion)
        /// Both, the first one preferred.
        case split(Int, Int)
        case jump(Int)
        case match
    }

    /// Of instructions: time for each code point of a text grows with it.
    static let instructionLimit = 20_000

    /// Of parts put together: an empty part that is repeated makes no instructions, but takes time.
    static let partLimit = 100_000

    private(set) var instructions: [Instruction] = []
    private var partCount = 0
    private(set) var sets: [RegexSet] = []

    init(_ node: RegexNode) throws(RegexError) {
        try append(node)
        instructions.append(.match)
    }

    /// Whether a match can only start where the text does.
    var isAnchored: Bool {
        if case .assertion(.startOfText) = instructions[0] { true } else { false }
    }

    private mutating func append(_ node: RegexNode) throws(RegexError) {
        partCount += 1
        guard partCount <= Self.partLimit else { throw RegexError(code: .tooLarge, part: "") }
        switch node {
        case .empty: break
        case .set(let set):
            sets.append(set)
            try emit(.set(sets.count - 1))
        case .assertion(let assertion): try emit(.assertion(assertion))
        case .concatenation(let parts): for part in parts { try append(part) }
        case .alternation(let branches): try append(alternatives: branches)
        case .repetition(let part, let min, let max, let isGreedy):
            for _ in 0..<min { try append(part) }
            if let max {
                try append(optional: part, upTo: max - min, isGreedy: isGreedy)
            } else {
                try append(anyNumberOf: part, isGreedy: isGreedy)
            }
        }
    }

    private mutating func emit(_ instruction: Instruction) throws(RegexError) {
        guard instructions.count < Self.instructionLimit else { throw RegexError(code: .tooLarge, part: "") }
        instructions.append(instruction)
    }

    private mutating func append(alternatives branches: [RegexNode]) throws(RegexError) {
        var jumps: [Int] = []
        for branch in branches.dropLast() {
            let split = instructions.count
            try emit(.match)
            try append(branch)
            jumps.append(instructions.count)
            try emit(.match)
            instructions[split] = .split(split + 1, instructions.count)
        }
        if let last = branches.last { try append(last) }
        for jump in jumps { instructions[jump] = .jump(instructions.count) }
    }

    private mutating func append(anyNumberOf part: RegexNode, isGreedy: Bool) throws(RegexError) {
        let split = instructions.count
        try emit(.match)
        try append(part)
        try emit(.jump(split))
        instructions[split] = Self.split(into: split + 1, past: instructions.count, isGreedy: isGreedy)
    }

    /// Nested, so that each turn depends on the one before: `(x(x(x)?)?)?`
    private mutating func append(optional part: RegexNode, upTo count: Int, isGreedy: Bool) throws(RegexError) {
        var splits: [Int] = []
        for _ in 0..<count {
            splits.append(instructions.count)
            try emit(.match)
            try append(part)
        }
        for split in splits { instructions[split] = Self.split(into: split + 1, past: instructions.count, isGreedy: isGreedy) }
    }

    private static func split(into: Int, past: Int, isGreedy: Bool) -> Instruction {
        isGreedy ? .split(into, past) : .split(past, into)
    }
}
