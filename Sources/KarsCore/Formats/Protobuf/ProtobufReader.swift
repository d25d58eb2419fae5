/// What is wrong with a message in Protocol Buffers' wire format. Offsets are in bytes from where the reader began.
package enum ProtobufError: Error, Equatable, CustomStringConvertible {
    /// The bytes end within a field that began at `offset`.
    case truncated(offset: Int)
    /// A variable-length number of more than 64 bits.
    case numberTooLong(offset: Int)
    /// A field number of 0, or beyond 2²⁹ − 1.
    case badFieldNumber(UInt64, offset: Int)
    /// Groups, which proto3 dropped and nobody here sends, and what is not defined.
    case unsupportedWireType(Int, offset: Int)

    package var description: String {
        switch self {
        case .truncated(let offset): "the message ends within the field at byte \(offset)"
        case .numberTooLong(let offset): "a number at byte \(offset) has more than 64 bits"
        case .badFieldNumber(let number, let offset): "\(number) at byte \(offset) is no field number"
        case .unsupportedWireType(let type, let offset): "wire type \(type) at byte \(offset) is not supported"
        }
    }
}

/// Reads one message field by field (Protocol Buffers, "Encoding"). What the fields mean is the caller's knowledge: the format
/// tells a number from bytes, and no more.
package struct ProtobufReader {
    package enum Value: Equatable, Sendable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        /// Text, bytes, a message, or packed numbers.
        case bytes(ArraySlice<UInt8>)
    }

    private static let highestField: UInt64 = (1 << 29) - 1

    private let start: Int
    private var rest: ArraySlice<UInt8>

    package init(_ bytes: ArraySlice<UInt8>) {
        start = bytes.startIndex
        rest = bytes
    }

    private var offset: Int { rest.startIndex - start }

    /// The next field; nil at the end of the message.
    package mutating func next() throws(ProtobufError) -> (number: Int, value: Value)? {
        guard !rest.isEmpty else { return nil }
        let offset = offset
        let key = try varint(fieldAt: offset)
        let number = key >> 3
        guard (1...Self.highestField).contains(number) else { throw .badFieldNumber(number, offset: offset) }
        let value: Value
        switch key & 7 {
        case 0: value = .varint(try varint(fieldAt: offset))
        case 1: value = .fixed64(try fixed(bytes: 8, fieldAt: offset))
        case 2:
            let count = try varint(fieldAt: offset)
            guard count <= rest.count else { throw .truncated(offset: offset) }
            value = .bytes(rest.prefix(Int(count)))
            rest = rest.dropFirst(Int(count))
        case 5: value = .fixed32(UInt32(try fixed(bytes: 4, fieldAt: offset)))
        default: throw .unsupportedWireType(Int(key & 7), offset: offset)
        }
        return (Int(number), value)
    }

    /// The next of numbers that follow each other without keys, as packed lists have them; nil at the end.
    package mutating func nextPacked() throws(ProtobufError) -> UInt64? {
        rest.isEmpty ? nil : try varint(fieldAt: offset)
    }

    private mutating func varint(fieldAt field: Int) throws(ProtobufError) -> UInt64 {
        let offset = offset
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard let byte = rest.popFirst() else { throw .truncated(offset: field) }
            // The tenth byte has room for one bit.
            if shift == 63, byte > 1 { throw .numberTooLong(offset: offset) }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw .numberTooLong(offset: offset)
    }

    /// Little-endian.
    private mutating func fixed(bytes count: Int, fieldAt field: Int) throws(ProtobufError) -> UInt64 {
        guard rest.count >= count else { throw .truncated(offset: field) }
        let value = rest.prefix(count).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        rest = rest.dropFirst(count)
        return value
    }
}
