/// Chooses objects by the values of a few fields: `metadata.name=x,status.phase!=Running`.
package struct FieldSelector: Hashable, Sendable {
    package struct Requirement: Hashable, Sendable {
        /// Dotted, without a leading dot.
        package var path: String
        /// False for `!=`.
        package var equals: Bool
        package var value: String

        package init(path: String, equals: Bool = true, value: String) {
            self.path = path
            self.equals = equals
            self.value = value
        }
    }

    /// All of them must hold; none selects everything.
    package var requirements: [Requirement]

    package init(_ requirements: [Requirement] = []) { self.requirements = requirements }

    /// Terms with commas between them; a backslash takes the next comma, equals sign or backslash literally (apimachinery
    /// `fields.ParseSelector`).
    package init(parsing text: String) throws(SelectorError) {
        requirements = []
        for term in Self.terms(of: text) where !term.isEmpty {
            guard let requirement = try Self.requirement(term) else {
                throw SelectorError("invalid selector: '\(text)'; can't understand '\(String(decoding: term, as: UTF8.self))'")
            }
            requirements.append(requirement)
        }
    }

    /// Refuses what a kind cannot be asked for. `selectable` are its paths besides name and namespace.
    package func check(selectable: [String]) throws(SelectorError) {
        for requirement in requirements
        where requirement.path != "metadata.name" && requirement.path != "metadata.namespace"
            && !selectable.contains(requirement.path)
        {
            throw SelectorError("field label not supported: \(requirement.path)")
        }
    }

    /// `value` answers the text of a field, nil for an absent one, which counts as empty.
    package func matches(_ value: (_ path: String) -> String?) -> Bool {
        requirements.allSatisfy { ((value($0.path) ?? "") == $0.value) == $0.equals }
    }

    /// Looks fields up in an object; scalars are compared by their text.
    package func matches(_ object: JSONObject) -> Bool {
        matches { path in
            var value: JSON? = .object(object)
            for step in path.split(separator: ".") { value = value?[String(step)] }
            return switch value {
            case .string(let text)?: text
            case .number(let number)?: number.lexeme
            case .bool(let flag)?: flag ? "true" : "false"
            case .null?, .array?, .object?, nil: nil
            }
        }
    }

    private static func terms(of text: String) -> [ArraySlice<UInt8>] {
        let bytes = Array(text.utf8)
        var terms: [ArraySlice<UInt8>] = []
        var start = 0
        var isEscaped = false
        for (index, byte) in bytes.enumerated() {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else if byte == UInt8(ascii: ",") {
                terms.append(bytes[start..<index])
                start = index + 1
            }
        }
        return terms + [bytes[start...]]
    }

    /// Nil when there is no operator in the term.
    private static func requirement(_ term: ArraySlice<UInt8>) throws(SelectorError) -> Requirement? {
        guard let sign = term.indices.first(where: { operation(at: $0, in: term) != nil }),
            let (equals, length) = operation(at: sign, in: term)
        else { return nil }
        let path = String(decoding: term[..<sign], as: UTF8.self)
        return Requirement(path: path, equals: equals, value: try unescaped(term[(sign + length)...]))
    }

    private static func operation(at index: Int, in term: ArraySlice<UInt8>) -> (equals: Bool, length: Int)? {
        let rest = term[index...]
        if rest.starts(with: "!=".utf8) { return (false, 2) }
        if rest.starts(with: "==".utf8) { return (true, 2) }
        return rest.first == UInt8(ascii: "=") ? (true, 1) : nil
    }

    private static func unescaped(_ value: ArraySlice<UInt8>) throws(SelectorError) -> String {
        let text = String(decoding: value, as: UTF8.self)
        var bytes: [UInt8] = []
        var rest = value
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst(),
                    escaped == byte || escaped == UInt8(ascii: ",") || escaped == UInt8(ascii: "=")
                else {
                    throw SelectorError("invalid field selector: invalid escape sequence: \(text)")
                }
                bytes.append(escaped)
            case UInt8(ascii: ","), UInt8(ascii: "="):
                throw SelectorError("invalid field selector: unescaped character in value: \(text)")
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension FieldSelector: CustomStringConvertible {
    /// As a query writes it; reads back as the same selector.
    package var description: String {
        requirements.map { requirement in
            var value: [UInt8] = []
            for byte in requirement.value.utf8 {
                if byte == UInt8(ascii: "\\") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "=") {
                    value.append(UInt8(ascii: "\\"))
                }
                value.append(byte)
            }
            return "\(requirement.path)\(requirement.equals ? "=" : "!=")\(String(decoding: value, as: UTF8.self))"
        }.joined(separator: ",")
    }
}
