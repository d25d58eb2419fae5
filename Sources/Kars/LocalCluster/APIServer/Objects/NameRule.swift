import KarsCore

/// What `metadata.name` must look like, with the words the real server has for it (apimachinery `util/validation`).
enum NameRule: Sendable {
    /// RFC 1123 subdomain: most kinds.
    case subdomain
    /// RFC 1123 label: namespaces.
    case label
    /// RFC 1035 label: Services.
    case label1035
    /// Anything that may stand between two slashes: roles and their bindings.
    case pathSegment

    /// What is wrong with `name`. As the beginning of a name (`generateName`) a hyphen at the end is fine.
    func faults(in name: String, isPrefix: Bool = false) -> [String] {
        if case .pathSegment = self { return Self.pathFaults(in: name, isPrefix: isPrefix) }
        var text = Array(name.utf8)
        if isPrefix, text.count > 1, text.last == UInt8(ascii: "-") {
            text.removeLast()
            text[text.count - 1] = UInt8(ascii: "a")
        }
        return switch self {
        case .subdomain: NameText.subdomainFaults(text)
        case .label: NameText.labelFaults(text)
        case .label1035: NameText.label1035Faults(text)
        case .pathSegment: []
        }
    }

    /// apimachinery `api/validation/path`.
    private static func pathFaults(in name: String, isPrefix: Bool) -> [String] {
        if !isPrefix, name == "." || name == ".." { return ["may not be '\(name)'"] }
        return ["/", "%"].filter { name.contains($0) }.map { "may not contain '\($0)'" }
    }
}

/// The character rules behind names. Functions return the server's words for each fault.
enum NameText {
    private static let labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

    static func labelFaults(_ text: [UInt8]) -> [String] {
        var faults: [String] = []
        if text.count > 63 { faults.append(tooLong(63)) }
        if !isLabel(text[...]) {
            faults.append(
                mismatch(
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
                        + "with an alphanumeric character", labelPattern, "my-name", "123-abc"))
        }
        return faults
    }

    static func label1035Faults(_ text: [UInt8]) -> [String] {
        var faults: [String] = []
        if text.count > 63 { faults.append(tooLong(63)) }
        if !isLabel(text[...]) || !(text.first.map(isLetter) ?? false) {
            faults.append(
                mismatch(
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
                        + "and end with an alphanumeric character", "[a-z]([-a-z0-9]*[a-z0-9])?", "my-name", "abc-123"))
        }
        return faults
    }

    static func subdomainFaults(_ text: [UInt8]) -> [String] {
        var faults: [String] = []
        if text.count > 253 { faults.append(tooLong(253)) }
        if !isSubdomain(text) {
            faults.append(
                mismatch(
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
                        + "end with an alphanumeric character", "\(labelPattern)(\\.\(labelPattern))*", "example.com"))
        }
        return faults
    }

    /// A label or annotation key, a finalizer, the name of a resource: `name` or `prefix.example/name`.
    static func qualifiedNameFaults(_ text: String) -> [String] { LabelSyntax.faultOfKey(text).map { [$0] } ?? [] }

    static func labelValueFaults(_ text: String) -> [String] { LabelSyntax.faultOfValue(text).map { [$0] } ?? [] }

    private static func tooLong(_ limit: Int) -> String { "must be no more than \(limit) bytes" }

    /// apimachinery `RegexError`, its stray blanks included.
    private static func mismatch(_ words: String, _ pattern: String, _ examples: String...) -> String {
        let list = examples.map { "'\($0)', " }.joined(separator: " or ")
        return "\(words) (e.g. \(list)regex used for validation is '\(pattern)')"
    }

    private static func isSubdomain(_ text: [UInt8]) -> Bool {
        text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy { isLabel($0) }
    }

    private static func isLabel(_ text: ArraySlice<UInt8>) -> Bool {
        guard let first = text.first, let last = text.last, first != UInt8(ascii: "-"), last != UInt8(ascii: "-") else {
            return false
        }
        return text.allSatisfy { isLetter($0) || isDigit($0) || $0 == UInt8(ascii: "-") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
}
