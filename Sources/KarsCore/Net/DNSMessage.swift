/// One question from a stub resolver, as the DNS listener of a sandbox accepts it (RFC 1035 §4, RFC 6891).
///
/// Strict: one question, no compression in it (there is nothing before it to point to), nothing after it but one OPT record.
package struct DNSQuery: Equatable, Sendable {
    package var id: UInt16
    package var recursionDesired: Bool
    /// As it came, letter case included: some resolvers check that an answer repeats it (draft-vixie-dnsext-dns0x20).
    package var question: [UInt8]
    /// The name in normal form; nil when its labels are no host name.
    package var name: HostName?
    package var type: DNSType
    /// 1 is the Internet.
    package var recordClass: UInt16
    /// UDP payload that the client takes, from its OPT record; nil without one.
    package var udpPayload: Int?

    /// Why no answer, or only an error, is due.
    package enum Problem: Error, Equatable {
        /// Not even a header, or a response: to be dropped, lest two servers answer each other for ever.
        case notAQuery
        case malformed(id: UInt16, DNSProblem)
        case notImplemented(id: UInt16, opcode: UInt8)
    }

    package init(parsing bytes: ArraySlice<UInt8>) throws(Problem) {
        var reader = DNSReader(message: bytes)
        // Nothing to answer to: there is no id.
        guard let header = try? DNSHeader(&reader), !header.isResponse else { throw .notAQuery }
        guard header.opcode == 0 else { throw .notImplemented(id: header.id, opcode: header.opcode) }
        do throws(DNSProblem) {
            try self.init(header, &reader)
        } catch {
            throw .malformed(id: header.id, error)
        }
    }

    private init(_ header: DNSHeader, _ reader: inout DNSReader) throws(DNSProblem) {
        guard header.questions == 1, header.answers == 0, header.authorities == 0, header.additional <= 1, !header.isTruncated
        else {
            throw .counts
        }
        id = header.id
        recursionDesired = header.recursionDesired
        let start = reader.position
        let labels = try reader.name(allowingPointers: false)
        name = try? HostName(utf8: labels[...])  // nil is told apart: a name that is no host name
        type = DNSType(rawValue: try reader.uint16())
        recordClass = try reader.uint16()
        question = Array(reader.slice(from: start))
        if header.additional == 1 {
            let record = try DNSRecord(&reader)
            guard record.type == .opt, record.name.isEmpty else { throw .unexpectedRecord(record.type.rawValue) }
            udpPayload = max(512, Int(record.recordClass))
        }
        guard reader.isAtEnd else { throw .trailingBytes }
    }
}

/// A DNS record type.
package struct DNSType: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let a = DNSType(rawValue: 1)
    package static let alias = DNSType(rawValue: 5)
    package static let pointer = DNSType(rawValue: 12)
    package static let aaaa = DNSType(rawValue: 28)
    package static let service = DNSType(rawValue: 33)
    package static let opt = DNSType(rawValue: 41)
}

package enum DNSResponseCode: UInt8, Sendable {
    case noError = 0
    case formatError = 1
    case serverFailure = 2
    case nameError = 3
    case notImplemented = 4
    case refused = 5
}

