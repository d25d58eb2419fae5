/// Reads the grammar of CEL (langdef "Syntax") with optional syntax. Stops at the first mistake.
///
/// Messages have the wording of CEL's own parser where its reader knows them: what was found, and what could have stood there.
struct CELParser {
    /// Of the source, in code points.
    static let sourceLimit = 100_000
    /// Of nested expressions: parsing, checking and evaluation recurse this deep at most.
    static let depthLimit = 250

    private let lexer: CELLexer
    private let tokens: [CELToken]
    private var index = 0
    private var depth = 0

    static func parse(_ source: [Unicode.Scalar]) throws(CELIssue) -> CELExpression {
        guard source.count <= sourceLimit else {
            throw CELIssue(
                position: 0, message: "expression code point size exceeds limit: size: \(source.count), limit \(sourceLimit)")
        }
        var lexer = CELLexer(source)
        let tokens = try lexer.tokens()
        var parser = CELParser(lexer: lexer, tokens: tokens)
        let expression = try parser.expression()
        try parser.expectEnd()
        return expression
    }

    private init(lexer: CELLexer, tokens: [CELToken]) {
        self.lexer = lexer
        self.tokens = tokens
    }

    // MARK: Operators, loosest first

    private mutating func expression() throws(CELIssue) -> CELExpression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthLimit else { throw tooDeep(at: current.range.lowerBound) }
        let condition = try chain(.or)
        let question = current.range.lowerBound
        guard take(.question) else { return condition }
        let first = try chain(.or)
        guard take(.colon) else { throw mismatch(expecting: "':'") }
        return try make(.conditional(condition, first, try expression()), at: question)
    }

    /// `a || b || c` or `a && b && c`, kept flat: such chains may be long.
    private mutating func chain(_ symbol: CELToken.Symbol) throws(CELIssue) -> CELExpression {
        var operands = [symbol == .or ? try chain(.and) : try relation()]
        var operators: [Int] = []
        while isAt(symbol) {
            operators.append(current.range.lowerBound)
            index += 1
            operands.append(symbol == .or ? try chain(.and) : try relation())
        }
        guard let first = operators.first else { return operands[0] }
        return try make(symbol == .or ? .or(operands, operators: operators) : .and(operands, operators: operators), at: first)
    }

    private mutating func relation() throws(CELIssue) -> CELExpression {
        try leftAssociative([.less, .lessOrEqual, .greaterOrEqual, .greater, .equal, .notEqual, .isIn]) {
            (parser) throws(CELIssue) in
            try parser.leftAssociative([.plus, .minus]) { (parser) throws(CELIssue) in
                try parser.leftAssociative([.times, .divide, .remainder]) { (parser) throws(CELIssue) in try parser.unary() }
            }
        }
    }

    private mutating func leftAssociative(
        _ symbols: [CELToken.Symbol], _ operand: (inout CELParser) throws(CELIssue) -> CELExpression
    ) throws(CELIssue) -> CELExpression {
        var left = try operand(&self)
        while case .symbol(let symbol) = current.kind, symbols.contains(symbol) {
            let position = current.range.lowerBound
            index += 1
            let right = try operand(&self)
            let name = symbol == .isIn ? "@in" : "_\(symbol.rawValue)_"
            left = try make(.call(name, target: nil, arguments: [left, right]), at: position)
        }
        return left
    }

    /// Pairs of equal signs cancel out, as CEL's parser has it; a minus before a number belongs to the number.
    private mutating func unary() throws(CELIssue) -> CELExpression {
        guard isAt(.not) || isAt(.minus), case .symbol(let symbol) = current.kind else { return try member() }
        let position = current.range.lowerBound
        var count = 0
        while isAt(symbol) {
            if symbol == .minus, count == 0, let number = try negativeNumber() { return try member(after: number) }
            count += 1
            index += 1
        }
        let operand = try member()
        guard count % 2 == 1 else { return operand }
        return try make(.call(symbol == .not ? "!_" : "-_", target: nil, arguments: [operand]), at: position)
    }

    private mutating func negativeNumber() throws(CELIssue) -> CELExpression? {
        let position = current.range.lowerBound
        switch tokens[index + 1].kind {
        case .int(let magnitude):
            index += 2
            guard let magnitude, magnitude <= UInt64(Int64.max) + 1 else {
                throw CELIssue(position: position, message: "invalid int literal")
            }
            return CELExpression(.literal(.int(Int64(truncatingIfNeeded: 0 &- magnitude))), at: position)
        case .double(let value):
            index += 2
            return CELExpression(.literal(.double(-value)), at: position)
        default: return nil
        }
    }

    // MARK: Members and primaries

    private mutating func member() throws(CELIssue) -> CELExpression { try member(after: try primary()) }

    private mutating func member(after first: CELExpression) throws(CELIssue) -> CELExpression {
        var operand = first
        while true {
            if isAt(.dot) {
                operand = try selection(of: operand)
            } else if isAt(.leftBracket) {
                let position = current.range.lowerBound
                index += 1
                let isOptional = take(.question)
                let key = try expression()
                try expect(.rightBracket)
                operand = try make(.index(operand, key, isOptional: isOptional), at: position)
            } else if isAt(.leftBrace), let name = Self.qualifiedName(of: operand) {
                let position = current.range.lowerBound
                try skipFields()
                operand = try make(.message(name), at: position)
            } else {
                return operand
            }
        }
    }

    private mutating func selection(of operand: CELExpression) throws(CELIssue) -> CELExpression {
        let dot = current.range
        index += 1
        let isOptional = take(.question)
        guard case .identifier(let name) = current.kind else {
            let found = isAtEnd ? "" : lexer.shown(current.range)
            throw CELIssue(
                position: current.range.lowerBound,
                message: "Syntax error: no viable alternative at input '.\(isOptional ? "?" : "")\(found)'")
        }
        index += 1
        let parenthesis = current.range.lowerBound
        guard !isOptional, take(.leftParenthesis) else {
            return try make(.select(operand, field: name, isOptional: isOptional), at: dot.lowerBound)
        }
        let arguments = try arguments()
        if let macro = try CELMacro.expand(name, target: operand, arguments, at: parenthesis) { return try checked(macro) }
        return try make(.call(name, target: operand, arguments: arguments), at: parenthesis)
    }

    private mutating func primary() throws(CELIssue) -> CELExpression {
        let token = current
        let position = token.range.lowerBound
        index += 1
        switch token.kind {
        case .int(let magnitude):
            guard let magnitude, magnitude <= UInt64(Int64.max) else {
                throw CELIssue(position: position, message: "invalid int literal")
            }
            return CELExpression(.literal(.int(Int64(magnitude))), at: position)
        case .uint(let value):
            guard let value else { throw CELIssue(position: position, message: "invalid uint literal") }
            return CELExpression(.literal(.uint(value)), at: position)
        case .double(let value): return CELExpression(.literal(.double(value)), at: position)
        case .string(let value): return CELExpression(.literal(.string(value)), at: position)
        case .bytes(let value): return CELExpression(.literal(.bytes(value)), at: position)
        case .symbol(.isTrue): return CELExpression(.literal(.bool(true)), at: position)
        case .symbol(.isFalse): return CELExpression(.literal(.bool(false)), at: position)
        case .symbol(.null): return CELExpression(.literal(.null), at: position)
        case .identifier(let name): return try nameOrCall(name, at: position)
        case .symbol(.dot):
            // `.name`: from the root of all names, which is where ours are anyway.
            guard case .identifier(let name) = current.kind else { throw mismatch(expecting: "IDENTIFIER") }
            index += 1
            return try nameOrCall(name, at: position)
        case .symbol(.leftParenthesis):
            let inner = try expression()
            try expect(.rightParenthesis)
            return inner
        case .symbol(.leftBracket): return try list(at: position)
        case .symbol(.leftBrace): return try map(at: position)
        case .symbol, .end:
            index -= 1
            let extra =
                switch index > 0 ? tokens[index - 1].kind : .end {
                case .symbol(.leftBracket): "'[', ']', '{', '(', '.', ',', '-', '!', '?', "
                case .symbol(.leftBrace): "'[', '{', '}', '(', '.', ',', '-', '!', '?', "
                case .symbol(.leftParenthesis) where index > 1 && isName(tokens[index - 2]): "'[', '{', '(', ')', '.', '-', '!', "
                default: "'[', '{', '(', '.', '-', '!', "
                }
            throw mismatch(
                expecting: "{\(extra)'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}")
        }
    }

    private func isName(_ token: CELToken) -> Bool { if case .identifier = token.kind { true } else { false } }

    private mutating func nameOrCall(_ name: String, at position: Int) throws(CELIssue) -> CELExpression {
        guard !CELFieldName.reserved.contains(name) else {
            throw CELIssue(position: position, message: "reserved identifier: \(name)")
        }
        let parenthesis = current.range.lowerBound
        guard take(.leftParenthesis) else { return CELExpression(.identifier(name), at: position) }
        let arguments = try arguments()
        if let macro = try CELMacro.expand(name, target: nil, arguments, at: parenthesis) { return try checked(macro) }
        return try make(.call(name, target: nil, arguments: arguments), at: parenthesis)
    }

    /// After the parenthesis, through the one that closes it.
    private mutating func arguments() throws(CELIssue) -> [CELExpression] {
        var arguments: [CELExpression] = []
        if take(.rightParenthesis) { return arguments }
        repeat { arguments.append(try expression()) } while take(.comma)
        try expect(.rightParenthesis)
        return arguments
    }

    // MARK: Lists, maps, messages

    private mutating func list(at position: Int) throws(CELIssue) -> CELExpression {
        var elements: [CELExpression.ListElement] = []
        while !isAt(.rightBracket) {
            if elements.isEmpty, take(.comma) { break }
            let isOptional = take(.question)
            elements.append(CELExpression.ListElement(value: try expression(), isOptional: isOptional))
            guard take(.comma) else { break }
        }
        guard take(.rightBracket) else { throw mismatch(expecting: elements.isEmpty ? "']'" : "{']', ','}") }
        return try make(.list(elements), at: position)
    }

    private mutating func map(at position: Int) throws(CELIssue) -> CELExpression {
        var entries: [CELExpression.MapEntry] = []
        while !isAt(.rightBrace) {
            if entries.isEmpty, take(.comma) { break }
            let isOptional = take(.question)
            let key = try expression()
            try expect(.colon)
            entries.append(CELExpression.MapEntry(key: key, value: try expression(), isOptional: isOptional))
            guard take(.comma) else { break }
        }
        guard take(.rightBrace) else { throw mismatch(expecting: entries.isEmpty ? "'}'" : "{'}', ','}") }
        return try make(.map(entries), at: position)
    }

    /// The fields of `Name{field: value}`: read for their syntax.
    private mutating func skipFields() throws(CELIssue) {
        index += 1
        while !isAt(.rightBrace) {
            _ = take(.question)
            guard case .identifier = current.kind else { throw mismatch(expecting: "{'}', ',', '?', IDENTIFIER}") }
            index += 1
            try expect(.colon)
            _ = try expression()
            guard take(.comma) else { break }
        }
        guard take(.rightBrace) else { throw mismatch(expecting: "{'}', ','}") }
    }

    /// `a.b.c` when the expression is nothing but that.
    static func qualifiedName(of expression: CELExpression) -> String? {
        switch expression.kind {
        case .identifier(let name): name
        case .select(let operand, let field, isOptional: false): qualifiedName(of: operand).map { "\($0).\(field)" }
        default: nil
        }
    }

    // MARK: Words

    private var current: CELToken { tokens[index] }

    private var isAtEnd: Bool { current.kind == .end }

    private func isAt(_ symbol: CELToken.Symbol) -> Bool {
        if case .symbol(symbol) = current.kind { true } else { false }
    }

    private mutating func take(_ symbol: CELToken.Symbol) -> Bool {
        guard isAt(symbol) else { return false }
        index += 1
        return true
    }

    /// The one word that can stand here.
    private mutating func expect(_ symbol: CELToken.Symbol) throws(CELIssue) {
        if take(symbol) { return }
        let following = index + 1 < tokens.count ? tokens[index + 1].kind : .end
        if !isAtEnd, following == .symbol(symbol) {
            throw complaint("extraneous input '\(lexer.shown(current.range))' expecting '\(symbol.rawValue)'")
        }
        switch current.kind {
        case .identifier, .int, .uint, .double, .string, .bytes: throw mismatch(expecting: "'\(symbol.rawValue)'")
        case .symbol, .end: throw complaint("missing '\(symbol.rawValue)' at '\(isAtEnd ? "<EOF>" : lexer.shown(current.range))'")
        }
    }

    private func expectEnd() throws(CELIssue) {
        guard !isAtEnd else { return }
        let isLast = tokens[index + 1].kind == .end
        throw complaint("\(isLast ? "extraneous" : "mismatched") input '\(lexer.shown(current.range))' expecting <EOF>")
    }

    private func mismatch(expecting: String) -> CELIssue {
        complaint("mismatched input '\(isAtEnd ? "<EOF>" : lexer.shown(current.range))' expecting \(expecting)")
    }

    private func complaint(_ text: String) -> CELIssue {
        CELIssue(position: current.range.lowerBound, message: "Syntax error: \(text)")
    }

    // MARK: Depth

    private func make(_ kind: CELExpression.Kind, at position: Int) throws(CELIssue) -> CELExpression {
        try checked(CELExpression(kind, at: position))
    }

    private func checked(_ expression: CELExpression) throws(CELIssue) -> CELExpression {
        guard expression.depth <= Self.depthLimit else { throw tooDeep(at: expression.position) }
        return expression
    }

    private func tooDeep(at position: Int) -> CELIssue {
        CELIssue(position: position, message: "expression recursion limit exceeded: \(Self.depthLimit)")
    }
}
