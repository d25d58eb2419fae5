/// An object whose fields are declared, such as a custom resource: reading a field that is not declared is a mistake that the
/// checker reports.
///
/// Types are nominal: two of them are the same when their names are, so every place of a schema needs a name of its own.
package final class CELObjectType: Sendable {
    package struct Field: Sendable {
        /// As the object has it; an expression writes it escaped.
        package let jsonName: String
        package let type: CELType
    }

    package let name: String
    /// By the name that an expression uses.
    package let fields: [String: Field]
    /// By JSON name, those without a name in CEL included.
    let typesByJSONName: [String: CELType]

    /// `fields` by JSON name. A field whose name has no escaped form cannot be read by an expression.
    ///
    /// - Parameter escapesNames: false for the variables that Kubernetes declares itself, where `request.namespace` is as it is.
    package init(name: String, fields: [String: CELType], escapesNames: Bool = true) {
        self.name = name
        var escaped: [String: Field] = [:]
        for (jsonName, type) in fields {
            guard let celName = escapesNames ? CELFieldName.escape(jsonName) : jsonName else { continue }
            escaped[celName] = Field(jsonName: jsonName, type: type)
        }
        self.fields = escaped
        typesByJSONName = fields
    }
}

extension CELObjectType: Hashable {
    package static func == (left: CELObjectType, right: CELObjectType) -> Bool { left === right || left.name == right.name }

    package func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

/// How Kubernetes writes names of fields that are no CEL identifiers (Kubernetes CEL reference, "Escaping").
package enum CELFieldName {
    /// Words that CEL keeps to itself, in the order of its grammar (langdef "Syntax", RESERVED and the keywords).
    static let reserved: Set<String> = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
        "loop",
        "package", "namespace", "return", "var", "void", "while",
    ]

    /// The name to use in an expression; nil for names that are not of the form `[a-zA-Z_.-/][a-zA-Z0-9_.-/]*`.
    package static func escape(_ name: String) -> String? {
        if reserved.contains(name) { return "__\(name)__" }
        let bytes = Array(name.utf8)
        guard let first = bytes.first, !isDigit(first) else { return nil }
        var escaped = ""
        var position = 0
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "_") where position + 1 < bytes.count && bytes[position + 1] == UInt8(ascii: "_"):
                escaped += "__underscores__"
                position += 1
            case UInt8(ascii: "."): escaped += "__dot__"
            case UInt8(ascii: "-"): escaped += "__dash__"
            case UInt8(ascii: "/"): escaped += "__slash__"
            case UInt8(ascii: "_"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
                escaped.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where isDigit(byte): escaped.unicodeScalars.append(Unicode.Scalar(byte))
            default: return nil
            }
            position += 1
        }
        return escaped
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
