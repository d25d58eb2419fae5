import KarsCore

/// Checks that many kinds share, each returning its faults in the real server's words (apimachinery and core validation).
enum FieldChecks {
    // MARK: Text

    /// A required text of a form: absent is one fault, malformed another.
    static func name(_ value: JSON?, _ rule: NameRule, at path: String) -> [FieldError] {
        guard let text = value?.stringValue, !text.isEmpty else { return [.required(path)] }
        return rule.faults(in: text).map { .invalid(path, .string(text), $0) }
    }

    static func required(_ value: JSON?, at path: String, _ detail: String = "") -> [FieldError] {
        guard let text = value?.stringValue, !text.isEmpty else { return [.required(path, detail)] }
        return []
    }

    /// One of a few words; absent is a fault of its own.
    static func oneOf(_ value: JSON?, _ words: [String], at path: String) -> [FieldError] {
        guard let text = value?.stringValue, !text.isEmpty else { return [.required(path)] }
        return words.contains(text) ? [] : [.notSupported(path, .string(text), supported: words)]
    }

    static func oneOf(ifAny value: JSON?, _ words: [String], at path: String) -> [FieldError] {
        value?.stringValue == nil ? [] : oneOf(value, words, at: path)
    }

    // MARK: Numbers

    static let portText = "must be between 1 and 65535, inclusive"
    static let nonNegativeText = "must be greater than or equal to 0"

    static func portNumber(_ value: JSON?, at path: String) -> [FieldError] {
        let number = value?.intValue ?? 0
        return (1...65_535).contains(number) ? [] : [.invalid(path, .int(number), portText)]
    }

    /// A port by number or by name.
    static func port(_ value: JSON?, at path: String) -> [FieldError] {
        guard case .string(let name) = value else { return portNumber(value, at: path) }
        return portNameFaults(name).map { .invalid(path, .string(name), $0) }
    }

    static func nonNegative(_ value: JSON?, at path: String) -> [FieldError] {
        guard let number = value?.intValue, number < 0 else { return [] }
        return [.invalid(path, .int(number), nonNegativeText)]
    }

    static func positive(_ value: JSON?, at path: String) -> [FieldError] {
        guard let number = value?.intValue, number <= 0 else { return [] }
        return [.invalid(path, .int(number), "must be greater than zero")]
    }

    /// A number or a percentage that is not negative.
    static func count(_ value: JSON?, at path: String) -> [FieldError] {
        guard case .string(let text) = value else { return nonNegative(value, at: path) }
        return percentage(text) == nil
            ? [
                .invalid(
                    path, .string(text),
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
                )
            ]
            : []
    }

