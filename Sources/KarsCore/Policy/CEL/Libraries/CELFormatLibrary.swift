/// A form of text that Kubernetes names: what a label, a date or a UUID looks like.
package enum CELStringFormat: String, CaseIterable, Sendable {
    case dns1123Label, dns1123Subdomain, dns1035Label, qualifiedName
    /// The same for the beginning of a generated name, which may end in a dash.
    case dns1123LabelPrefix, dns1123SubdomainPrefix, dns1035LabelPrefix
    case labelValue, uri, uuid, byte, date, datetime

    /// What is wrong with `text`; nothing when it has the form. Messages are those of Kubernetes' own validation.
    package func complaints(about text: String) -> [String] {
        switch self {
        case .dns1123Label: KubernetesNames.dns1123Label(text)
        case .dns1123Subdomain: KubernetesNames.dns1123Subdomain(text)
        case .dns1035Label: KubernetesNames.dns1035Label(text)
        case .dns1123LabelPrefix: KubernetesNames.dns1123Label(Self.maskingDash(text))
        case .dns1123SubdomainPrefix: KubernetesNames.dns1123Subdomain(Self.maskingDash(text))
        case .dns1035LabelPrefix: KubernetesNames.dns1035Label(Self.maskingDash(text))
        case .qualifiedName: KubernetesNames.qualifiedName(text)
        case .labelValue: KubernetesNames.labelValue(text)
        case .uri: Self.complaint(aboutURI: text)
        case .uuid: Self.isUUID(text) ? [] : ["does not match the UUID format"]
        case .byte: !text.isEmpty && Base64.decode(text) != nil ? [] : ["invalid base64"]
        case .date: text.utf8.count == 10 && UTCTime(rfc3339: text + "T00:00:00Z") != nil ? [] : ["invalid date"]
        case .datetime: UTCTime(rfc3339: text) != nil ? [] : ["invalid datetime"]
        }
    }

    private static func maskingDash(_ text: String) -> String {
        text.utf8.count > 1 && text.hasSuffix("-") ? text.dropLast(2) + "a" : text
    }

    private static func complaint(aboutURI text: String) -> [String] {
        do throws(CELURL.Failure) {
            _ = try CELURL(parsing: text)
            return []
        } catch {
            return ["parse \(CELFormatting.quoted(text, limit: 1_000)): \(error.reason)"]
        }
    }

    /// 32 hexadecimal digits, with or without dashes at their places.
    private static func isUUID(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        for (index, length) in [8, 4, 4, 4, 12].enumerated() {
            if index > 0, rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard rest.count >= length, Hex.decode(String(decoding: rest.prefix(length), as: UTF8.self)) != nil else {
                return false
            }
            rest = rest.dropFirst(length)
        }
        return rest.isEmpty
    }
}

/// Names as Kubernetes validates them (apimachinery `util/validation`), with its messages.
enum KubernetesNames {
    static func dns1123Label(_ text: String) -> [String] {
        tooLong(text, 63)
            + (isLabel(text.utf8)
                ? []
                : [
                    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
                        + "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '\(labelPattern)')"
                ])
    }

    static func dns1123Subdomain(_ text: String) -> [String] {
        let isValid = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy(isLabel)
        return tooLong(text, 253)
            + (isValid
                ? []
                : [
                    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
                        + "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
                        + "'\(labelPattern)(\\.\(labelPattern))*')"
                ])
    }

    static func dns1035Label(_ text: String) -> [String] {
        let startsWithLetter = text.utf8.first.map { (97...122).contains($0) } ?? false
        return tooLong(text, 63)
            + (startsWithLetter && isLabel(text.utf8)
                ? []
                : [
                    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
                        + "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
                        + "'[a-z]([-a-z0-9]*[a-z0-9])?')"
                ])
    }

    static func labelValue(_ text: String) -> [String] {
        tooLong(text, 63)
            + (text.isEmpty || isQualifiedPart(text.utf8)
                ? []
                : [
                    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
                        + "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
                        + "validation is '(\(qualifiedPattern))?')"
                ])
    }

    static func qualifiedName(_ text: String) -> [String] {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        var complaints: [String] = []
        if parts.count == 2 {
            complaints += parts[0].isEmpty ? ["must be non-empty"] : dns1123Subdomain(String(parts[0]))
            complaints = complaints.map { "prefix part \($0)" }
        } else if parts.count > 2 {
            return [
                "a qualified name \(qualifiedRule) with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            ]
        }
        let name = parts[parts.count - 1]
        if name.isEmpty {
            complaints.append("name part must be non-empty")
        } else {
            complaints += tooLong(String(name), 63).map { "name part \($0)" }
        }
        if !isQualifiedPart(name.utf8) { complaints.append("name part \(qualifiedRule)") }
        return complaints
    }

    private static let labelPattern = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    private static let qualifiedPattern = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
    private static let qualifiedRule =
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        + "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '\(qualifiedPattern)')"

    private static func tooLong(_ text: String, _ limit: Int) -> [String] {
        text.utf8.count > limit ? ["must be no more than \(limit) bytes"] : []
    }

    private static func isLabel(_ text: some BidirectionalCollection<UInt8>) -> Bool {
        guard let first = text.first, let last = text.last, first != 45, last != 45 else { return false }
        return text.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }
    }

    private static func isQualifiedPart(_ text: some BidirectionalCollection<UInt8>) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        }
        guard let first = text.first, let last = text.last, isAlphanumeric(first), isAlphanumeric(last) else { return false }
        return text.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }
}

/// The format library of Kubernetes.
enum CELFormatLibrary {
    private static let format = CELType.opaque(.format)

    static let overloads: [CELOverload] =
        CELStringFormat.allCases.map { form in
            .function(
                "format.\(form.rawValue)", [], format,
                .constant { (frame) throws(CELEvaluationError) in
                    try frame.charge(1)
                    return .opaque(.format(form))
                })
        } + [
            .function("format.named", [.string], .optional(format), .unary(named)),
            .member("validate", [format, .string], .optional(.list(.string)), .binary(validate)),
        ]

    static func named(_ name: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return .optional(CELStringFormat(rawValue: try name.text()).map { .opaque(.format($0)) })
    }

    static func validate(
        _ format: CELValue, _ text: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.format(let format)) = format else { throw .noSuchOverload }
        let text = try text.text()
        try frame.charge(((1 + text.utf8.count + 9) / 10) * 15)
        let complaints = format.complaints(about: text)
        return .optional(complaints.isEmpty ? nil : .list(CELList(complaints.map { .string($0) })))
    }
}
