/// From one type to another (langdef "Type Conversion"): what does not fit is an error.
enum CELConversionLibrary {
    static let overloads: [CELOverload] = [
        forms("int", [.int, .uint, .double, .string, .timestamp, .duration], .int, int),
        forms("uint", [.uint, .int, .double, .string], .uint, uint),
        forms("double", [.double, .int, .uint, .string], .double, double),
        forms("bool", [.bool, .string], .bool, bool),
        forms(
            "string",
            [.string, .bool, .int, .uint, .double, .bytes, .timestamp, .duration, .type, .opaque(.ip), .opaque(.cidr)],
            .string, string),
        forms("bytes", [.bytes, .string], .bytes, bytes),
        forms("duration", [.duration, .string, .int], .duration, duration),
        forms("timestamp", [.timestamp, .string, .int], .timestamp, timestamp),
    ].flatMap { $0 }

    private static func forms(
        _ name: String, _ types: [CELType], _ result: CELType,
        _ body: @escaping @Sendable (CELValue, inout CELFrame) throws(CELEvaluationError) -> CELValue
    ) -> [CELOverload] {
        types.map { .function(name, [$0], result, .unary(body)) }
    }

    static func int(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        switch value {
        case .int: return value
        case .uint(let number):
            guard let result = Int64(exactly: number) else { throw CELEvaluationError(.overflow, "integer overflow") }
            return .int(result)
        case .double(let number):
            // The ends of the range are excluded: a double cannot tell them from what lies beyond (langdef "Type Conversion").
            guard number > -0x1p63, number < 0x1p63 else { throw CELEvaluationError(.overflow, "integer overflow") }
            return .int(Int64(number))
        case .string(let text):
            guard let result = Int64(text) else { throw failure(text, "int") }
            return .int(result)
        case .timestamp(let time): return .int(time.seconds)
        case .duration(let span): return .int(span.nanoseconds)
        default: throw .noSuchOverload
        }
    }

    static func uint(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        let overflow = CELEvaluationError(.overflow, "unsigned integer overflow")
        switch value {
        case .uint: return value
        case .int(let number):
            guard let result = UInt64(exactly: number) else { throw overflow }
            return .uint(result)
        case .double(let number):
            guard number >= 0, number < 0x1p64 else { throw overflow }
            return .uint(UInt64(number))
        case .string(let text):
            guard let result = UInt64(text) else { throw failure(text, "uint") }
            return .uint(result)
        default: throw .noSuchOverload
        }
    }

    static func double(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        switch value {
        case .double: return value
        case .int(let number): return .double(Double(number))
        case .uint(let number): return .double(Double(number))
        case .string(let text):
            guard let result = number(text) else { throw failure(text, "double") }
            return .double(result)
        default: throw .noSuchOverload
        }
    }

    static func bool(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        switch value {
        case .bool: return value
        case .string("1"), .string("t"), .string("T"), .string("true"), .string("TRUE"), .string("True"): return .bool(true)
        case .string("0"), .string("f"), .string("F"), .string("false"), .string("FALSE"), .string("False"): return .bool(false)
        case .string(let text): throw failure(text, "bool")
        default: throw .noSuchOverload
        }
    }

    static func string(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        if case .bytes(let bytes) = value {
            try frame.chargeText(bytes.count)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw CELEvaluationError(.conversion, "invalid UTF-8 in bytes, cannot convert to string")
            }
            return .string(text)
        }
        try frame.charge(1)
        switch value {
        case .string: return value
        case .bool, .int, .uint, .double, .timestamp, .duration, .type, .opaque(.ip), .opaque(.cidr): return .string(value.shown)
        default: throw .noSuchOverload
        }
    }

    static func bytes(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        switch value {
        case .bytes:
            try frame.charge(1)
            return value
        case .string(let text):
            try frame.chargeText(text.utf8.count)
            return .bytes(Array(text.utf8))
        default: throw .noSuchOverload
        }
    }

    static func duration(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        switch value {
        case .duration: return value
        case .int(let nanoseconds): return .duration(CELDuration(nanoseconds: nanoseconds))
        case .string(let text):
            guard let span = CELDuration(goText: text) else { throw failure(text, "google.protobuf.Duration") }
            return .duration(span)
        default: throw .noSuchOverload
        }
    }

    static func timestamp(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        switch value {
        case .timestamp: return value
        case .int(let seconds):
            let time = UTCTime(seconds: seconds)
            guard time.isWithinCEL else { throw CELEvaluationError(.overflow, "timestamp overflow") }
            return .timestamp(time)
        case .string(let text):
            guard let time = UTCTime(celText: text) else { throw failure(text, "google.protobuf.Timestamp") }
            return .timestamp(time)
        default: throw .noSuchOverload
        }
    }

    private static func failure(_ text: String, _ type: String) -> CELEvaluationError {
        CELEvaluationError(
            .conversion, "type conversion error from 'string' to '\(type)': \(CELFormatting.quoted(text, limit: 100))")
    }

    /// A decimal number, or Go's names for the special values.
    private static func number(_ text: String) -> Double? {
        switch text.lowercased() {
        case "nan": return .nan
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        default:
            let isDecimal = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
            guard isDecimal, let value = Double(text), value.isFinite else { return nil }
            return value
        }
    }
}

extension UTCTime {
    /// RFC 3339, within the years that CEL has.
    init?(celText text: String) {
        guard let time = UTCTime(rfc3339: text), time.isWithinCEL else { return nil }
        self = time
    }
}

// MARK: - As text

extension CELValue {
    /// What `string` makes of it, and what messages call it; for what has no text, the name of its type.
    package var shown: String {
        switch self {
        case .null: "null"
        case .bool(let value): String(value)
        case .int(let value): String(value)
        case .uint(let value): String(value)
        case .double(let value): CELFormatting.shortest(value)
        case .string(let text): text
        case .timestamp(let time): time.celText
        case .duration(let span): span.description
        case .type(let type): type.valueName
        case .opaque(.ip(let address)): address.description
        case .opaque(.cidr(let block)): block.description
        case .bytes, .list, .map, .object, .lazy, .optional, .opaque: type.valueName
        }
    }
}
