import KarsCore

extension Fuzz {
    /// Any bytes: no crash, and no more fields than bytes that can hold them. What is read as bytes is read on as a message.
    static let protobufTarget = Target(name: "protobuf") { input in
        var pending = [Array(input)[...]]
        var budget = input.count * 4
        while let message = pending.popLast() {
            var reader = ProtobufReader(message)
            var count = 0
            while let field = try? reader.next() {
                count += 1
                budget -= 1
                if case .bytes(let bytes) = field.value, budget > 0 { pending.append(bytes) }
            }
            precondition(count * 2 <= message.count, "\(count) fields in \(message.count) bytes")
        }
    }
}
