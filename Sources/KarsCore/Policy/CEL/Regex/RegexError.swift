/// Why a pattern is no regular expression of the RE2 syntax, in the words of Go's reader of it.
package struct RegexError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: String, Equatable, Sendable {
        case missingParenthesis = "missing closing )"
        case unexpectedParenthesis = "unexpected )"
        case missingBracket = "missing closing ]"
        case trailingBackslash = "trailing backslash at end of expression"
        case missingArgument = "missing argument to repetition operator"
        case repeatedOperator = "invalid nested repetition operator"
        case invalidCount = "invalid repeat count"
        case invalidEscape = "invalid escape sequence"
        case invalidRange = "invalid character class range"
        case invalidGroupName = "invalid named capture"
        case unsupportedPerlSyntax = "invalid or unsupported Perl syntax"
        case nestedTooDeep = "expression nests too deeply"
        case tooLarge = "expression too large"
    }

    package let code: Code
    /// The part of the pattern that is at fault.
    package let part: String

    package var description: String {
        let ending =
            switch code {
            case .trailingBackslash, .nestedTooDeep, .tooLarge: part.isEmpty ? "" : ": `\(part)`"
            default: ": `\(part)`"
            }
        return "error parsing regexp: \(code.rawValue)\(ending)"
    }
}
