import KarsCore

extension Fuzz {
    /// Any bytes: what is read as a query can be answered, within its limit, by a message that is read again.
    static let dnsTarget = Target(name: "dns") { input in
        let bytes = Array(input)
        _ = (try? DNSMessage(parsing: bytes[...]))?.explanation
        guard let query = try? DNSQuery(parsing: bytes[...]) else { return }
        let addresses = (0..<UInt8(bytes.count % 40)).map { IPAddress.v4(IPv4Address(9, 9, 9, $0)) }
        let response = DNSResponse(.noError, addresses: addresses, ttl: 5, explanation: .init(code: 18, text: "because"))
        let answer = response.encoded(answering: query, maxBytes: 512)
        guard let message = try? DNSMessage(parsing: answer[...]) else { preconditionFailure("our own answer is not read") }
        precondition(answer.count <= 512 || message.answers.isEmpty, "the answer is longer than its limit")
        precondition(message.id == query.id && message.addresses == Array(addresses.prefix(message.answers.count)))
        precondition(message.isTruncated == (message.answers.count < addresses.count))
        // The name asked for, as the data of other records.
        guard let name = query.name else { return }
        let records = [
            DNSAnswer(.alias(name)), DNSAnswer(.service(priority: 1, weight: 2, port: 3, target: name), of: name),
            DNSAnswer(.pointer(name), of: name),
        ]
        let whole = DNSResponse(.noError, answers: records).encoded(answering: query)
        guard let read = try? DNSMessage(parsing: whole[...]) else { preconditionFailure("our own records are not read") }
        precondition(read.answers.map(\.type) == records.map(\.type))
        precondition(read.answers.dropFirst().allSatisfy { $0.name == Array(name.text.utf8) })
    }
}
