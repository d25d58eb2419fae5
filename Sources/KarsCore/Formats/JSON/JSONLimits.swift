/// What a reader of JSON accepts beyond the grammar.
package struct JSONLimits: Equatable, Sendable {
    package enum DuplicateKeys: Equatable, Sendable {
        /// Two members of one name are an error: two readers could otherwise see two different requests.
        case refuse
        /// The last value wins and stays at the first one's place, as in ECMAScript.
        case keepLast
    }

    /// The greatest depth any limits may ask for: the parser recurses, and loop threads have small stacks.
    package static let deepest = 256

    /// Longest text in bytes. A tree takes up to some 16 times that much memory (an array of one-digit numbers).
    package var maxBytes: Int
    /// Arrays and objects inside one another, 1 for a flat object; at most `deepest`.
    package var maxDepth: Int
    package var duplicateKeys: DuplicateKeys

    package static let `default` = JSONLimits()

    package init(maxBytes: Int = 16 << 20, maxDepth: Int = 128, duplicateKeys: DuplicateKeys = .refuse) {
        precondition(maxDepth <= Self.deepest, "JSONLimits.maxDepth above \(Self.deepest)")
        self.maxBytes = maxBytes
        self.maxDepth = maxDepth
        self.duplicateKeys = duplicateKeys
    }
}
