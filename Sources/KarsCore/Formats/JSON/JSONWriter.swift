/// Appends JSON text to a byte array, for paths where a tree would be a waste: records, log lines, streamed events.
///
/// Commas come by themselves. Nesting is the caller's to keep; the names `begin…` and `end…` must pair.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8]
    private var needsComma = false

    package init(capacity: Int = 0) {
        bytes = []
        bytes.reserveCapacity(capacity)
    }

    /// Starts over, keeping the memory.
    package mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    // MARK: Structure

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    package mutating func key(_ name: String) {
        separate()
        quote(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    // MARK: Values

    package mutating func string(_ value: String) {
        separate()
        quote(value)
    }

    /// UTF-8 that the caller has checked, for instance a range of a parsed text's decoded bytes.
    package mutating func string(utf8 value: some Collection<UInt8>) {
        separate()
        if value.withContiguousStorageIfAvailable({ quote(utf8: $0) }) == nil {
            Array(value).withUnsafeBufferPointer { quote(utf8: $0) }
        }
    }

    package mutating func int(_ value: Int) {
        separate()
        append(value.description)
    }

    /// A finite number; JSON has no other.
    package mutating func double(_ value: Double) { number(JSONNumber(value)) }

    package mutating func number(_ value: JSONNumber) {
        separate()
        append(value.lexeme)
    }

    package mutating func bool(_ value: Bool) {
        separate()
        append(value ? "true" : "false")
    }

    package mutating func null() {
        separate()
        append("null")
    }

    package mutating func value(_ value: JSON) {
        switch value {
        case .null: null()
        case .bool(let value): bool(value)
        case .number(let value): number(value)
        case .string(let value): string(value)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (key, value) in members.members {
                self.key(key)
                self.value(value)
            }
            endObject()
        }
    }

    /// One value that is JSON text already; the caller answers for it.
    package mutating func raw(_ text: some Sequence<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
    }

    // MARK: Members

    package mutating func member(_ name: String, _ value: String) {
        key(name)
        string(value)
    }

    package mutating func member(_ name: String, _ value: Int) {
        key(name)
        int(value)
    }

    package mutating func member(_ name: String, _ value: Bool) {
        key(name)
        bool(value)
    }

    package mutating func member(_ name: String, _ value: JSON) {
        key(name)
        self.value(value)
    }

    // MARK: Layout

    mutating func pretty(_ value: JSON, indentation: Int) {
        switch value {
        case .array(let elements) where !elements.isEmpty:
            open(UInt8(ascii: "["))
            for element in elements {
                breakLine(indentation + 1)
                pretty(element, indentation: indentation + 1)
            }
            needsComma = false
            breakLine(indentation)
            close(UInt8(ascii: "]"))
        case .object(let members) where !members.isEmpty:
            open(UInt8(ascii: "{"))
            for (key, value) in members.members {
                breakLine(indentation + 1)
                self.key(key)
                bytes.append(UInt8(ascii: " "))
                pretty(value, indentation: indentation + 1)
            }
            needsComma = false
            breakLine(indentation)
            close(UInt8(ascii: "}"))
        case .null, .bool, .number, .string, .array, .object: self.value(value)
        }
    }

    private mutating func breakLine(_ indentation: Int) {
        separate()
        needsComma = false
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<indentation { append("  ") }
    }

    @inline(__always)
    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func open(_ byte: UInt8) {
        separate()
        bytes.append(byte)
        needsComma = false
    }

    private mutating func close(_ byte: UInt8) {
        bytes.append(byte)
        needsComma = true
    }

    // MARK: Text

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }

    private mutating func quote(_ text: String) {
        var text = text
        text.withUTF8 { quote(utf8: $0) }
    }

    /// Escapes what RFC 8259 §7 demands and nothing else, in the short form where there is one (as RFC 8785 §3.2.2.2).
    private mutating func quote(utf8 text: UnsafeBufferPointer<UInt8>) {
        bytes.append(UInt8(ascii: "\""))
        var start = 0
        while start < text.count {
            let end = JSONLexer.endOfUnescaped(text, from: start)
            if end > start { bytes.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<end])) }
            guard end < text.count else { break }
            escape(text[end])
            start = end + 1
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func escape(_ byte: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0a: bytes.append(UInt8(ascii: "n"))
        case 0x0c: bytes.append(UInt8(ascii: "f"))
        case 0x0d: bytes.append(UInt8(ascii: "r"))
        default: append("u00" + Hex.encode([byte]))
        }
    }
}
