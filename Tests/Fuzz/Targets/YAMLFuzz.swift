import KarsCore

extension Fuzz {
    /// What is read stays within its bounds and survives being written; positions lie inside the text.
    static let yamlTarget = Target(name: "yaml") { input in
        let bytes = Array(input)
        let limits = YAMLLimits(maxBytes: 1 << 16, maxDepth: 24, maxNodes: 5000)
        let documents: [JSON]
        do throws(YAMLError) { documents = try YAML.parse(bytes, file: "input", limits: limits) } catch {
            precondition(error.line >= 1 && error.line <= bytes.count + 1 && error.column >= 1, "a place outside the text")
            return
        }
        for document in documents {
            var count = 0
            measure(document, depth: 0, limits, &count)
            let emitted = YAML.emit(document)
            guard let again = try? YAML.parse(Array(emitted.utf8), file: "emitted") else {
                preconditionFailure("cannot read what was written: \(emitted)")
            }
            precondition(again == [document], "writing changed the value: \(emitted)")
            precondition(YAML.emit(document) == again.first.map { YAML.emit($0) }, "the second text differs from the first")
            precondition((try? JSON(parsing: document.encoded())) == document)
        }
    }

    private static func measure(_ value: JSON, depth: Int, _ limits: YAMLLimits, _ count: inout Int) {
        count += 1
        precondition(depth <= limits.maxDepth, "deeper than the limit")
        precondition(count <= limits.maxNodes, "more values than the limit")
        for element in value.arrayValue ?? [] { measure(element, depth: depth + 1, limits, &count) }
        for member in value.objectValue?.members ?? [] { measure(member.value, depth: depth + 1, limits, &count) }
    }
}
