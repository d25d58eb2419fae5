/// YAML as `kubectl` reads it: a way of writing JSON by hand, no more.
///
/// libyaml splits the text into events. This folder adds what makes it JSON: scalars get their types by the rules of
/// sigs.k8s.io/yaml, keys become strings, aliases and merge keys are resolved within a bound, and what JSON cannot say
/// (two members of one name, infinities, keys that are lists) is refused with the place where it stands.
package enum YAML {
    /// The documents of a text as plain values. `file` names the text in errors. Documents without content are skipped.
    package static func parse(
        _ text: [UInt8], file: String, limits: YAMLLimits = .default
    ) throws(YAMLError) -> [JSON] {
        try documents(text, file: file, limits: limits).map(\.json)
    }

    /// The documents of a text with the place of each value, for readers that point at what they refuse.
    package static func documents(
        _ text: [UInt8], file: String, limits: YAMLLimits = .default
    ) throws(YAMLError) -> [YAMLNode] {
        guard text.count <= limits.maxBytes else {
            throw YAMLError(
                .tooLarge, file: file, at: .start, reason: "expected at most \(limits.maxBytes) bytes, found \(text.count)")
        }
        return try text.withUnsafeBufferPointer { buffer throws(YAMLError) in
            var builder = YAMLTreeBuilder(reader: try YAMLEventReader(buffer, file: file), file: file, limits: limits)
            return try builder.documents()
        }
    }

    /// Block style, two spaces of indentation, members in their order, a line feed at the end. Reading the text again
    /// gives an equal value; the one exception is a number beyond every double, which every YAML reader takes for a string.
    package static func emit(_ value: JSON) -> String {
        var emitter = YAMLEmitter()
        emitter.document(value)
        return String(decoding: emitter.bytes, as: UTF8.self)
    }

    /// Several documents, `---` between them.
    package static func emit(_ documents: [JSON]) -> String {
        documents.map { emit($0) }.joined(separator: "---\n")
    }
}

/// What a reader of YAML accepts beyond the grammar.
package struct YAMLLimits: Equatable, Sendable {
    /// Longest text in bytes.
    package var maxBytes: Int
    /// Sequences and mappings inside one another, 1 for a flat mapping, aliases counted as what they stand for.
    package var maxDepth: Int
    /// Scalars, sequences and mappings of a whole text, aliases counted as what they stand for: a few lines of aliases
    /// can otherwise stand for more values than any memory holds.
    package var maxNodes: Int

    package static let `default` = YAMLLimits()

    package init(maxBytes: Int = 4 << 20, maxDepth: Int = 100, maxNodes: Int = 500_000) {
        precondition(maxDepth <= JSONLimits.deepest, "YAMLLimits.maxDepth above \(JSONLimits.deepest)")
        self.maxBytes = maxBytes
        self.maxDepth = maxDepth
        self.maxNodes = maxNodes
    }
}
