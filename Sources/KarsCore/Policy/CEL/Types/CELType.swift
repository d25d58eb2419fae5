/// A type of the Common Expression Language, as the checker knows it (langdef "Gradual Type Checking").
///
/// A caller that has a structural schema turns it into one of these; the checker then refuses unknown fields and operations that
/// cannot work, and the evaluator reads JSON as the type says (`format: byte` as bytes, a list of type `set` as a set).
package indirect enum CELType: Hashable, Sendable {
    /// Known only when the expression runs.
    case dyn
    case null, bool, int, uint, double, string, bytes, timestamp, duration
    /// The type of types: what `type(x)` gives.
    case type
    case list(CELType, CELListKind = .atomic)
    case map(CELType, CELType)
    case optional(CELType)
    case object(CELObjectType)
    case opaque(CELOpaqueType)
    /// Stands for one type within one signature; only in the declarations of functions.
    case parameter(CELTypeParameter)
    /// Not decided: of the elements of `[]`, and of what did not check, so that one mistake is reported once. Gives way to any
    /// other type.
    case unknown
}

package enum CELTypeParameter: Hashable, Sendable { case a, b }

/// What `x-kubernetes-list-type` makes of a list: how `==` and `+` treat it.
package enum CELListKind: Hashable, Sendable {
    case atomic
    /// Equal in any order; `+` is the union.
    case set
    /// Objects identified by these members (JSON names); equal in any order; `+` replaces those with the same key.
    case map(keys: [String])
}

/// Types of the libraries that have functions but no fields and no literals.
package enum CELOpaqueType: String, Hashable, CaseIterable, Sendable {
    case url = "kubernetes.URL"
    case quantity = "kubernetes.Quantity"
    case ip = "net.IP"
    case cidr = "net.CIDR"
    case format = "kubernetes.NamedFormat"
    case semver = "kubernetes.Semver"
    case authorizer = "kubernetes.authorization.Authorizer"
    case groupCheck = "kubernetes.authorization.GroupCheck"
    case resourceCheck = "kubernetes.authorization.ResourceCheck"
    case pathCheck = "kubernetes.authorization.PathCheck"
    case decision = "kubernetes.authorization.Decision"
}

extension CELType: CustomStringConvertible {
    /// As messages of the checker write it.
    package var description: String {
        switch self {
        case .dyn, .unknown: "dyn"
        case .null: "null"
        case .bool: "bool"
        case .int: "int"
        case .uint: "uint"
        case .double: "double"
        case .string: "string"
        case .bytes: "bytes"
        case .timestamp: "timestamp"
        case .duration: "duration"
        case .type: "type"
        case .list(let element, _): "list(\(element))"
        case .map(let key, let value): "map(\(key), \(value))"
        case .optional(let wrapped): "optional_type(\(wrapped))"
        case .object(let type): type.name
        case .opaque(let type): type.rawValue
        case .parameter(.a): "A"
        case .parameter(.b): "B"
        }
    }

    /// The name of the type as a value: what `string(type(x))` gives and what an identifier in an expression names.
    var valueName: String {
        switch self {
        case .null: "null_type"
        case .timestamp: "google.protobuf.Timestamp"
        case .duration: "google.protobuf.Duration"
        case .list: "list"
        case .map: "map"
        case .optional: "optional_type"
        case .dyn, .bool, .int, .uint, .double, .string, .bytes, .type, .object, .opaque, .parameter, .unknown: description
        }
    }

    /// Types that an expression can name.
    static let named: [String: CELType] = {
        let plain: [CELType] = [
            .dyn, .null, .bool, .int, .uint, .double, .string, .bytes, .timestamp, .duration, .type, .list(.dyn),
            .map(.dyn, .dyn),
            .optional(.dyn),
        ]
        let all = plain + CELOpaqueType.allCases.map { CELType.opaque($0) }
        return Dictionary(uniqueKeysWithValues: all.map { ($0.valueName, $0) })
    }()
}

// MARK: - Agreement

extension CELType {
    /// Nothing is known about it until the expression runs.
    var isDynamic: Bool {
        switch self {
        case .dyn, .unknown: true
        default: false
        }
    }

    /// Whether an expression of type `other` may stand where this type is expected.
    func accepts(_ other: CELType) -> Bool {
        if isDynamic || other.isDynamic { return true }
        switch (self, other) {
        case (.list(let mine, _), .list(let theirs, _)): return mine.accepts(theirs)
        case (.map(let key, let value), .map(let otherKey, let otherValue)):
            return key.accepts(otherKey) && value.accepts(otherValue)
        case (.optional(let mine), .optional(let theirs)): return mine.accepts(theirs)
        case (.object, .null), (.opaque, .null), (.timestamp, .null), (.duration, .null), (.optional, .null): return true
        default: return self == other
        }
    }

    /// The type of an expression that is one of the two; nil when they have nothing to do with each other.
    func joined(with other: CELType) -> CELType? {
        if self == other { return self }
        if case .unknown = self { return other }
        if case .unknown = other { return self }
        if isDynamic || other.isDynamic { return .dyn }
        switch (self, other) {
        case (.list(let mine, _), .list(let theirs, _)): return mine.joined(with: theirs).map { .list($0) }
        case (.map(let key, let value), .map(let otherKey, let otherValue)):
            guard let key = key.joined(with: otherKey), let value = value.joined(with: otherValue) else { return nil }
            return .map(key, value)
        case (.optional(let mine), .optional(let theirs)): return mine.joined(with: theirs).map { .optional($0) }
        default: return accepts(other) ? self : other.accepts(self) ? other : nil
        }
    }
}
