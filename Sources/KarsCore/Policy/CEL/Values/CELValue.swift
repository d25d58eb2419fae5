/// A value of the Common Expression Language.
///
/// JSON is wrapped, not converted: lists, maps and objects keep the JSON they came from and give out one element at a time, so
/// that a rule which reads one field of a large object costs one look-up.
package enum CELValue: Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case uint(UInt64)
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case timestamp(UTCTime)
    case duration(CELDuration)
    case type(CELType)
    case list(CELList)
    case map(CELMap)
    case object(CELObject)
    /// Fields computed when first read; see `CELVariables`.
    case lazy(CELLazyObject)
    indirect case optional(CELValue?)
    indirect case opaque(CELOpaqueValue)
}

/// A JSON object whose fields are declared.
package struct CELObject: Sendable {
    package let members: JSONObject
    package let type: CELObjectType

    package init(members: JSONObject, type: CELObjectType) {
        self.members = members
        self.type = type
    }
}

/// Values of the library types.
package enum CELOpaqueValue: Equatable, Sendable {
    case url(CELURL)
    case quantity(Quantity)
    case ip(IPAddress)
    case cidr(CELCIDR)
    case format(CELStringFormat)
    case semver(CELSemanticVersion)
    case authorization(CELAuthorization)
    case decision(CELAuthorizationDecision)
}

// MARK: - From JSON

extension CELValue {
    /// What `json` is under `type`, its parts left as they are. JSON that is not of the type is taken as what it is.
    ///
    /// Fails for text that should be a time, a duration or base64 and is not.
    package init(_ json: JSON, as type: CELType = .dyn) throws(CELEvaluationError) {
        switch json {
        case .null: self = .null
        case .bool(let value): self = .bool(value)
        case .number(let number): self = CELValue(number, as: type)
        case .string(let text): self = try CELValue(text: text, as: type)
        case .array(let elements):
            if case .list(let element, let kind) = type {
                self = .list(CELList(elements, of: element, kind: kind))
            } else {
                self = .list(CELList(elements, of: .dyn))
            }
        case .object(let members):
            switch type {
            case .object(let objectType): self = .object(CELObject(members: members, type: objectType))
            case .map(_, let value): self = .map(CELMap(members, valuesOf: value))
            default: self = .map(CELMap(members, valuesOf: .dyn))
            }
        }
    }

    /// Written without fraction and exponent a number is an int, as Kubernetes reads JSON; the type can make it either.
    private init(_ number: JSONNumber, as type: CELType) {
        switch type {
        case .double: self = .double(number.double)
        case .int: self = number.int.map { .int(Int64($0)) } ?? .double(number.double)
        default: self = Int64(number.lexeme).map { .int($0) } ?? .double(number.double)
        }
    }

    private init(text: String, as type: CELType) throws(CELEvaluationError) {
        switch type {
        case .bytes:
            guard let bytes = Base64.decode(text) else {
                throw CELEvaluationError(.conversion, "Invalid byte formatted string \(text), error: illegal base64 data")
            }
            self = .bytes(bytes)
        case .timestamp:
            guard let time = UTCTime(rfc3339: text) ?? UTCTime(rfc3339: text + "T00:00:00Z") else {
                throw CELEvaluationError(.conversion, "Invalid date formatted string \(text)")
            }
            self = .timestamp(time)
        case .duration:
            guard let duration = CELDuration(goText: text) else {
                throw CELEvaluationError(.conversion, "Invalid duration formatted string \(text)")
            }
            self = .duration(duration)
        default: self = .string(text)
        }
    }
}

// MARK: - What it is

extension CELValue {
    /// As precise as the value itself knows: the elements of a list may be anything.
    package var type: CELType {
        switch self {
        case .null: .null
        case .bool: .bool
        case .int: .int
        case .uint: .uint
        case .double: .double
        case .string: .string
        case .bytes: .bytes
        case .timestamp: .timestamp
        case .duration: .duration
        case .type: .type
        case .list: .list(.dyn)
        case .map: .map(.dyn, .dyn)
        case .object(let object): .object(object.type)
        case .lazy(let object): .object(object.type)
        case .optional: .optional(.dyn)
        case .opaque(let value): .opaque(value.type)
        }
    }

    /// Whether it can be an argument where a function declares `type`.
    func fits(_ type: CELType) -> Bool {
        switch (type, self) {
        case (.dyn, _), (.parameter, _), (.unknown, _): true
        case (.null, .null), (.bool, .bool), (.int, .int), (.uint, .uint), (.double, .double), (.string, .string): true
        case (.bytes, .bytes), (.timestamp, .timestamp), (.duration, .duration), (.type, .type): true
        case (.list, .list), (.map, .map), (.optional, .optional), (.object, .object): true
        case (.opaque(let type), .opaque(let value)): type == value.type
        default: false
        }
    }
}

extension CELOpaqueValue {
    var type: CELOpaqueType {
        switch self {
        case .url: .url
        case .quantity: .quantity
        case .ip: .ip
        case .cidr: .cidr
        case .format: .format
        case .semver: .semver
        case .authorization(let authorization): authorization.type
        case .decision: .decision
        }
    }
}

// MARK: - Reading by kind

extension CELValue {
    package var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    package var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    package var intValue: Int64? { if case .int(let value) = self { value } else { nil } }

    /// How much of it there is, for cost: bytes of text, elements, and one for anything else.
    var extent: Int {
        switch self {
        case .string(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .list(let list): list.count
        case .map(let map): map.count
        case .object(let object): object.members.count
        default: 1
        }
    }
}
