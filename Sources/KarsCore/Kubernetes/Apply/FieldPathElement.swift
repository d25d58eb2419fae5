/// One step from a value to one of its parts, as field ownership names it (structured-merge-diff `PathElement`).
package enum FieldPathElement: Sendable {
    case field(String)
    /// An element of a list of type `map`: an object of its keys, sorted by name.
    case key(Identity)
    /// An element of a list of type `set`.
    case value(Identity)
    case index(Int)

    /// A value with the bytes that it is compared by.
    package struct Identity: Hashable, Sendable {
        package let json: JSON
        private let bytes: [UInt8]

        init(_ json: JSON) {
            self.json = json
            bytes = json.identity
        }

        package static func == (left: Identity, right: Identity) -> Bool { left.bytes == right.bytes }
        package func hash(into hasher: inout Hasher) { hasher.combine(bytes) }
        static func < (left: Identity, right: Identity) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }
    }
}

extension FieldPathElement: Hashable {
    /// Names are compared by their bytes, as JSON has them.
    package static func == (left: FieldPathElement, right: FieldPathElement) -> Bool {
        switch (left, right) {
        case (.field(let left), .field(let right)): left.hasSameUTF8(as: right)
        case (.key(let left), .key(let right)), (.value(let left), .value(let right)): left == right
        case (.index(let left), .index(let right)): left == right
        case (.field, _), (.key, _), (.value, _), (.index, _): false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .field(var name): name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        case .key(let identity), .value(let identity): hasher.combine(identity)
        case .index(let index): hasher.combine(index)
        }
    }
}

extension FieldPathElement: Comparable {
    private var rank: Int {
        switch self {
        case .field: 0
        case .key: 1
        case .value: 2
        case .index: 3
        }
    }

    package static func < (left: FieldPathElement, right: FieldPathElement) -> Bool {
        switch (left, right) {
        case (.field(let left), .field(let right)): left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.key(let left), .key(let right)), (.value(let left), .value(let right)): left < right
        case (.index(let left), .index(let right)): left < right
        case (.field, _), (.key, _), (.value, _), (.index, _): left.rank < right.rank
        }
    }
}

extension FieldPathElement: CustomStringConvertible {
    /// As conflicts print it: `.spec`, `[id="a"]`, `[="x"]`, `[3]`.
    package var description: String {
        switch self {
        case .field(let name): ".\(name)"
        case .key(let identity):
            "[\((identity.json.objectValue ?? JSONObject()).map { "\($0.key)=\($0.value)" }.joined(separator: ","))]"
        case .value(let identity): "[=\(identity.json)]"
        case .index(let index): "[\(index)]"
        }
    }

    /// A member name of FieldsV1: `f:spec`, `k:{"id":"a"}`, `v:"x"`, `i:3`.
    var fieldsV1: String {
        switch self {
        case .field(let name): "f:\(name)"
        case .key(let identity): "k:\(identity.json)"
        case .value(let identity): "v:\(identity.json)"
        case .index(let index): "i:\(index)"
        }
    }

    /// Nil for a name of no such form.
    init?(fieldsV1 text: String) {
        let rest = String(text.dropFirst(2))
        switch text.prefix(2) {
        case "f:": self = .field(rest)
        case "k:":
            guard let members = (try? JSON(parsing: rest))?.objectValue, !members.isEmpty else { return nil }
            self = .key(Identity(.object(JSONObject(members.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }))))
        case "v:":
            guard let value = try? JSON(parsing: rest) else { return nil }
            self = .value(Identity(value))
        case "i:":
            guard let index = Int(rest), index >= 0, String(index) == rest else { return nil }
            self = .index(index)
        default: return nil
        }
    }
}
