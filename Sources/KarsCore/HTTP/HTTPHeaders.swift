/// Header fields in the order they came, with duplicates, looked up without regard to case.
///
/// All names and values sit in one byte array; a field is four offsets into it. A head that was parsed costs two
/// allocations however many fields it has, and no `String` exists until somebody asks for one. Values are opaque bytes
/// (RFC 9110 §5.5): text outside UTF-8 is repaired in `String` views and travels unchanged otherwise.
package struct HTTPHeaders: Sendable {
    struct Field: Sendable {
        var nameStart: UInt32
        var nameCount: UInt16
        var known: HTTPKnownField
        var valueStart: UInt32
        var valueCount: UInt32

        var name: Range<Int> { Int(nameStart)..<Int(nameStart) + Int(nameCount) }
        var value: Range<Int> { Int(valueStart)..<Int(valueStart) + Int(valueCount) }
    }

    private(set) var bytes: [UInt8] = []
    private(set) var fields: [Field] = []
    /// The first name that `add` was given with a name or value that may not go on the wire; the encoder refuses the head,
    /// so that text from elsewhere can never end a line early and begin a field of its own.
    private(set) var malformedName: String?

    package init() {}

    package init(_ pairs: some Sequence<(String, String)>) {
        for (name, value) in pairs { add(name, value) }
    }

    /// For the parser, which has checked every byte: `fields` index into `bytes`.
    init(parsed bytes: [UInt8], fields: [Field]) {
        self.bytes = bytes
        self.fields = fields
    }

    package var count: Int { fields.count }
    package var isEmpty: Bool { fields.isEmpty }

    // MARK: - Looking up

    /// The first value of `name`; setting replaces every field of that name, and nil removes them.
    package subscript(name: String) -> String? {
        get {
            guard let index = firstIndex(of: name) else { return nil }
            return value(at: index)
        }
        set {
            if let newValue { replace(name, with: newValue) } else { remove(name) }
        }
    }

    package func contains(_ name: String) -> Bool { firstIndex(of: name) != nil }

    /// Every value of `name`, one per field, not split at commas.
    package func values(_ name: String) -> [String] {
        let key = LookupKey(name)
        return fields.indices.filter { matches(fields[$0], key) }.map { value(at: $0) }
    }

    /// Whether `token` is an element of the comma-separated list that the fields named `name` form (RFC 9110 §5.6.1).
    package func contains(token: String, in name: String) -> Bool {
        let key = LookupKey(name)
        let token = Array(token.utf8)
        return fields.contains { field in
            matches(field, key)
                && bytes[field.value].split(separator: UInt8(ascii: ",")).contains {
                    $0.trimmingBlanks().equalsIgnoringCase(token)
                }
        }
    }

    /// The bytes of the first value of `name`.
    package func bytes(of name: String) -> ArraySlice<UInt8>? {
        firstIndex(of: name).map { bytes[fields[$0].value] }
    }

    // MARK: - Changing

    package mutating func add(_ name: String, _ value: String) {
        var name = name
        var value = value
        name.withUTF8 { name in value.withUTF8 { value in add(name: name, value: value) } }
    }

    /// Adds a field given as bytes, which need not be UTF-8.
    package mutating func add(_ name: String, bytes value: some Collection<UInt8>) {
        var name = name
        let value = Array(value)
        name.withUTF8 { name in value.withUnsafeBufferPointer { add(name: name, value: $0) } }
    }

    /// Adds the fields of `other` that `names` lists, in their order.
    package mutating func add(_ names: HTTPFieldNames, from other: HTTPHeaders) {
        for field in other.fields where names.contains(other.bytes[field.name]) {
            let start = bytes.count
            bytes.append(contentsOf: other.bytes[field.name])
            bytes.append(contentsOf: other.bytes[field.value])
            var copy = field
            copy.nameStart = UInt32(start)
            copy.valueStart = UInt32(start + field.name.count)
            fields.append(copy)
        }
    }

    /// Removes every field of that name and adds one at the end.
    package mutating func replace(_ name: String, with value: String) {
        remove(name)
        add(name, value)
    }

    package mutating func remove(_ name: String) {
        let key = LookupKey(name)
        guard fields.contains(where: { matches($0, key) }) else { return }
        let bytes = bytes
        fields.removeAll { Self.matches($0, key, in: bytes) }
    }

    /// Removes what belongs to one connection and must not be forwarded (RFC 9110 §7.6.1): `Connection` and every field it
    /// names, the fields that older software used, and `Transfer-Encoding`, which each hop decides anew.
    package mutating func removeHopByHop() {
        var named: [ArraySlice<UInt8>] = []
        for field in fields where field.known == .connection {
            named += bytes[field.value].split(separator: UInt8(ascii: ",")).map { $0.trimmingBlanks() }
        }
        let bytes = bytes
        fields.removeAll { field in
            switch field.known {
            case .connection, .keepAlive, .proxyConnection, .proxyAuthenticate, .proxyAuthorization, .te, .trailer,
                .transferEncoding, .upgrade:
                return true
            default:
                return !named.isEmpty && named.contains { $0.equalsIgnoringCase(bytes[field.name]) }
            }
        }
    }

    private mutating func add(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        var value = value[...]
        while value.first?.isBlank == true { value = value.dropFirst() }
        while value.last?.isBlank == true { value = value.dropLast() }
        let isWellFormed =
            !name.isEmpty && name.count <= UInt16.max && value.count <= 1 << 20 && name.allSatisfy(\.isTokenCharacter)
            && value.allSatisfy(\.isFieldValueCharacter)
        guard isWellFormed else {
            if malformedName == nil { malformedName = String(decoding: name.prefix(64), as: UTF8.self) }
            return
        }
        let start = bytes.count
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: value)
        fields.append(
            Field(
                nameStart: UInt32(start), nameCount: UInt16(name.count), known: HTTPKnownField(name),
                valueStart: UInt32(start + name.count), valueCount: UInt32(value.count)))
    }

    // MARK: - By position

    package func name(at index: Int) -> String { String(decoding: bytes[fields[index].name], as: UTF8.self) }
    package func value(at index: Int) -> String { String(decoding: bytes[fields[index].value], as: UTF8.self) }

    func first(_ known: HTTPKnownField) -> ArraySlice<UInt8>? {
        for field in fields where field.known == known { return bytes[field.value] }
        return nil
    }

    func contains(_ known: HTTPKnownField) -> Bool { fields.contains { $0.known == known } }

    private func firstIndex(of name: String) -> Int? {
        let key = LookupKey(name)
        return fields.firstIndex { matches($0, key) }
    }

    /// A name made ready for comparing: known names compare as numbers.
    private struct LookupKey {
        let known: HTTPKnownField
        let bytes: [UInt8]

        init(_ name: String) {
            var name = name
            let known = name.withUTF8 { HTTPKnownField($0) }
            self.known = known
            bytes = known == .other ? Array(name.utf8) : []
        }
    }

    private func matches(_ field: Field, _ key: LookupKey) -> Bool { Self.matches(field, key, in: bytes) }

    private static func matches(_ field: Field, _ key: LookupKey, in bytes: [UInt8]) -> Bool {
        guard field.known == key.known else { return false }
        return key.known != .other || bytes[field.name].equalsIgnoringCase(key.bytes)
    }
}

