import KarsCore
import Testing

@Suite struct `Protobuf reader` {
    /// Field 1: 150; field 2: "testing"; field 3: a 64-bit, field 4: a 32-bit number ("Encoding", Protocol Buffers).
    static let message: [UInt8] =
        [0x08, 0x96, 0x01, 0x12, 0x07] + Array("testing".utf8) + [0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 0, 0, 0x80]

    static func fields(_ bytes: [UInt8]) throws(ProtobufError) -> [(Int, ProtobufReader.Value)] {
        var reader = ProtobufReader(bytes[...])
        var fields: [(Int, ProtobufReader.Value)] = []
        while let field = try reader.next() { fields.append((field.number, field.value)) }
        return fields
    }

    @Test func `every kind of field is read`() throws {
        let fields = try Self.fields(Self.message)
        #expect(fields.map(\.0) == [1, 2, 3, 4])
        #expect(
            fields.map(\.1) == [
                .varint(150), .bytes(Array("testing".utf8)[...]), .fixed64(0x0807_0605_0403_0201), .fixed32(0x8000_0001),
            ])
    }

    @Test(arguments: 0...message.count)
    func `a message that is cut within a field is refused`(count: Int) {
        let ends = [0, 3, 12, 21, 26]
        let read = Result { () throws(ProtobufError) in try Self.fields(Array(Self.message[..<count])) }
        switch read {
        case .success(let fields): #expect(ends.firstIndex(of: count) == fields.count)
        case .failure(let error): #expect(error == .truncated(offset: ends.last { $0 < count } ?? -1))
        }
    }

    @Test func `numbers have at most 64 bits`() throws {
        let most = [UInt8](repeating: 0xff, count: 9) + [1]
        #expect(try Self.fields([0x08] + most).map(\.1) == [.varint(.max)])
        #expect(throws: ProtobufError.numberTooLong(offset: 1)) {
            try Self.fields([0x08] + [UInt8](repeating: 0xff, count: 9) + [2])
        }
        #expect(throws: ProtobufError.numberTooLong(offset: 1)) { try Self.fields([0x08] + [UInt8](repeating: 0x80, count: 10)) }
    }

    @Test func `what is no field is refused`() {
        #expect(throws: ProtobufError.badFieldNumber(0, offset: 0)) { try Self.fields([0x00, 0x01]) }
        #expect(throws: ProtobufError.unsupportedWireType(3, offset: 0)) { try Self.fields([0x0b]) }
        #expect(throws: ProtobufError.badFieldNumber(1 << 29, offset: 0)) {
            try Self.fields([0x80, 0x80, 0x80, 0x80, 0x10, 0x01])
        }
        // A length beyond everything must not overflow.
        #expect(throws: ProtobufError.truncated(offset: 0)) {
            try Self.fields([0x0a] + [UInt8](repeating: 0xff, count: 9) + [1])
        }
    }

    @Test func `packed numbers follow each other`() throws {
        var reader = ProtobufReader([3, 0x8e, 0x02, 0x9e, 0xa7, 0x05])
        var numbers: [UInt64] = []
        while let number = try reader.nextPacked() { numbers.append(number) }
        #expect(numbers == [3, 270, 86942])
    }
}
