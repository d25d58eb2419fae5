/// What a TLS ClientHello says in the clear about where it wants to go (RFC 8446 §4.1.2, RFC 6066 §3).
///
/// The parser looks at the first bytes of a connection and answers from those alone; it keeps nothing between calls and
/// never looks further than `maxBytes`. The bytes themselves are forwarded untouched, whatever they are.
package struct ClientHello: Equatable, Sendable {
    /// The server name, nil when the extension is absent.
    package var serverName: HostName?
    /// Application protocols offered, in order; text that is not UTF-8 is repaired.
    package var protocols: [String]
    /// Encrypted Client Hello or its predecessors: the name in the clear need not be the name that is meant. An ECH extension
    /// sent as GREASE cannot be told from a real one; that is its purpose.
    package var hasEncryptedHello: Bool

    package init(serverName: HostName?, protocols: [String] = [], hasEncryptedHello: Bool = false) {
        self.serverName = serverName
        self.protocols = protocols
        self.hasEncryptedHello = hasEncryptedHello
    }

    package enum Outcome: Equatable, Sendable {
        /// The first byte is not that of a TLS handshake record.
        case notTLS
        /// A ClientHello as far as it goes.
        case incomplete
        case hello(ClientHello)
        /// A handshake record that is no acceptable ClientHello.
        case malformed(Problem)
    }

    package enum Problem: Error, Equatable {
        case notHandshake(version: UInt8)
        case recordLength(Int)
        case interrupted(byRecordType: UInt8)
        case notClientHello(type: UInt8)
        case tooLong(bytes: Int, limit: Int)
        case truncated(field: Field)
        case trailingBytes
        case duplicateExtension(UInt16)
        case serverName(String)
    }

    package enum Field: String, Sendable {
        case version, random, sessionID, cipherSuites, compression, extensions, serverName, protocols
    }

    /// Bytes of handshake message accepted. Real ones stay under 2 KiB, with post-quantum key shares under 4 KiB.
    package static let maxBytes = 32 << 10

    package static func parse(_ bytes: ArraySlice<UInt8>) -> Outcome {
        guard let first = bytes.first else { return .incomplete }
        guard first == handshakeRecord else { return .notTLS }
        do throws(Problem) {
            guard let message = try handshake(bytes) else { return .incomplete }
            return .hello(try ClientHello(message: message))
        } catch {
            return .malformed(error)
        }
    }

    private static let handshakeRecord: UInt8 = 22

    /// The first handshake message without its header, put together from as many records as it takes; nil when not all of it
    /// has come (RFC 8446 §5.1).
    private static func handshake(_ bytes: ArraySlice<UInt8>) throws(Problem) -> ArraySlice<UInt8>? {
        var rest = bytes
        var message: [UInt8] = []
        while true {
            guard let type = rest.first else { return nil }
            guard type == handshakeRecord else { throw .interrupted(byRecordType: type) }
            guard rest.count >= 2 else { return nil }
            let major = rest[rest.startIndex + 1]
            guard major == 3 else { throw .notHandshake(version: major) }
            guard rest.count >= 5 else { return nil }
            let length = Int(rest[rest.startIndex + 3]) << 8 | Int(rest[rest.startIndex + 4])
            // An empty fragment is forbidden: it would make a peer read for ever.
            guard (1...(1 << 14)).contains(length) else { throw .recordLength(length) }
            rest = rest.dropFirst(5)
            message += rest.prefix(length)
            if let type = message.first, type != 1 { throw .notClientHello(type: type) }
            if message.count >= 4 {
                let wanted = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
                guard wanted <= maxBytes else { throw .tooLong(bytes: wanted, limit: maxBytes) }
                if message.count - 4 >= wanted { return message[4..<(4 + wanted)] }
            }
            guard rest.count >= length else { return nil }
            rest = rest.dropFirst(length)
        }
    }

    private init(message: ArraySlice<UInt8>) throws(Problem) {
        var reader = VectorReader(rest: message)
        self.init(serverName: nil)
        _ = try reader.take(2, .version)
        _ = try reader.take(32, .random)
        let sessionID = try reader.vector(lengthBytes: 1, .sessionID)
        guard sessionID.rest.count <= 32 else { throw .truncated(field: .sessionID) }
        let suites = try reader.vector(lengthBytes: 2, .cipherSuites)
        guard !suites.rest.isEmpty, suites.rest.count % 2 == 0 else { throw .truncated(field: .cipherSuites) }
        guard try !reader.vector(lengthBytes: 1, .compression).rest.isEmpty else { throw .truncated(field: .compression) }
        if reader.rest.isEmpty { return }  // TLS 1.2 without extensions
        var extensions = try reader.vector(lengthBytes: 2, .extensions)
        guard reader.rest.isEmpty else { throw .trailingBytes }
        var seen: Set<UInt16> = []
        while !extensions.rest.isEmpty {
            let type = UInt16(try extensions.number(bytes: 2, .extensions))
            guard seen.insert(type).inserted else { throw .duplicateExtension(type) }
            let body = try extensions.vector(lengthBytes: 2, .extensions)
            switch type {
            case 0: serverName = try Self.serverName(body)
            case 16: protocols = try Self.protocols(body)
            // Encrypted Client Hello and its drafts (0xfe08…0xfe0d), encrypted SNI (0xffce).
            case 0xfe08...0xfe0d, 0xffce: hasEncryptedHello = true
            default: break
            }
        }
    }

    /// RFC 6066 §3: a list of names, one of each type, and only host names are defined. A literal address is not allowed.
    private static func serverName(_ body: VectorReader) throws(Problem) -> HostName {
        var body = body
        var list = try body.vector(lengthBytes: 2, .serverName)
        guard body.rest.isEmpty else { throw .trailingBytes }
        let type = try list.number(bytes: 1, .serverName)
        guard type == 0 else { throw .serverName("name type \(type)") }
        let name = try list.vector(lengthBytes: 2, .serverName)
        guard list.rest.isEmpty else { throw .serverName("more than one name") }
        do {
            return try HostName(utf8: name.rest)
        } catch {
            throw .serverName(error.description)
        }
    }

    private static func protocols(_ body: VectorReader) throws(Problem) -> [String] {
        var body = body
        var list = try body.vector(lengthBytes: 2, .protocols)
        guard body.rest.isEmpty else { throw .trailingBytes }
        var names: [String] = []
        while !list.rest.isEmpty {
            let name = try list.vector(lengthBytes: 1, .protocols)
            guard !name.rest.isEmpty else { throw .truncated(field: .protocols) }
            names.append(String(decoding: name.rest, as: UTF8.self))
        }
        return names
    }
}

