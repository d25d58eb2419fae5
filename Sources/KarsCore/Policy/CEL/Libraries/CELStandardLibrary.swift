/// Functions of CEL itself on text, lists and maps (langdef "List of Standard Definitions").
enum CELStandardLibrary {
    static let overloads: [CELOverload] =
        ([.string, .bytes, .list(.parameter(.a)), .map(.parameter(.a), .parameter(.b))] as [CELType]).flatMap {
            [.function("size", [$0], .int, .unary(size)), .member("size", [$0], .int, .unary(size))]
        } + [
            .member("contains", [.string, .string], .bool, .binary(contains)),
            .member("startsWith", [.string, .string], .bool, .binary(startsWith)),
            .member("endsWith", [.string, .string], .bool, .binary(endsWith)),
            .function("type", [.parameter(.a)], .type, .unary(type)),
            .function("dyn", [.parameter(.a)], .dyn, .unary(identity)),
        ]

    /// Code points of text, bytes, elements or entries.
    static func size(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        switch value {
        case .string(let text):
            try frame.chargeGlance(text.utf8.count)
            return .int(Int64(text.unicodeScalars.count))
        case .bytes(let bytes):
            try frame.charge(1)
            return .int(Int64(bytes.count))
        case .list(let list):
            try frame.charge(1)
            return .int(Int64(list.count))
        case .map(let map):
            try frame.charge(1)
            return .int(Int64(map.count))
        default: throw .noSuchOverload
        }
    }

    static func contains(
        _ text: CELValue, _ part: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        let part = try part.text()
        try frame.charge(max(1, (text.utf8.count + 9) / 10) * max(1, (part.utf8.count + 9) / 10))
        return .bool(text.utf8Offset(of: part) != nil)
    }

    static func startsWith(
        _ text: CELValue, _ part: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .bool(text.utf8.starts(with: try part.text().utf8))
    }

    static func endsWith(
        _ text: CELValue, _ part: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        let part = try part.text()
        try frame.chargeText(text.utf8.count)
        return .bool(text.utf8.count >= part.utf8.count && text.utf8.suffix(part.utf8.count).elementsEqual(part.utf8))
    }

    static func type(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return .type(value.type)
    }

    static func identity(_ value: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        try frame.charge(1)
        return value
    }
}

extension String {
    /// Where `part` first stands at or after an offset, in bytes.
    func utf8Offset(of part: String, from start: Int = 0) -> Int? {
        var text = self
        var part = part
        return text.withUTF8 { text in part.withUTF8 { part in Self.offset(of: part, in: text, from: start) } }
    }

    /// Where `part` last stands at or before an offset, in bytes.
    func utf8LastOffset(of part: String, upTo end: Int) -> Int? {
        var text = self
        var part = part
        return text.withUTF8 { text in
            part.withUTF8 { part in
                var offset = min(end, text.count - part.count)
                while offset >= 0 {
                    if Self.matches(part, in: text, at: offset) { return offset }
                    offset -= 1
                }
                return nil
            }
        }
    }

    private static func offset(of part: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>, from start: Int) -> Int?
    {
        var offset = start
        while offset <= text.count - part.count {
            if matches(part, in: text, at: offset) { return offset }
            offset += 1
        }
        return nil
    }

    private static func matches(_ part: UnsafeBufferPointer<UInt8>, in text: UnsafeBufferPointer<UInt8>, at offset: Int) -> Bool {
        for index in 0..<part.count where text[offset + index] != part[index] { return false }
        return true
    }
}
