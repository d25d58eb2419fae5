/// The rules of one place of a schema and of the places below it.
final class RuleNode: Sendable {
    struct Rule: Sendable {
        let source: StructuralSchema.Rule
        let program: CELProgram
        /// Nil when there is none; a fixed message then stands.
        let message: CELProgram?
        /// What follows the place in a fault; empty for the place itself.
        let fieldPath: String
        let usesOldSelf: Bool

        var takesOptionalOldSelf: Bool { source.optionalOldSelf == true }

        /// The rule as faults quote it.
        var text: String { (source.message.isEmpty ? source.rule : source.message).trimmed }
    }

    let rules: [Rule]
    let schema: StructuralSchema
    let type: CELType
    let items: RuleNode?
    let values: RuleNode?
    let properties: [(name: String, node: RuleNode)]

    init?(
        rules: [Rule], schema: StructuralSchema, type: CELType, items: RuleNode?, values: RuleNode?,
        properties: [(name: String, node: RuleNode)]
    ) {
        guard !rules.isEmpty || items != nil || values != nil || !properties.isEmpty else { return nil }
        self.rules = rules
        self.schema = schema
        self.type = type
        self.items = items
        self.values = values
        self.properties = properties
    }
}

extension String {
    /// Without white space at both ends.
    var trimmed: String {
        let scalars = unicodeScalars
        guard let start = scalars.firstIndex(where: { !$0.properties.isWhitespace }),
            let end = scalars.lastIndex(where: { !$0.properties.isWhitespace })
        else { return "" }
        return String(scalars[start...end])
    }

    var hasLineBreak: Bool { unicodeScalars.contains("\n") || unicodeScalars.contains("\r") }
}
