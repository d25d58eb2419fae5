/// A place in a YAML text, line and column from 1, columns in characters.
package struct YAMLPosition: Equatable, Sendable {
    package let line: Int
    package let column: Int

    package static let start = YAMLPosition(line: 1, column: 1)

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }
}

/// Why a YAML text was refused, with the place a person has to look at.
package struct YAMLError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// What libyaml refuses.
        case syntax
        case tooLarge
        case tooDeep
        case tooManyNodes
        case duplicateKey
        /// A key that is no scalar, or null.
        case invalidKey
        /// A scalar that does not fit its tag, or has no JSON form.
        case invalidValue
        /// An alias to an anchor that is unknown or contains the alias.
        case invalidAlias
        /// `<<` with something else than a mapping or a list of mappings.
        case invalidMerge
        /// Well-formed, but not what the reader of the document wants there; for those who validate a `YAMLNode`.
        case invalidField
    }

    package let code: Code
    package let file: String
    package let line: Int
    package let column: Int
    /// What was expected and what came.
    package let reason: String

    package init(_ code: Code, file: String, at position: YAMLPosition, reason: String) {
        self.code = code
        self.file = file
        line = position.line
        column = position.column
        self.reason = reason
    }

    package var description: String { "\(file):\(line):\(column): \(reason)" }
}
