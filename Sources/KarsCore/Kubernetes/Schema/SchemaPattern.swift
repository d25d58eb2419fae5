/// A `pattern`, compiled when the schema is read and matched in linear time: schemas come from whoever may write definitions.
package struct SchemaPattern: Sendable, Equatable {
    package let source: String
    private let expression: LinearRegex

    package init(_ source: String) throws(RegexError) {
        self.source = source
        expression = try LinearRegex(source)
    }

    /// Whether any part of `text` matches.
    func matches(_ text: String) -> Bool { expression.matches(text) }

    package static func == (left: SchemaPattern, right: SchemaPattern) -> Bool { left.source == right.source }
}
