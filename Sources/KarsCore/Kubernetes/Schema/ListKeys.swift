/// How elements of lists with identities are told apart and found again.
extension StructuralSchema {
    /// Elements of sets and maps that come twice, all through `value`. Elements that are equal to those of `old` are not
    /// judged again.
    func duplicates(in value: JSON, old: JSON?, at path: String) -> [FieldError] {
        if let old, old == value { return [] }
        switch value {
        case .object(let members):
            return members.members.flatMap { name, member -> [FieldError] in
                if let property = node.keywords.properties[name] {
                    return property.duplicates(in: member, old: old?[name], at: path.isEmpty ? name : "\(path).\(name)")
                }
                guard case .schema(let schema) = node.keywords.additionalProperties else { return [] }
                return schema.duplicates(in: member, old: old?[name], at: "\(path)[\(name)]")
            }
        case .array(let elements):
            var faults: [FieldError] = []
            switch node.keywords.listType {
            case .set:
                faults = JSON.duplicateIndices(in: elements).map { .duplicate("\(path)[\($0)]", elements[$0]) }
            case .map(let keys): faults = duplicateKeys(in: elements, keys, path)
            case .atomic, nil: break
            }
            guard let items = node.keywords.items else { return faults }
            let correlated = old?.arrayValue.flatMap { ListCorrelation(of: $0, self) }
            for (index, element) in elements.enumerated() {
                faults += items.duplicates(in: element, old: correlated?.match(element), at: "\(path)[\(index)]")
            }
            return faults
        case .null, .bool, .number, .string: return []
        }
    }

    private func duplicateKeys(in elements: [JSON], _ keys: [String], _ path: String) -> [FieldError] {
        if let index = elements.firstIndex(where: { $0.objectValue == nil && !$0.isNull }) {
            return [.invalid("\(path)[\(index)]", elements[index], "must be an object for an array of list-type map")]
        }
        let identities = elements.map { element in
            JSON.object(JSONObject(keys.compactMap { key in element[key].map { (key, $0) } }))
        }
        return JSON.duplicateIndices(in: identities).map { .duplicate("\(path)[\($0)]", identities[$0]) }
    }
}

/// The old elements of a list of type `map`, by their keys: what transition rules and ratcheting compare new elements with.
struct ListCorrelation {
    private let keys: [String]
    private let elements: [[UInt8]: JSON]

    /// Nil when elements of such a list cannot be told apart.
    init?(of elements: [JSON], _ schema: StructuralSchema) {
        guard case .map(let keys) = schema.node.keywords.listType else { return nil }
        self.keys = keys
        self.elements = Dictionary(elements.map { (Self.identity(of: $0, keys), $0) }) { first, _ in first }
    }

    func match(_ element: JSON) -> JSON? { elements[Self.identity(of: element, keys)] }

    private static func identity(of element: JSON, _ keys: [String]) -> [UInt8] {
        JSON.array(keys.map { element[$0] ?? .null }).identity
    }
}

extension JSON {
    /// Bytes that two values share exactly if they are equal: a key for hash tables.
    var identity: [UInt8] {
        var bytes: [UInt8] = []
        appendIdentity(to: &bytes)
        return bytes
    }

    private func appendIdentity(to bytes: inout [UInt8]) {
        switch self {
        case .null, .bool: bytes += encoded()
        case .string(let text): bytes.appendJSONString(text)
        case .number(let number): bytes += number.exactText.utf8
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for element in elements {
                element.appendIdentity(to: &bytes)
                bytes.append(UInt8(ascii: ","))
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for member in members.members.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
                bytes.appendJSONString(member.key)
                bytes.append(UInt8(ascii: ":"))
                member.value.appendIdentity(to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// Where a value stands for the second time; its further appearances are not listed.
    static func duplicateIndices(in elements: [JSON]) -> [Int] {
        guard elements.count > 1 else { return [] }
        var seen: [[UInt8]: Int] = [:]
        var duplicates: [Int] = []
        for (index, element) in elements.enumerated() {
            let times = seen[element.identity, default: 0]
            seen[element.identity] = times + 1
            if times == 1 { duplicates.append(index) }
        }
        return duplicates
    }
}
