/// Why an expression has no value. In CEL such an error is a value of a kind: `&&`, `||` and the macros built on them may ignore
/// one, except for `costLimitExceeded`, which always ends the evaluation.
package struct CELEvaluationError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The expression was stopped because it had used up its budget.
        case costLimitExceeded
        case noSuchKey, noSuchOverload, indexOutOfBounds
        /// A variable that the environment declares was not given a value.
        case unbound
        case overflow, divisionByZero
        /// A value that cannot become one of another type: text that is no number, JSON that is not what its schema says.
        case conversion
        /// Something that the function called does not take: a pattern that is no regular expression, an empty optional.
        case invalidArgument
    }

    package let code: Code
    /// In the words of CEL's own evaluator as far as it has any.
    package let description: String

    init(_ code: Code, _ description: String) {
        self.code = code
        self.description = description
    }

    static let noSuchOverload = CELEvaluationError(.noSuchOverload, "no such overload")
    static let costLimitExceeded = CELEvaluationError(
        .costLimitExceeded, "operation cancelled: actual cost limit exceeded")

    static func noSuchKey(_ key: String) -> CELEvaluationError { CELEvaluationError(.noSuchKey, "no such key: \(key)") }
    static func invalid(_ description: String) -> CELEvaluationError { CELEvaluationError(.invalidArgument, description) }
}