extension ClientHello.Problem: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notHandshake(let version): "record version \(version).x is not TLS"
        case .recordLength(let length): "record of \(length) bytes"
        case .interrupted(let type): "record of type \(type) in the middle of a ClientHello"
        case .notClientHello(let type): "handshake message of type \(type) where a ClientHello is expected"
        case .tooLong(let bytes, let limit): "ClientHello of \(bytes) bytes where at most \(limit) are allowed"
        case .truncated(let field): "\(field.rawValue) does not fit"
        case .trailingBytes: "bytes after the end of a field"
        case .duplicateExtension(let type): "extension \(type) twice"
        case .serverName(let why): "server name: \(why)"
        }
    }
}

/// Reads TLS vectors (RFC 8446 §3.4) from the front of a slice, never past its end.
private struct VectorReader {
    var rest: ArraySlice<UInt8>

    mutating func take(_ count: Int, _ field: ClientHello.Field) throws(ClientHello.Problem) -> ArraySlice<UInt8> {
        guard rest.count >= count else { throw .truncated(field: field) }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    mutating func number(bytes: Int, _ field: ClientHello.Field) throws(ClientHello.Problem) -> Int {
        try take(bytes, field).reduce(0) { $0 << 8 | Int($1) }
    }

    mutating func vector(lengthBytes: Int, _ field: ClientHello.Field) throws(ClientHello.Problem) -> VectorReader {
        let length = try number(bytes: lengthBytes, field)
        return VectorReader(rest: try take(length, field))
    }
}

/// A fatal alert in the clear, for a handshake that is refused before it begins (RFC 8446 §6).
package enum TLSAlert: UInt8, Sendable {
    case illegalParameter = 47
    case accessDenied = 49
    case decodeError = 50
    case missingExtension = 109
    case unrecognizedName = 112

    package var record: [UInt8] { [21, 3, 3, 0, 2, 2, rawValue] }
}
