/// RFC 8785: one byte sequence per value, for digests and signatures.
extension JSON {
    /// Members sorted by the UTF-16 units of their names, numbers as ECMAScript writes the nearest double, no white space.
    ///
    /// The RFC sees numbers as doubles: integers beyond 2^53 lose digits here and only here. Throws `notFinite` for a
    /// number that no double can hold.
    package func canonical() throws(JSONError) -> [UInt8] {
        var writer = JSONWriter()
        try writer.canonical(self)
        return writer.bytes
    }
}

extension JSONWriter {
    fileprivate mutating func canonical(_ value: JSON) throws(JSONError) {
        switch value {
        case .null, .bool, .string: self.value(value)
        case .number(let number):
            if number.isShortInteger {
                self.number(number)
                return
            }
            let double = number.double
            guard double.isFinite else {
                throw JSONError(
                    code: .notFinite, offset: 0, line: 0, column: 0,
                    reason: "expected a number within the range of a double")
            }
            raw(JSONNumber.ecmaScriptText(of: double).utf8)
        case .array(let elements):
            beginArray()
            for element in elements { try canonical(element) }
            endArray()
        case .object(let members):
            beginObject()
            let sorted = members.members.sorted { $0.key.utf16.lexicographicallyPrecedes($1.key.utf16) }
            for (key, value) in sorted {
                self.key(key)
                try canonical(value)
            }
            endObject()
        }
    }
}