/// An answer to a `DNSQuery`: addresses and other records, nothing, or an error with an explanation (RFC 8914).
package struct DNSResponse: Equatable, Sendable {
    /// A reason for people, shown by `dig` and by resolvers that log it.
    package struct Explanation: Equatable, Sendable {
        /// RFC 8914 §4: 15 blocked, 18 prohibited, 22 no reachable authority.
        package var code: UInt16
        package var text: String

        package init(code: UInt16, text: String) {
            self.code = code
            self.text = text
        }
    }

    package var code: DNSResponseCode
    package var addresses: [IPAddress]
    /// Before the addresses.
    package var answers: [DNSAnswer]
    /// Seconds.
    package var ttl: UInt32
    package var explanation: Explanation?

    package init(
        _ code: DNSResponseCode, addresses: [IPAddress] = [], answers: [DNSAnswer] = [], ttl: UInt32 = 0,
        explanation: Explanation? = nil
    ) {
        self.code = code
        self.addresses = addresses
        self.answers = answers
        self.ttl = ttl
        self.explanation = explanation
    }

    /// The message, at most `maxBytes` long. Records that do not fit are left out and the truncation bit is set, so that
    /// the client asks again over TCP; an explanation that does not fit is left out silently.
    package func encoded(answering query: DNSQuery, maxBytes: Int = 65_535) -> [UInt8] {
        let opt = query.udpPayload == nil ? [] : optRecord(room: maxBytes - 12 - query.question.count)
        var room = maxBytes - 12 - query.question.count - opt.count
        var records: [UInt8] = []
        var count: UInt16 = 0
        let all = answers + addresses.map { DNSAnswer(.address($0)) }
        for answer in all {
            let record = answer.encoded(ttl: ttl)
            guard record.count <= room, count < 256 else { break }
            records += record
            room -= record.count
            count += 1
        }
        var flags: UInt16 = 0x8080 | UInt16(code.rawValue)  // response, recursion available
        if query.recursionDesired { flags |= 0x0100 }
        if Int(count) < all.count { flags |= 0x0200 }
        return Self.header(id: query.id, flags: flags, questions: 1, answers: count, additional: opt.isEmpty ? 0 : 1)
            + query.question + records + opt
    }

    /// An error for a message whose question could not be read.
    package static func error(_ code: DNSResponseCode, id: UInt16) -> [UInt8] {
        header(id: id, flags: 0x8080 | UInt16(code.rawValue), questions: 0, answers: 0, additional: 0)
    }

    private static func header(id: UInt16, flags: UInt16, questions: UInt16, answers: UInt16, additional: UInt16) -> [UInt8] {
        [id, flags, questions, answers, 0, additional].flatMap(\.networkBytes)
    }

    private func optRecord(room: Int) -> [UInt8] {
        var options: [UInt8] = []
        if let explanation {
            let text = Array(explanation.text.utf8.prefix(255))
            options = UInt16(15).networkBytes + UInt16(text.count + 2).networkBytes + explanation.code.networkBytes + text
            if 11 + options.count > room { options = [] }
        }
        // Root name, type, our UDP payload, extended code and flags, length.
        return [0] + DNSType.opt.rawValue.networkBytes + UInt16(1232).networkBytes + UInt32(0).networkBytes
            + UInt16(options.count).networkBytes + options
    }
}

// MARK: - Reading answers

/// Any DNS message, read leniently in what it carries and strictly in its bounds: for tests and for resolvers of our own.
package struct DNSMessage: Equatable, Sendable {
    package var id: UInt16
    package var isResponse: Bool
    package var isTruncated: Bool
    package var code: UInt8
    package var questionNames: [String]
    package var answers: [DNSRecord]
    package var additional: [DNSRecord]

    /// Records accepted in one message.
    package static let maxRecords = 512

    package init(parsing bytes: ArraySlice<UInt8>) throws(DNSProblem) {
        var reader = DNSReader(message: bytes)
        let header = try DNSHeader(&reader)
        let total = Int(header.questions) + Int(header.answers) + Int(header.authorities) + Int(header.additional)
        guard total <= Self.maxRecords else { throw .counts }
        id = header.id
        isResponse = header.isResponse
        isTruncated = header.isTruncated
        code = header.code
        questionNames = []
        for _ in 0..<header.questions {
            questionNames.append(String(decoding: try reader.name(), as: UTF8.self))
            _ = try reader.uint16()
            _ = try reader.uint16()
        }
        answers = try DNSRecord.list(Int(header.answers), &reader)
        _ = try DNSRecord.list(Int(header.authorities), &reader)
        additional = try DNSRecord.list(Int(header.additional), &reader)
        guard reader.isAtEnd else { throw .trailingBytes }
    }

    /// The addresses among the answers.
    package var addresses: [IPAddress] { answers.compactMap(\.address) }

    /// The explanation in the OPT record (RFC 8914).
    package var explanation: DNSResponse.Explanation? {
        guard var options = additional.first(where: { $0.type == .opt })?.data[...] else { return nil }
        while options.count >= 4 {
            let bytes = Array(options)
            let code = Int(bytes[0]) << 8 | Int(bytes[1]), length = Int(bytes[2]) << 8 | Int(bytes[3])
            guard bytes.count >= 4 + length else { return nil }
            if code == 15, length >= 2 {
                return DNSResponse.Explanation(
                    code: UInt16(bytes[4]) << 8 | UInt16(bytes[5]), text: String(decoding: bytes[6..<(4 + length)], as: UTF8.self)
                )
            }
            options = options.dropFirst(4 + length)
        }
        return nil
    }
}

