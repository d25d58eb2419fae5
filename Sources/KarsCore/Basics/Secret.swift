/// A value that must never reach a log, an error or a metric: it prints as `<redacted>` wherever text is made of it.
///
/// Reading it takes the word `reveal`, so that a reviewer finds each place with one search.
package struct Secret<Value: Sendable>: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let value: Value

    package init(_ value: Value) { self.value = value }

    package func reveal() -> Value { value }

    package var description: String { "<redacted>" }
    package var debugDescription: String { "<redacted>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
