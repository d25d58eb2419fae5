/// One fault of one field, as Kubernetes words it (apimachinery `field.Error`): it becomes a cause of a `Status` and a part
/// of its message.
package struct FieldError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Raw values are the `reason` of a cause (meta/v1 `CauseType`).
    package enum Kind: String, Sendable {
        case required = "FieldValueRequired"
        case invalid = "FieldValueInvalid"
        case typeInvalid = "FieldValueTypeInvalid"
        case duplicate = "FieldValueDuplicate"
        case notFound = "FieldValueNotFound"
        case notSupported = "FieldValueNotSupported"
        case forbidden = "FieldValueForbidden"
        case tooLong = "FieldValueTooLong"
        case tooMany = "FieldValueTooMany"
        case `internal` = "InternalError"
    }

    package var kind: Kind
    /// `spec.containers[0].name`; empty for the whole object.
    package var field: String
    /// What came, as the message shows it; nil for kinds that show no value (required, forbidden, too long, too many).
    package var value: JSON?
    package var detail: String

    package init(_ kind: Kind, _ field: String, value: JSON? = nil, detail: String = "") {
        self.kind = kind
        self.field = field
        self.value = value
        self.detail = detail
    }

    package static func required(_ field: String, _ detail: String = "") -> FieldError {
        FieldError(.required, field, detail: detail)
    }
    package static func invalid(_ field: String, _ value: JSON, _ detail: String) -> FieldError {
        FieldError(.invalid, field, value: value, detail: detail)
    }
    package static func forbidden(_ field: String, _ detail: String) -> FieldError {
        FieldError(.forbidden, field, detail: detail)
    }
    package static func duplicate(_ field: String, _ value: JSON) -> FieldError { FieldError(.duplicate, field, value: value) }
    package static func notSupported(_ field: String, _ value: JSON, supported: [String]) -> FieldError {
        let list = supported.map { "\"\($0)\"" }.joined(separator: ", ")
        return FieldError(.notSupported, field, value: value, detail: "supported values: \(list)")
    }

    /// What a cause says: the whole message without the field.
    package var message: String {
        let title =
            switch kind {
            case .required: "Required value"
            case .invalid, .typeInvalid: "Invalid value"
            case .duplicate: "Duplicate value"
            case .notFound: "Not found"
            case .notSupported: "Unsupported value"
            case .forbidden: "Forbidden"
            case .tooLong: "Too long"
            case .tooMany: "Too many"
            case .internal: "Internal error"
            }
        var text = title
        if let value {
            text += ": "
            text += String(decoding: value.encoded(), as: UTF8.self)
        }
        if !detail.isEmpty { text += ": \(detail)" }
        return text
    }

    package var description: String { field.isEmpty ? "<nil>: \(message)" : "\(field): \(message)" }

    package static func == (left: FieldError, right: FieldError) -> Bool {
        left.kind == right.kind && left.field == right.field && left.value == right.value && left.detail == right.detail
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(field)
        hasher.combine(detail)
    }
}
