import KarsCore

/// One message of the built-in API as JSON: what its bytes mean is told by the `APIType` of each field.
enum ProtobufObject {
    private typealias Fault = ProtobufBody.Fault

    /// Messages within messages; types of the built-in API are less deep, except those that contain themselves.
    private static let maxDepth = 64

    static func read(
        _ bytes: ArraySlice<UInt8>, as type: APIObjectType, into object: inout JSONObject
    ) throws(ProtobufBody.Fault) {
        try read(bytes, ProtobufFields.names(of: type), as: type, into: &object, depth: 0)
    }

    private static func read(
        _ bytes: ArraySlice<UInt8>, _ names: [Substring]?, as type: APIObjectType, into object: inout JSONObject, depth: Int
    ) throws(Fault) {
        guard let names else { throw .malformed("\(type.shortName) has no such form") }
        guard depth < maxDepth else { throw .malformed("messages are nested more than \(maxDepth) deep") }
        var reader = ProtobufReader(bytes)
        while let (number, value) = try reader.field() {
            guard number <= names.count else { continue }
            let name = names[number - 1]
            if name.first == "+" {
                let inner = ProtobufFields.names(of: type, message: name.dropFirst())
                try read(try message(value), inner, as: type, into: &object, depth: depth + 1)
            } else if let field = type.fields.first(where: { $0.name == name }) {
                try add(value, field, to: &object, depth)
            }
        }
    }

    /// Lists and maps come element by element.
    private static func add(
        _ value: ProtobufReader.Value, _ field: APIField, to object: inout JSONObject, _ depth: Int
    ) throws(Fault) {
        switch field.type {
        case .list(let element, _):
            let elements = object[field.name]?.arrayValue ?? []
            object[field.name] = .array(elements + (try self.elements(value, element, depth)))
        case .map(let type):
            var map = object[field.name]?.objectValue ?? JSONObject()
            let (key, value) = try entry(value, type, depth)
            map[key] = value
            object[field.name] = .object(map)
        default: object[field.name] = try json(value, field.type, depth)
        }
    }

    /// One element, or several numbers that were packed.
    private static func elements(_ value: ProtobufReader.Value, _ type: APIType, _ depth: Int) throws(Fault) -> [JSON] {
        switch (value, type) {
        case (.bytes(let bytes), .int32), (.bytes(let bytes), .int64), (.bytes(let bytes), .boolean):
            var reader = ProtobufReader(bytes)
            var elements: [JSON] = []
            do throws(ProtobufError) {
                while let number = try reader.nextPacked() {
                    elements.append(type.isBoolean ? .bool(number != 0) : .int(Int(truncatingIfNeeded: number)))
                }
            } catch {
                throw .malformed("\(error)")
            }
            return elements
        default: return [try json(value, type, depth)]
        }
    }

    private static func entry(
        _ value: ProtobufReader.Value, _ type: APIType, _ depth: Int
    ) throws(Fault) -> (key: String, value: JSON) {
        var reader = ProtobufReader(try message(value))
        var key = ""
        var found: ProtobufReader.Value = .bytes([])
        while let (number, value) = try reader.field() {
            if number == 1 { key = try ProtobufBody.text(try message(value)) } else if number == 2 { found = value }
        }
        // A list cannot be the value of a map; it has a message of its own around it (`ExtraValue`).
        guard case .list(let element, _) = type else { return (key, try json(found, type, depth)) }
        var items: [JSON] = []
        var list = ProtobufReader(try message(found))
        while let (number, value) = try list.field() {
            if number == 1 { items += try elements(value, element, depth) }
        }
        return (key, .array(items))
    }

    // MARK: Values

    private static func json(_ value: ProtobufReader.Value, _ type: APIType, _ depth: Int) throws(Fault) -> JSON {
        switch type {
        case .string, .choice: return .string(try ProtobufBody.text(try message(value)))
        case .boolean: return .bool(try number(value) != 0)
        case .int32, .int64: return .int(Int(truncatingIfNeeded: try number(value)))
        case .anyNumber: throw .malformed("a number of unknown kind")
        case .quantity: return .string(try ProtobufBody.text(try part(1, of: value, message) ?? []))
        case .intOrString: return try intOrString(value)
        case .time: return try time(value).map { .string($0.rfc3339) } ?? .null
        case .microTime: return try time(value).map { .string(TimeText.micro($0)) } ?? .null
        case .bytes: return .string(Base64.encode(Array(try message(value))))
        case .rawObject, .anyValue: return try raw(value)
        case .object(let type), .nullableObject(let type): return try object(value, type, depth)
        case .recursive(let type): return try object(value, type(), depth)
        case .list, .map: throw .malformed("a list within a list")
        }
    }

    private static func object(_ value: ProtobufReader.Value, _ type: APIObjectType, _ depth: Int) throws(Fault) -> JSON {
        var object = JSONObject()
        try read(try message(value), ProtobufFields.names(of: type), as: type, into: &object, depth: depth + 1)
        return .object(object)
    }

    private static func message(_ value: ProtobufReader.Value) throws(Fault) -> ArraySlice<UInt8> {
        guard case .bytes(let bytes) = value else { throw .malformed("a number where text or a message belongs") }
        return bytes
    }

    private static func number(_ value: ProtobufReader.Value) throws(Fault) -> UInt64 {
        guard case .varint(let number) = value else { throw .malformed("something else where a number belongs") }
        return number
    }

    /// One field of a small message.
    private static func part<Part>(
        _ wanted: Int, of value: ProtobufReader.Value, _ read: (ProtobufReader.Value) throws(Fault) -> Part
    ) throws(Fault) -> Part? {
        var reader = ProtobufReader(try message(value))
        var found: Part?
        while let (number, value) = try reader.field() {
            if number == wanted { found = try read(value) }
        }
        return found
    }

    /// `intstr.IntOrString`: which of the two it is, the number, the text.
    private static func intOrString(_ value: ProtobufReader.Value) throws(Fault) -> JSON {
        if try part(1, of: value, number) == 1 {
            return .string(try ProtobufBody.text(try part(3, of: value, message) ?? []))
        }
        return .int(Int(truncatingIfNeeded: try part(2, of: value, number) ?? 0))
    }

    /// Seconds and nanoseconds since 1970; an empty message for no time.
    private static func time(_ value: ProtobufReader.Value) throws(Fault) -> UTCTime? {
        guard try !message(value).isEmpty else { return nil }
        let seconds = Int64(bitPattern: try part(1, of: value, number) ?? 0)
        let nanoseconds = try part(2, of: value, number) ?? 0
        guard (-62_135_596_800...253_402_300_799).contains(seconds), nanoseconds < 1_000_000_000 else {
            throw .malformed("a time beyond the years 1 to 9999")
        }
        return UTCTime(seconds: seconds, nanoseconds: Int32(nanoseconds))
    }

    /// JSON in the one field of `RawExtension` or `FieldsV1`.
    private static func raw(_ value: ProtobufReader.Value) throws(Fault) -> JSON {
        guard let bytes = try part(1, of: value, message), !bytes.isEmpty else { return .null }
        do throws(JSONError) { return try JSON(parsing: Array(bytes)) } catch { throw .malformed("\(error)") }
    }
}

extension APIType {
    fileprivate var isBoolean: Bool { if case .boolean = self { true } else { false } }
}