    /// The number before `%`.
    static func percentage(_ text: String) -> Int? {
        guard text.hasSuffix("%"), text.count > 1, text.dropLast().utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text.dropLast())
    }

    /// IANA service names (RFC 6335 §5.1).
    static func portNameFaults(_ name: String) -> [String] {
        var faults: [String] = []
        let bytes = Array(name.utf8)
        let isLetter: (UInt8) -> Bool = { (97...122).contains($0) }
        if bytes.count > 15 { faults.append("must be no more than 15 characters") }
        if bytes.isEmpty || !bytes.allSatisfy({ isLetter($0) || (48...57).contains($0) || $0 == 45 }) {
            faults.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
        }
        if !bytes.contains(where: isLetter) { faults.append("must contain at least one letter (a-z)") }
        if name.contains("--") { faults.append("must not contain consecutive hyphens") }
        if bytes.first == 45 || bytes.last == 45 { faults.append("must not begin or end with a hyphen") }
        return faults
    }

    // MARK: Quantities

    static func nonNegativeQuantity(_ value: JSON, at path: String) -> [FieldError] {
        guard let text = value.stringValue, let quantity = Quantity(text), quantity < .zero else { return [] }
        return [.invalid(path, value, nonNegativeText)]
    }

    // MARK: Labels

    static func labels(_ value: JSON?, at path: String) -> [FieldError] {
        (value?.objectValue ?? JSONObject()).flatMap { key, value -> [FieldError] in
            let text = value.stringValue ?? ""
            return NameText.qualifiedNameFaults(key).map { .invalid(path, .string(key), $0) }
                + NameText.labelValueFaults(text).map { .invalid(path, .string(text), $0) }
        }
    }

    static func annotations(_ value: JSON?, at path: String) -> [FieldError] {
        let members = value?.objectValue ?? JSONObject()
        var faults = members.flatMap { key, _ in
            NameText.qualifiedNameFaults(key.lowercased()).map { FieldError.invalid(path, .string(key), $0) }
        }
        let size = members.reduce(0) { $0 + $1.key.utf8.count + ($1.value.stringValue?.utf8.count ?? 0) }
        if size > 262_144 { faults.append(FieldError(.tooLong, path, detail: "may not be more than 262144 bytes")) }
        return faults
    }

    /// meta/v1 `LabelSelector`.
    static func labelSelector(_ value: JSON?, at path: String) -> [FieldError] {
        guard let selector = value?.objectValue else { return [] }
        var faults = labels(selector["matchLabels"], at: "\(path).matchLabels")
        for (index, test) in (selector["matchExpressions"]?.arrayValue ?? []).enumerated() {
            faults += labelTest(test, at: "\(path).matchExpressions[\(index)]")
        }
        return faults
    }

    private static func labelTest(_ test: JSON, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        let values = test["values"]?.arrayValue ?? []
        let word = test["operator"]?.stringValue ?? ""
        switch word {
        case "In", "NotIn":
            if values.isEmpty {
                faults.append(.required("\(path).values", "must be specified when `operator` is 'In' or 'NotIn'"))
            }
        case "Exists", "DoesNotExist":
            if !values.isEmpty {
                faults.append(.forbidden("\(path).values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
            }
        default: faults.append(.invalid("\(path).operator", .string(word), "not a valid selector operator"))
        }
        let key = test["key"]?.stringValue ?? ""
        faults += NameText.qualifiedNameFaults(key).map { .invalid("\(path).key", .string(key), $0) }
        for (index, value) in values.enumerated() {
            let text = value.stringValue ?? ""
            faults += NameText.labelValueFaults(text).map { .invalid("\(path).values[\(index)]", value, $0) }
        }
        return faults
    }

    // MARK: Changes

    static let immutableText = "field is immutable"

    static func immutable(_ value: JSON?, _ old: JSON?, at path: String) -> [FieldError] {
        value == old ? [] : [.invalid(path, value ?? .null, immutableText)]
    }
}

/// A nested value by names and indices: `spec.template.spec`.
extension JSONObject {
    subscript(path names: String...) -> JSON? {
        guard let first = names.first else { return .object(self) }
        return names.dropFirst().reduce(self[first]) { $0?[$1] }
    }

    /// Changes the object at `names` in place; nothing happens when one of them is no object.
    mutating func withObject(at names: String..., change: (inout JSONObject) -> Void) { withObject(at: names[...], change) }

    private mutating func withObject(at names: ArraySlice<String>, _ change: (inout JSONObject) -> Void) {
        guard let name = names.first else { return change(&self) }
        guard case .object(var inner) = self[name] else { return }
        self[name] = .null
        inner.withObject(at: names.dropFirst(), change)
        self[name] = .object(inner)
    }

    /// Changes each object in the list at `name`.
    mutating func forEachObject(in name: String, change: (inout JSONObject) -> Void) {
        guard case .array(var elements) = self[name] else { return }
        self[name] = .null
        for index in elements.indices {
            guard case .object(var element) = elements[index] else { continue }
            elements[index] = .null
            change(&element)
            elements[index] = .object(element)
        }
        self[name] = .array(elements)
    }

    mutating func setDefault(_ name: String, _ value: @autoclosure () -> JSON) {
        if self[name] == nil { self[name] = value() }
    }
}