package struct DNSRecord: Equatable, Sendable {
    /// Labels joined by dots, without the last dot.
    package var name: [UInt8]
    package var type: DNSType
    package var recordClass: UInt16
    package var ttl: UInt32
    package var data: [UInt8]

    package var address: IPAddress? {
        type == .a && data.count == 4 || type == .aaaa && data.count == 16 ? IPAddress(bytes: data) : nil
    }

    init(_ reader: inout DNSReader) throws(DNSProblem) {
        name = try reader.name()
        type = DNSType(rawValue: try reader.uint16())
        recordClass = try reader.uint16()
        ttl = UInt32(try reader.uint16()) << 16 | UInt32(try reader.uint16())
        data = Array(try reader.take(Int(try reader.uint16())))
    }

    static func list(_ count: Int, _ reader: inout DNSReader) throws(DNSProblem) -> [DNSRecord] {
        var records: [DNSRecord] = []
        for _ in 0..<count { records.append(try DNSRecord(&reader)) }
        return records
    }
}

package enum DNSProblem: Error, Equatable {
    case truncated(at: Int)
    /// Counts in the header that a message of its kind cannot have.
    case counts
    /// Label longer than 63 bytes, name longer than 255, or a reserved label type (RFC 1035 §4.1.4).
    case badName(at: Int)
    /// A pointer that does not point further back than all before it: a loop, or on its way to one.
    case badPointer(at: Int)
    case unexpectedRecord(UInt16)
    case trailingBytes
}

struct DNSHeader {
    let id: UInt16
    private let flags: UInt16
    let questions, answers, authorities, additional: UInt16

    init(_ reader: inout DNSReader) throws(DNSProblem) {
        id = try reader.uint16()
        flags = try reader.uint16()
        questions = try reader.uint16()
        answers = try reader.uint16()
        authorities = try reader.uint16()
        additional = try reader.uint16()
    }

    var isResponse: Bool { flags & 0x8000 != 0 }
    var opcode: UInt8 { UInt8(flags >> 11 & 15) }
    var isTruncated: Bool { flags & 0x0200 != 0 }
    var recursionDesired: Bool { flags & 0x0100 != 0 }
    var code: UInt8 { UInt8(flags & 15) }
}

struct DNSReader {
    private let message: [UInt8]
    private(set) var position = 0

    init(message: ArraySlice<UInt8>) { self.message = Array(message) }

    var isAtEnd: Bool { position == message.count }

    func slice(from start: Int) -> ArraySlice<UInt8> { message[start..<position] }

    mutating func take(_ count: Int) throws(DNSProblem) -> ArraySlice<UInt8> {
        guard message.count - position >= count else { throw .truncated(at: position) }
        defer { position += count }
        return message[position..<(position + count)]
    }

    mutating func uint16() throws(DNSProblem) -> UInt16 {
        let bytes = try take(2)
        return UInt16(bytes[bytes.startIndex]) << 8 | UInt16(bytes[bytes.startIndex + 1])
    }

    /// A name as labels joined by dots. Each pointer must point before everything read for this name so far, so reading ends.
    mutating func name(allowingPointers: Bool = true) throws(DNSProblem) -> [UInt8] {
        var labels: [UInt8] = []
        var wireBytes = 1
        var cursor = position
        var lowest = position
        var end: Int?
        while true {
            guard cursor < message.count else { throw .truncated(at: cursor) }
            let length = Int(message[cursor])
            switch length >> 6 {
            case 0:
                if length == 0 {
                    position = end ?? cursor + 1
                    return labels
                }
                guard message.count - cursor > length else { throw .truncated(at: cursor) }
                wireBytes += length + 1
                guard wireBytes <= 255 else { throw .badName(at: cursor) }
                let label = message[(cursor + 1)...(cursor + length)]
                // A dot inside a label would make two different names look the same.
                guard !label.contains(UInt8(ascii: ".")) else { throw .badName(at: cursor) }
                if !labels.isEmpty { labels.append(UInt8(ascii: ".")) }
                labels += label
                cursor += length + 1
            case 3 where allowingPointers:
                guard cursor + 1 < message.count else { throw .truncated(at: cursor) }
                let target = (length & 63) << 8 | Int(message[cursor + 1])
                guard target < lowest else { throw .badPointer(at: cursor) }
                lowest = target
                if end == nil { end = cursor + 2 }
                cursor = target
            default: throw .badName(at: cursor)
            }
        }
    }
}

extension FixedWidthInteger {
    var networkBytes: [UInt8] { withUnsafeBytes(of: bigEndian) { Array($0) } }
}
