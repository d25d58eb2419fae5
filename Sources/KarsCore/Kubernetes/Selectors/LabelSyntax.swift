/// What label keys and values may look like (apimachinery `validation`).
package enum LabelSyntax {
    /// `[PREFIX/]NAME`: a DNS subdomain, a name of at most 63 characters. Nil when `key` is one.
    package static func faultOfKey(_ key: String) -> String? {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        let name: Substring
        switch parts.count {
        case 1: name = parts[0]
        case 2:
            name = parts[1]
            if parts[0].isEmpty { return "prefix part must be non-empty" }
            if parts[0].utf8.count > 253 { return "prefix part must be no more than 253 bytes" }
            if !StringFormat.longName.accepts(String(parts[0])) { return "prefix part \(subdomainRule)" }
        default:
            return "a qualified name \(nameRule) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        }
        if name.isEmpty { return "name part must be non-empty" }
        if name.utf8.count > 63 { return "name part must be no more than 63 bytes" }
        return isName(name.utf8) ? nil : "name part \(nameRule)"
    }

    /// Empty, or a name of at most 63 characters. Nil when `value` is one.
    package static func faultOfValue(_ value: String) -> String? {
        if value.utf8.count > 63 { return "must be no more than 63 bytes" }
        return value.isEmpty || isName(value.utf8) ? nil : valueRule
    }

    private static func isName(_ bytes: some BidirectionalCollection<UInt8>) -> Bool {
        guard let first = bytes.first, let last = bytes.last else { return false }
        func isAlphanumeric(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (97...122).contains(byte | 0x20) }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && bytes.allSatisfy {
                isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: ".")
            }
    }

    private static let nameRule = """
        must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
        'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')
        """

    private static let valueRule = """
        a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
        an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
        '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')
        """

    private static let subdomainRule = """
        a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with \
        an alphanumeric character (e.g. 'example.com', regex used for validation is \
        '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')
        """
}