/// A set of field names to look for, made once.
package struct HTTPFieldNames: Sendable {
    private let names: [ArraySlice<UInt8>]

    package init(_ names: [String]) { self.names = names.map { Array($0.utf8)[...] } }

    func contains(_ name: ArraySlice<UInt8>) -> Bool {
        names.contains { $0.equalsIgnoringCase(name) }
    }
}

extension HTTPHeaders: Sequence {
    package struct Iterator: IteratorProtocol {
        let headers: HTTPHeaders
        var index = 0

        package mutating func next() -> (name: String, value: String)? {
            guard index < headers.count else { return nil }
            defer { index += 1 }
            return (headers.name(at: index), headers.value(at: index))
        }
    }

    package func makeIterator() -> Iterator { Iterator(headers: self) }
}

extension HTTPHeaders: Equatable {
    /// Same fields in the same order; names without regard to case.
    package static func == (a: Self, b: Self) -> Bool {
        a.count == b.count && a.malformedName == b.malformedName
            && zip(a.fields, b.fields).allSatisfy { x, y in
                a.bytes[x.name].equalsIgnoringCase(b.bytes[y.name]) && a.bytes[x.value] == b.bytes[y.value]
            }
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral, CustomStringConvertible {
    package typealias Key = String
    package typealias Value = String

    package init(dictionaryLiteral elements: (String, String)...) { self.init(elements) }

    /// Names only: values may be credentials.
    package var description: String { "[" + map(\.name).joined(separator: ", ") + "]" }
}
