import KarsCore

/// Reads objects of built-in kinds as the real server's decoder does: fields it does not know are dropped, a wrong type is
/// a fault in Go's words, empty values vanish or appear as the struct tags have it, times and quantities take their one form,
/// and defaults that depend on nothing else are set.
enum APIDecoder {
    /// What the decoder stumbled over. Its text stands behind `ConfigMap in version "v1" cannot be handled as a ConfigMap: `
    /// in the answer to a create or update (400), and alone in the answer to a patch (422).
    struct Fault: Error, Equatable {
        var text: String
    }

    static func decode(_ object: JSONObject, as type: APIObjectType) throws(Fault) -> JSONObject {
        do throws(Mismatch) {
            return try members(of: object, as: type)
        } catch {
            throw Fault(text: error.text)
        }
    }

    /// An object of `type` before anything is said, without defaults: what the zero value of its Go type shows.
    static func blank(_ type: APIObjectType) -> JSONObject {
        var result = JSONObject()
        for field in type.fields where field.presence == .always { result[field.name] = zero(of: field.type, blank) }
        return result
    }

    // MARK: Objects

    private static func members(of object: JSONObject, as type: APIObjectType) throws(Mismatch) -> JSONObject {
        var result = JSONObject()
        for field in type.fields {
            let given = object[field.name]
            do throws(Mismatch) {
                if let given, !given.isNull {
                    let value = try decoded(given, as: field.type)
                    if field.presence != .nonEmpty || !isEmpty(value, of: field.type) {
                        result[field.name] = value
                        continue
                    }
                }
                if let value = field.defaultValue {
                    result[field.name] = value
                } else if field.presence == .always {
                    result[field.name] = try zero(of: field.type, empty)
                }
            } catch {
                throw error.inside(field.name, of: type)
            }
        }
        return result
    }

    private static func empty(_ type: APIObjectType) throws(Mismatch) -> JSONObject { try members(of: JSONObject(), as: type) }

    /// What Go has when nothing was sent; `null` for lists, maps and times. `object` gives a struct in a struct.
    private static func zero<Failure: Error>(
        of type: APIType, _ object: (APIObjectType) throws(Failure) -> JSONObject
    ) throws(Failure) -> JSON {
        switch type {
        case .string, .choice: ""
        case .boolean: false
        case .int32, .int64, .anyNumber, .intOrString: 0
        case .quantity: "0"
        case .time, .microTime, .bytes, .rawObject, .anyValue, .nullableObject, .list, .map: .null
        case .object(let type): .object(try object(type))
        case .recursive(let type): .object(try object(type()))
        }
    }

    /// What `omitempty` leaves out.
    private static func isEmpty(_ value: JSON, of type: APIType) -> Bool {
        switch (value, type) {
        case (.object(let object), .map): object.isEmpty
        case (.object, _): false
        case (.string(let text), _): text.isEmpty
        case (.number(let number), _): number.int == 0
        case (.bool(let flag), _): !flag
        case (.array(let list), _): list.isEmpty
        case (.null, _): true
        }
    }

    // MARK: Values

    private static func decoded(_ value: JSON, as type: APIType) throws(Mismatch) -> JSON {
        switch type {
        case .string, .choice:
            guard case .string = value else { throw Mismatch(value, type) }
            return value
        case .boolean:
            guard case .bool = value else { throw Mismatch(value, type) }
            return value
        case .int32: return try integer(value, type, in: Int(Int32.min)...Int(Int32.max))
        case .int64: return try integer(value, type, in: Int.min...Int.max)
        case .anyNumber:
            guard case .number = value else { throw Mismatch(value, type) }
            return value
        case .quantity: return try quantity(value)
        case .intOrString: return try intOrString(value)
        case .time, .microTime: return try time(value, type)
        case .bytes:
            guard case .string(let text) = value else { throw Mismatch(value, type) }
            if let fault = Base64Text.fault(in: text) { throw Mismatch(plain: fault) }
            return .string(text.filter { !$0.isNewline })
        case .rawObject:
            guard case .object = value else { throw Mismatch(value, type) }
            return value
        case .anyValue: return value
        case .object(let object), .nullableObject(let object): return try self.object(value, object, type)
        case .recursive(let object): return try self.object(value, object(), type)
        case .list(let element, _):
            guard case .array(let elements) = value else { throw Mismatch(value, type) }
            return .array(try elements.map { (value) throws(Mismatch) in try self.element(value, as: element) })
        case .map(let element):
            guard case .object(var members) = value else { throw Mismatch(value, type) }
            for member in members { members[member.key] = try self.element(member.value, as: element) }
            return .object(members)
        }
    }

