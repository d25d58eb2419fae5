import KarsCore
import KarsTesting
import Testing

@Suite struct `DNS queries` {
    /// `dig +noedns`-like bytes.
    static func query(_ name: String, type: UInt16 = 1, id: UInt16 = 0x1234, flags: UInt16 = 0x0100, additional: [UInt8] = [])
        -> [UInt8]
    {
        var bytes: [UInt8] = [id, flags, 1, 0, 0, additional.isEmpty ? 0 : 1].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        for label in name.split(separator: "." as Character) {
            bytes.append(UInt8(label.utf8.count))
            bytes += Array(label.utf8)
        }
        bytes += [0, UInt8(type >> 8), UInt8(type & 255), 0, 1]
        return bytes + additional
    }

    static let opt: [UInt8] = [0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]

    @Test func `are read with the name in normal form and the question as it came`() throws {
        let query = try DNSQuery(parsing: Self.query("GitHub.COM", type: 28, additional: Self.opt)[...])
        #expect(query.id == 0x1234)
        #expect(query.name?.text == "github.com")
        #expect(query.type == .aaaa)
        #expect(query.recursionDesired)
        #expect(query.udpPayload == 4096)
        #expect(query.question.starts(with: [6] + Array("GitHub".utf8)))
        #expect(try DNSQuery(parsing: Self.query("a")[...]).udpPayload == nil)
        #expect(try DNSQuery(parsing: Self.query("")[...]).name == nil)
        #expect(try DNSQuery(parsing: Self.query("*.a b")[...]).name == nil)
    }

    @Test func `that are cut anywhere are malformed or dropped, and the whole one is read`() throws {
        let bytes = Self.query("api.example.com", additional: Self.opt)
        for length in 0..<bytes.count {
            #expect(throws: DNSQuery.Problem.self, "prefix of \(length)") { try DNSQuery(parsing: bytes[..<length]) }
        }
        #expect(throws: DNSQuery.Problem.malformed(id: 0x1234, .trailingBytes)) { try DNSQuery(parsing: (bytes + [0])[...]) }
        _ = try DNSQuery(parsing: bytes[...])
    }

    @Test func `of other shapes are refused`() {
        var compressed = Self.query("a.b")
        compressed.replaceSubrange(12..<17, with: [0xc0, 12])
        #expect(throws: DNSQuery.Problem.malformed(id: 0x1234, .badName(at: 12))) { try DNSQuery(parsing: compressed[...]) }
        #expect(throws: DNSQuery.Problem.notAQuery) { try DNSQuery(parsing: Self.query("a.b", flags: 0x8100)[...]) }
        #expect(throws: DNSQuery.Problem.notImplemented(id: 0x1234, opcode: 5)) {
            try DNSQuery(parsing: Self.query("a.b", flags: 0x2800)[...])
        }
        var two = Self.query("a.b")
        two[5] = 2
        #expect(throws: DNSQuery.Problem.malformed(id: 0x1234, .counts)) { try DNSQuery(parsing: two[...]) }
        #expect(throws: DNSQuery.Problem.malformed(id: 0x1234, .unexpectedRecord(250))) {
            try DNSQuery(parsing: Self.query("a.b", additional: [0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0])[...])
        }
    }

    @Test func `with a dot inside a label are refused`() {
        let bytes: [UInt8] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3] + Array("a.b".utf8) + [0, 0, 1, 0, 1]
        #expect(throws: DNSQuery.Problem.malformed(id: 1, .badName(at: 12))) { try DNSQuery(parsing: bytes[...]) }
    }
}

@Suite struct `DNS responses` {
    static let addresses = ["93.184.216.34", "9.9.9.9", "2606:4700::1111"].compactMap { IPAddress($0) }

    @Test func `carry addresses and repeat the question`() throws {
        let query = try DNSQuery(parsing: `DNS queries`.query("GitHub.com", additional: `DNS queries`.opt)[...])
        let message = try DNSMessage(
            parsing: DNSResponse(.noError, addresses: Self.addresses, ttl: 30).encoded(answering: query)[...])
        #expect(message.id == 0x1234)
        #expect(message.isResponse)
        #expect(!message.isTruncated)
        #expect(message.questionNames == ["GitHub.com"])
        #expect(message.addresses == Self.addresses)
        #expect(message.answers.allSatisfy { $0.ttl == 30 && $0.name == Array("GitHub.com".utf8) })
        #expect(message.additional.map(\.type) == [.opt])
    }

