/// One action pattern of a profile (spec/router 14.2): `*`, a prefix such as `inference:*` or `foundry.*`, or an exact name.
///
/// Only a last `*` is a wildcard; anywhere else it is a character like any other. Case counts.
package struct ActionPattern: Hashable, Sendable, CustomStringConvertible {
    /// As its author wrote it.
    package let text: String

    package init(_ text: String) { self.text = text }

    /// Whether the pattern ends in `*`.
    package var isPrefix: Bool { text.utf8.last == UInt8(ascii: "*") }
    /// The text before the last `*`, or all of it.
    package var stem: Substring { isPrefix ? text.dropLast() : text[...] }

    package var description: String { text }

    /// Plain text comparison, without knowledge of what the verb means: how AGT 1 matches.
    package func matchesText(_ name: String) -> Bool {
        isPrefix ? name.utf8.starts(with: stem.utf8) : name.utf8.elementsEqual(text.utf8)
    }
}
