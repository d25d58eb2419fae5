/// Where and why JSON text was refused, or why a value has no canonical form.
package struct JSONError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// A byte that the grammar does not allow here.
        case unexpectedByte
        /// The text stops inside a value.
        case unexpectedEnd
        /// An unescaped control character inside a string.
        case controlCharacter
        /// Bytes that are not UTF-8: stray or missing continuation, overlong form, surrogate, above U+10FFFF.
        case invalidUTF8
        /// A backslash followed by something RFC 8259 §7 does not list.
        case invalidEscape
        /// A `\u` escape that names half of a surrogate pair.
        case loneSurrogate
        case tooDeep
        case tooLarge
        case duplicateKey
        /// The value is of another type than the reader needs (a top-level array where members are wanted).
        case wrongType
        /// A number that is no finite double and therefore has no canonical form.
        case notFinite
    }

    package let code: Code
    /// Bytes from the start of the text; 0 where no text is involved.
    package let offset: Int
    /// From 1; 0 where no text is involved.
    package let line: Int
    /// In bytes from 1; 0 where no text is involved.
    package let column: Int
    /// What was expected and what came. Holds no payload beyond one byte or the name of a member.
    package let reason: String

    package var description: String {
        line > 0 ? "\(line):\(column): \(reason)" : reason
    }
}

/// A refusal inside the grammar: small, because it travels through every return of the parser. Becomes a `JSONError`
/// at the door, where line and column are counted.
struct JSONFailure: Error {
    let code: JSONError.Code
    let offset: Int
    let expected: StaticString
    /// The member's name for `duplicateKey`.
    var name: String?

    init(_ code: JSONError.Code, at offset: Int, expected: StaticString = "", name: String? = nil) {
        self.code = code
        self.offset = offset
        self.expected = expected
        self.name = name
    }

    func located(in bytes: UnsafeBufferPointer<UInt8>, limits: JSONLimits) -> JSONError {
        var line = 1
        var lineStart = 0
        for index in 0..<min(offset, bytes.count) where bytes[index] == UInt8(ascii: "\n") {
            line += 1
            lineStart = index + 1
        }
        return JSONError(
            code: code, offset: offset, line: line, column: offset - lineStart + 1,
            reason: reason(found: offset < bytes.count ? bytes[offset] : nil, limits: limits))
    }

    private func reason(found: UInt8?, limits: JSONLimits) -> String {
        switch code {
        case .unexpectedByte, .unexpectedEnd: "expected \(expected), found \(Self.name(of: found))"
        case .controlCharacter: "expected \(Self.name(of: found)) in a string to be escaped"
        case .invalidUTF8: "expected UTF-8, found \(Self.name(of: found)) out of place"
        case .invalidEscape: "expected \(expected) after a backslash, found \(Self.name(of: found))"
        case .loneSurrogate: "expected a surrogate pair, found half of one"
        case .tooDeep: "expected at most \(limits.maxDepth) nested arrays and objects"
        case .tooLarge: "expected at most \(limits.maxBytes) bytes"
        case .duplicateKey: "expected each member once, found \(Self.quoted(name ?? "")) again"
        case .wrongType: "expected \(expected)"
        case .notFinite: "expected a number within the range of a double"
        }
    }

    private static func name(of byte: UInt8?) -> String {
        switch byte {
        case nil: "the end of the text"
        case .some(0x21...0x7e): "'\(Character(Unicode.Scalar(byte ?? 0)))'"
        case .some(let other): "byte 0x\(Hex.encode([other]))"
        }
    }

    /// A member's name fit for an error: printable ASCII, at most 64 characters.
    private static func quoted(_ name: String) -> String {
        var text = "\""
        for scalar in name.unicodeScalars.prefix(64) {
            text.unicodeScalars.append(scalar.isASCII && scalar.value >= 0x20 && scalar.value != 0x7f ? scalar : "?")
        }
        return text + (name.unicodeScalars.count > 64 ? "…\"" : "\"")
    }
}