    @Test func `carry other records, with names of their own`() throws {
        let query = try DNSQuery(parsing: `DNS queries`.query("web.x", additional: `DNS queries`.opt)[...])
        let target = try HostName("a.b"), wire: [UInt8] = [1, 97, 1, 98, 0]
        let response = DNSResponse(
            .noError, addresses: [.v4(IPv4Address(9, 9, 9, 9))],
            answers: [
                DNSAnswer(.alias(target)), DNSAnswer(.service(priority: 1, weight: 258, port: 80, target: target), of: target),
                DNSAnswer(.pointer(target), of: target), DNSAnswer(.address(.v6(.loopback)), of: target),
            ], ttl: 5)
        let message = try DNSMessage(parsing: response.encoded(answering: query)[...])
        #expect(message.answers.map(\.type) == [.alias, .service, .pointer, .aaaa, .a])
        #expect(message.answers.map { String(decoding: $0.name, as: UTF8.self) } == ["web.x", "a.b", "a.b", "a.b", "web.x"])
        #expect(message.answers.prefix(3).map(\.data) == [wire, [0, 1, 1, 2, 0, 80] + wire, wire])
        #expect(message.answers.allSatisfy { $0.ttl == 5 && $0.recordClass == 1 })
        for limit in [60, 80, 100] {
            let bytes = response.encoded(answering: query, maxBytes: limit)
            let cut = try DNSMessage(parsing: bytes[...])
            #expect(bytes.count <= limit && cut.isTruncated && cut.answers == Array(message.answers.prefix(cut.answers.count)))
        }
    }

    @Test func `say why, to who can read it`() throws {
        let refusal = DNSResponse(
            .nameError, explanation: .init(code: 18, text: "evil.example is not in allowlist (egress:default-deny)"))
        let modern = try DNSQuery(parsing: `DNS queries`.query("evil.example", additional: `DNS queries`.opt)[...])
        let message = try DNSMessage(parsing: refusal.encoded(answering: modern)[...])
        #expect(message.code == 3)
        #expect(message.explanation == refusal.explanation)
        let old = try DNSQuery(parsing: `DNS queries`.query("evil.example")[...])
        #expect(try DNSMessage(parsing: refusal.encoded(answering: old)[...]).additional.isEmpty)
    }

    @Test(arguments: [12, 40, 60, 512, 600])
    func `stay within the client's limit and say when they are cut`(limit: Int) throws {
        let query = try DNSQuery(parsing: `DNS queries`.query("a.b", additional: `DNS queries`.opt)[...])
        let many = (0..<60).map { IPAddress.v4(IPv4Address(9, 9, 9, $0)) }
        let bytes = DNSResponse(.noError, addresses: many, ttl: 1).encoded(answering: query, maxBytes: limit)
        #expect(bytes.count <= max(limit, 12 + query.question.count + 11))
        let message = try DNSMessage(parsing: bytes[...])
        #expect(message.isTruncated)
        #expect(message.addresses == Array(many.prefix(message.answers.count)))
    }

    @Test func `with pointers that loop or point ahead are refused`() {
        let header: [UInt8] = [0, 1, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        let tail: [UInt8] = [0, 1, 0, 1, 0, 0, 0, 0, 0, 0]
        #expect(throws: DNSProblem.badPointer(at: 12)) { try DNSMessage(parsing: (header + [0xc0, 12] + tail)[...]) }
        #expect(throws: DNSProblem.badPointer(at: 12)) { try DNSMessage(parsing: (header + [0xc0, 14] + tail)[...]) }
        // Two pointers to each other.
        #expect(throws: DNSProblem.badPointer(at: 14)) { try DNSMessage(parsing: (header + [1, 97, 0xc0, 12] + tail)[...]) }
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func `with damage never trap`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let query = try DNSQuery(parsing: `DNS queries`.query("api.example.com", additional: `DNS queries`.opt)[...])
        var bytes = DNSResponse(.noError, addresses: Self.addresses, ttl: 30, explanation: .init(code: 1, text: "x")).encoded(
            answering: query)
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
        }
        _ = (try? DNSMessage(parsing: bytes[...]))?.explanation
        _ = try? DNSQuery(parsing: bytes[...])
    }
}
