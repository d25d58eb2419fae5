/// One word of an expression with its place.
struct CELToken: Sendable {
    enum Kind: Equatable, Sendable {
        case end
        /// Reserved words included: only the parser knows where they are allowed.
        case identifier(String)
        /// Without sign: the parser knows whether a `-` before it belongs to it. Nil when it does not fit 64 bits.
        case int(UInt64?)
        case uint(UInt64?)
        case double(Double)
        case string(String)
        case bytes([UInt8])
        case symbol(Symbol)
    }

    enum Symbol: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case lessOrEqual = "<="
        case greaterOrEqual = ">="
        case less = "<"
        case greater = ">"
        case and = "&&"
        case or = "||"
        case leftBracket = "["
        case rightBracket = "]"
        case leftBrace = "{"
        case rightBrace = "}"
        case leftParenthesis = "("
        case rightParenthesis = ")"
        case dot = "."
        case comma = ","
        case minus = "-"
        case not = "!"
        case question = "?"
        case colon = ":"
        case plus = "+"
        case times = "*"
        case divide = "/"
        case remainder = "%"
        case isIn = "in"
        case isTrue = "true"
        case isFalse = "false"
        case null
    }

    let kind: Kind
    /// Code points of the source.
    let range: Range<Int>
}
