import KarsCore

/// Columns and cells that many kinds share.
extension TableColumn {
    static let name = TableColumn(
        name: "Name", type: "string", format: "name", description: "Name of the object, unique within its namespace."
    ) { object, _ in .string(object.name) }

    static let age = TableColumn(name: "Age", type: "string", description: "Time since the object was created.") { object, now in
        .string(AgeText.since(object.metadata["creationTimestamp"], now))
    }

    /// What kinds without columns of their own have besides the name.
    static let createdAt = TableColumn(name: "Created At", type: "date", description: "When the object was created.") {
        object, _ in
        object.metadata["creationTimestamp"] ?? .null
    }

    static func text(
        _ name: String, wide isWide: Bool = false, _ description: String, _ cell: @escaping @Sendable (JSONObject) -> String
    ) -> TableColumn {
        TableColumn(name: name, type: "string", description: description, priority: isWide ? 1 : 0) { object, _ in
            .string(cell(object))
        }
    }

    static func number(
        _ name: String, type: String = "integer", _ description: String, _ cell: @escaping @Sendable (JSONObject) -> Int
    ) -> TableColumn {
        TableColumn(name: name, type: type, description: description) { object, _ in .int(cell(object)) }
    }

    static func timed(
        _ name: String, wide isWide: Bool = false, _ description: String,
        _ cell: @escaping @Sendable (JSONObject, UTCTime) -> String
    ) -> TableColumn {
        TableColumn(name: name, type: "string", description: description, priority: isWide ? 1 : 0) { .string(cell($0, $1)) }
    }
}

/// Pieces of cells.
enum CellText {
    static let none = "<none>"
    static let unset = "<unset>"

    static func orNone(_ value: JSON?) -> String {
        guard let text = value?.stringValue, !text.isEmpty else { return none }
        return text
    }

    /// `a=1,b=2` in order of the keys.
    static func labels(_ value: JSON?) -> String {
        let members = value?.objectValue ?? JSONObject()
        guard !members.isEmpty else { return none }
        return members.map { "\($0.key)=\($0.value.stringValue ?? "")" }.sorted().joined(separator: ",")
    }

    /// A label selector as `-l` would take it.
    static func selector(_ value: JSON?) -> String {
        let labels = value?["matchLabels"]?.objectValue ?? JSONObject()
        var tests: [(key: String, text: String)] = labels.map { ($0.key, "\($0.key)=\($0.value.stringValue ?? "")") }
        for test in value?["matchExpressions"]?.arrayValue ?? [] {
            let key = test["key"]?.stringValue ?? ""
            let values = (test["values"]?.arrayValue ?? []).compactMap(\.stringValue).sorted().joined(separator: ",")
            switch test["operator"]?.stringValue {
            case "In": tests.append((key, "\(key) in (\(values))"))
            case "NotIn": tests.append((key, "\(key) notin (\(values))"))
            case "Exists": tests.append((key, key))
            default: tests.append((key, "!\(key)"))
            }
        }
        guard !tests.isEmpty else { return none }
        return tests.sorted { $0.key < $1.key }.map(\.text).joined(separator: ",")
    }

    static func containerNames(_ template: JSON?) -> String { containers(template, "name") }
    static func containerImages(_ template: JSON?) -> String { containers(template, "image") }

    private static func containers(_ template: JSON?, _ field: String) -> String {
        (template?["spec"]?["containers"]?.arrayValue ?? []).map { $0[field]?.stringValue ?? "" }.joined(separator: ",")
    }

    /// The three wide columns of what makes pods.
    static let templateColumns: [TableColumn] = [
        .text("Containers", wide: true, "Names of the containers.") { containerNames($0["spec"]?["template"]) },
        .text("Images", wide: true, "Images of the containers.") { containerImages($0["spec"]?["template"]) },
        .text("Selector", wide: true, "Which pods belong to it.") { selector($0["spec"]?["selector"]) },
    ]
}
