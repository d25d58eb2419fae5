/// The `fieldPath` of a rule, checked against the schema: `.spec.replicas`, `['a name'].x`.
struct RuleFieldPath {
    /// As a fault appends it to the place of the rule, without a leading dot.
    let text: String

    /// Nil when it does not lead to a declared member or into a map.
    init?(_ path: String, in schema: StructuralSchema) {
        var rest = Array(path.utf8)[...]
        var place = schema
        var text = ""
        while let first = rest.popFirst() {
            let name: String
            switch first {
            case UInt8(ascii: "."):
                let bytes = rest.prefix { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "]") }
                guard !bytes.isEmpty else { return nil }
                rest = rest.dropFirst(bytes.count)
                name = String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "["):
                guard let quoted = Self.quoted(&rest), rest.popFirst() == UInt8(ascii: "]") else { return nil }
                name = quoted
            default: return nil
            }
            if !place.properties.isEmpty {
                guard let property = place.properties[name] else { return nil }
                text += text.isEmpty ? name : ".\(name)"
                place = property
            } else if case .schema(let values) = place.additionalProperties {
                text += "[\(name)]"
                place = values
            } else {
                return nil
            }
        }
        self.text = text
    }

    /// A string in single quotes, escapes resolved.
    private static func quoted(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard rest.popFirst() == UInt8(ascii: "'") else { return nil }
        var bytes: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "'"): return String(decoding: bytes, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst(), let plain = escapes[escaped] else { return nil }
                bytes.append(plain)
            default: bytes.append(byte)
            }
        }
        return nil
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13,
        UInt8(ascii: "t"): 9, UInt8(ascii: "v"): 11, UInt8(ascii: "'"): 39, UInt8(ascii: "\\"): 92,
    ]
}