    private static func element(_ value: JSON, as type: APIType) throws(Mismatch) -> JSON {
        value.isNull ? try zero(of: type, empty) : try decoded(value, as: type)
    }

    private static func object(_ value: JSON, _ object: APIObjectType, _ type: APIType) throws(Mismatch) -> JSON {
        guard case .object(let members) = value else { throw Mismatch(value, type) }
        return .object(try self.members(of: members, as: object))
    }

    /// Only digits are an integer to Go: `3.0` is refused.
    private static func integer(_ value: JSON, _ type: APIType, in range: ClosedRange<Int>) throws(Mismatch) -> JSON {
        guard case .number(let number) = value else { throw Mismatch(value, type) }
        guard let integer = Int(number.lexeme), range.contains(integer) else {
            throw Mismatch(came: "number \(number.lexeme)", type)
        }
        return value
    }

    private static func intOrString(_ value: JSON) throws(Mismatch) -> JSON {
        switch value {
        case .string: return value
        case .number(let number):
            guard let integer = Int(number.lexeme), Int32(exactly: integer) != nil else {
                throw Mismatch(plain: "json: cannot unmarshal number \(number.lexeme) into Go value of type int32")
            }
            return value
        default: throw Mismatch(plain: "json: cannot unmarshal \(Mismatch.name(of: value)) into Go value of type int32")
        }
    }

    private static func quantity(_ value: JSON) throws(Mismatch) -> JSON {
        let text: String
        switch value {
        case .string(let given): text = given
        case .number(let number): text = number.lexeme
        default: text = String(decoding: value.encoded(), as: UTF8.self)
        }
        do throws(QuantityError) {
            return .string(try Quantity(parsing: text).description)
        } catch {
            throw Mismatch(plain: error.description)
        }
    }

    private static func time(_ value: JSON, _ type: APIType) throws(Mismatch) -> JSON {
        guard case .string(let text) = value else {
            throw Mismatch(plain: "json: cannot unmarshal \(Mismatch.name(of: value)) into Go value of type string")
        }
        let isMicro = if case .microTime = type { true } else { false }
        guard let time = UTCTime(rfc3339: text), text.utf8.contains(UInt8(ascii: "T")) else {
            throw Mismatch(plain: TimeText.fault(in: text, layout: isMicro ? TimeText.microLayout : TimeText.secondLayout))
        }
        return .string(isMicro ? TimeText.micro(time) : time.rfc3339)
    }
}

/// A value that is not of its type, found deep within an object and named on the way out.
private struct Mismatch: Error {
    /// `number`, `number 1.5`, `string`, …; nil for faults that Go does not say the field of.
    var came: String?
    /// Go's name of the expected type, or the whole text.
    var wanted: String
    /// The innermost struct and the names of fields from it outwards.
    var structName: String?
    var path: [String] = []

    init(_ value: JSON, _ type: APIType) { self.init(came: Mismatch.name(of: value), type) }

    init(came: String, _ type: APIType) {
        self.came = came
        wanted = type.goName
    }

    init(plain text: String) { wanted = text }

    func inside(_ field: String, of type: APIObjectType) -> Mismatch {
        var mismatch = self
        if mismatch.structName == nil { mismatch.structName = type.shortName }
        mismatch.path.append(field)
        return mismatch
    }

    /// As encoding/json words an `UnmarshalTypeError`.
    var text: String {
        guard let came else { return wanted }
        guard let structName else { return "json: cannot unmarshal \(came) into Go value of type \(wanted)" }
        let field = path.reversed().joined(separator: ".")
        return "json: cannot unmarshal \(came) into Go struct field \(structName).\(field) of type \(wanted)"
    }

    static func name(of value: JSON) -> String {
        switch value {
        case .null: "null"
        case .bool: "bool"
        case .number: "number"
        case .string: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

extension APIType {
    /// As Go writes the type in messages.
    fileprivate var goName: String {
        switch self {
        case .string, .choice: "string"
        case .boolean: "bool"
        case .int32: "int32"
        case .int64: "int64"
        case .anyNumber: "float64"
        case .quantity: "resource.Quantity"
        case .intOrString: "intstr.IntOrString"
        case .time: "v1.Time"
        case .microTime: "v1.MicroTime"
        case .bytes: "[]uint8"
        case .rawObject(let name, _): name.split(separator: ".").suffix(2).joined(separator: ".")
        case .anyValue: "interface {}"
        case .object(let type), .nullableObject(let type): type.goName
        case .recursive(let type): type().goName
        case .list(let element, _): "[]\(element.goName)"
        case .map(let element): "map[string]\(element.goName)"
        }
    }
}
