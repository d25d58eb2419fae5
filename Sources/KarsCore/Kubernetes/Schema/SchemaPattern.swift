/// A `pattern`, compiled when the schema is read.
package struct SchemaPattern: Sendable, Equatable {
    package struct Problem: Error, Equatable, Sendable {
        package let reason: String
    }

    package let source: String

    package init(_ source: String) throws(Problem) {
        self.source = source
    }

    package static func == (left: SchemaPattern, right: SchemaPattern) -> Bool { left.source == right.source }
}
