/// The plain values that fields of our resources hold.

extension String: SchemaValue {
    package static var schema: StructuralSchema { .string }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let text = json.stringValue else { throw ResourceError(path, "expected text") }
        self = text
    }

    package var json: JSON { .string(self) }
}

extension Bool: SchemaValue {
    package static var schema: StructuralSchema { .boolean }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let flag = json.boolValue else { throw ResourceError(path, "expected true or false") }
        self = flag
    }

    package var json: JSON { .bool(self) }
}

extension Int: SchemaValue {
    package static var schema: StructuralSchema { .int64 }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let number = json.intValue else { throw ResourceError(path, "expected a whole number") }
        self = number
    }

    package var json: JSON { .number(JSONNumber(self)) }
}

/// Any JSON; the definition keeps what it does not know below it.
extension JSON: SchemaValue {
    package static var schema: StructuralSchema { .anything }

    package init(reading json: JSON, at path: String) throws(ResourceError) { self = json }

    package var json: JSON { self }
}

extension Array: SchemaValue, ResourceValue where Element: SchemaValue {
    package static var schema: StructuralSchema { .list(of: Element.schema) }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let elements = json.arrayValue else { throw ResourceError(path, "expected a list") }
        self = []
        reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() { append(try Element(reading: element, at: "\(path)[\(index)]")) }
    }

    package var json: JSON { .array(map(\.json)) }
}

extension Dictionary: SchemaValue, ResourceValue where Key == String, Value: SchemaValue {
    package static var schema: StructuralSchema { .map(of: Value.schema) }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let object = json.objectValue else { throw ResourceError(path, "expected an object") }
        self = [:]
        for (name, element) in object.members { self[name] = try Value(reading: element, at: "\(path).\(name)") }
    }

    /// By name, so that equal maps give equal bytes.
    package var json: JSON { .object(JSONObject(sorted { $0.key < $1.key }.map { ($0.key, $0.value.json) })) }
}

/// One of a few words.
package protocol SchemaChoice: SchemaValue, RawRepresentable<String>, CaseIterable {}

extension SchemaChoice {
    package static var schema: StructuralSchema {
        StructuralSchema.string.with(\.enum, allCases.map { .string($0.rawValue) })
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let text = json.stringValue, let choice = Self(rawValue: text) else {
            throw ResourceError(path, "expected one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = choice
    }

    package var json: JSON { .string(rawValue) }
}
