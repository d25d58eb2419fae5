/// The page about the kinds and their fields, from what the API server is told of them.
package enum KindReference {
    package static func page(_ kinds: [KarsKind]) -> String {
        var page = """
            # The kinds of kars

            Group `\(KarsKind.group)`, version `\(KarsKind.version)`. Written by `kars manifests --reference` from the definitions that
            `kars manifests --crds` prints; a test holds this page to them.

            | Kind | Plural | Short | Scope | |
            |---|---|---|---|---|

            """
        for kind in kinds {
            page += "| [\(kind.kind)](#\(kind.kind.lowercased())) | `\(kind.plural)` | `\(kind.shortName)` | "
            page += "\(kind.scope.rawValue) | \(cell(kind.summary)) |\n"
        }
        for kind in kinds { page += section(kind) }
        return page
    }

    private static func section(_ kind: KarsKind) -> String {
        var text = "\n## \(kind.kind)\n\n\(kind.summary)\n"
        text += rules(kind.rules, of: "The object")
        text += "\n### spec of \(kind.kind)\n\n" + table(of: kind.spec) + rules(allRules(kind.spec, at: "spec"))
        text += "\n### status of \(kind.kind)\n\n" + table(of: kind.status)
        return text
    }

    // MARK: Fields

    private static func table(of schema: StructuralSchema) -> String {
        var text = "| Field | Type | |\n|---|---|---|\n"
        for row in rows(of: schema, at: "") {
            text += "| `\(row.path)`\(row.isRequired ? " *" : "") | \(row.type) | \(cell(row.note)) |\n"
        }
        return text
    }

    private struct Row {
        var path: String
        var isRequired: Bool
        var type: String
        var note: String
    }

    private static func rows(of schema: StructuralSchema, at path: String) -> [Row] {
        var rows: [Row] = []
        for (name, field) in schema.properties {
            let place = path.isEmpty ? name : "\(path).\(name)"
            rows.append(
                Row(
                    path: place, isRequired: schema.required.contains(name), type: type(field),
                    note: ([field.description] + limits(field)).filter { !$0.isEmpty }.joined(separator: " ")))
            // Conditions are the same in every kind.
            if name != "conditions" { rows += inner(field, at: place) }
        }
        return rows
    }

    private static func inner(_ field: StructuralSchema, at path: String) -> [Row] {
        if let items = field.items { return rows(of: items, at: path + "[]") + inner(items, at: path + "[]") }
        if case .schema(let values) = field.additionalProperties { return rows(of: values, at: path + ".*") }
        return rows(of: field, at: path)
    }

    private static func type(_ schema: StructuralSchema) -> String {
        if !schema.enum.isEmpty {
            return schema.enum.map { "`\($0.stringValue ?? $0.description)`" }.joined(separator: ", ")
        }
        if let items = schema.items { return "list of \(type(items))" }
        if case .schema(let values) = schema.additionalProperties { return "map of \(type(values))" }
        if schema.isIntOrString { return "number or text" }
        switch schema.type {
        case nil: return "anything"
        case .string: return schema.format == "date-time" ? "time" : "text"
        case let type?: return type.rawValue
        }
    }

    private static func limits(_ schema: StructuralSchema) -> [String] {
        var limits: [String] = []
        func range(_ unit: String, _ low: String?, _ high: String?) {
            switch (low, high) {
            case (let low?, let high?): limits.append("\(low)…\(high)\(unit).")
            case (let low?, nil): limits.append("At least \(low)\(unit).")
            case (nil, let high?): limits.append("At most \(high)\(unit).")
            case (nil, nil): break
            }
        }
        if let value = schema.default { limits.append("Default `\(value.stringValue ?? value.description)`.") }
        range("", schema.minimum?.lexeme, schema.maximum?.lexeme)
        range(" characters", schema.minLength.map(String.init), schema.maxLength.map(String.init))
        range(" entries", schema.minItems.map(String.init), schema.maxItems.map(String.init))
        if let pattern = schema.pattern { limits.append("Matches `\(pattern.source)`.") }
        return limits
    }

    // MARK: Rules

    private static func allRules(_ schema: StructuralSchema, at path: String) -> [(path: String, text: String)] {
        var found = schema.rules.map { (path, $0.message) }
        for (name, field) in schema.properties { found += allRules(field, at: "\(path).\(name)") }
        if let items = schema.items { found += allRules(items, at: path + "[]") }
        if case .schema(let values) = schema.additionalProperties { found += allRules(values, at: path + ".*") }
        return found
    }

    private static func rules(_ rules: [(path: String, text: String)]) -> String {
        guard !rules.isEmpty else { return "" }
        return "\nRules:\n\n" + rules.map { "- `\($0.path)`: \($0.text)\n" }.joined()
    }

    private static func rules(_ rules: [StructuralSchema.Rule], of subject: String) -> String {
        guard !rules.isEmpty else { return "" }
        return "\n\(subject): " + rules.map(\.message).joined(separator: "; ") + ".\n"
    }

    /// Text inside a table.
    private static func cell(_ text: String) -> String { text.replacing("|", with: "\\|").replacing("\n", with: " ") }
}
