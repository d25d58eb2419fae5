import KarsCore

/// Where the next page of a list begins, and at which revision the list is read; opaque to clients.
struct ContinueToken: Equatable, Sendable {
    /// -1 for a list that goes on at the newest revision, whatever happened since its first page.
    var revision: Int
    /// Behind this object.
    var namespace: String
    var name: String

    init(revision: Int, after key: StoreKey) {
        self.revision = revision
        namespace = key.namespace
        name = key.name
    }

    var text: String {
        // The NUL makes "behind this name" the next key in order, as etcd's key ranges want it.
        let start = "\(namespace)/\(name)\0"
        return Base64.encodeURL(JSON.object(["v": "meta.k8s.io/v1", "rv": .int(revision), "start": .string(start)]).encoded())
    }

    init(_ text: String) throws(APIStatus) {
        do throws(Malformed) { self = try Self.read(text) } catch {
            throw .badRequest("invalid continue token: continue key is not valid: \(error.reason)")
        }
    }

    private struct Malformed: Error { var reason: String }

    private static func read(_ text: String) throws(Malformed) -> ContinueToken {
        guard let bytes = decode(text) else { throw Malformed(reason: "illegal base64 data at input byte 0") }
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: bytes) } catch {
            throw Malformed(reason: JSONFaultText.describe(error, in: bytes))
        }
        let version = json["v"]?.stringValue ?? ""
        guard version == "meta.k8s.io/v1" else {
            throw Malformed(reason: "server does not recognize this encoded version \"\(version)\"")
        }
        guard let start = json["start"]?.stringValue, start.hasSuffix("\0"), let slash = start.firstIndex(of: "/") else {
            throw Malformed(reason: "encoded start key invalid")
        }
        guard let revision = json["rv"]?.intValue, revision != 0, revision >= -1 else {
            throw Malformed(reason: "incorrect encoded start resourceVersion 0 (version meta.k8s.io/v1)")
        }
        let key = StoreKey(
            collection: CollectionName(group: "", resource: ""), namespace: String(start[..<slash]),
            name: String(start[start.index(after: slash)...].dropLast()))
        return ContinueToken(revision: revision, after: key)
    }

    /// As lenient about unused bits as Go's decoder, which matters only for what a malformed token is told.
    private static func decode(_ text: String) -> [UInt8]? {
        if let bytes = Base64.decodeURL(text) { return bytes }
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            guard let value = alphabet.firstIndex(of: character) else { return nil }
            bits = (bits << 6 | UInt32(value)) & 0xffff
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return text.utf8.count % 4 == 1 ? nil : bytes
    }
}

/// Go's words for malformed JSON, which the API's messages quote.
enum JSONFaultText {
    static func describe(_ error: JSONError, in bytes: [UInt8]) -> String {
        guard error.code != .unexpectedEnd, error.offset < bytes.count else { return "unexpected end of JSON input" }
        // Go takes a byte for the code point of that number.
        let character = "'\(Character(Unicode.Scalar(bytes[error.offset])))'"
        let place: String
        switch error.code {
        case .controlCharacter: place = "in string literal"
        case .invalidEscape: place = "in string escape code"
        case .unexpectedByte:
            place =
                if error.reason.contains("expected ':'") { "after object key" } else if error.reason.contains("',' or '}'") {
                    "after object key:value pair"
                } else if error.reason.contains("',' or ']'") {
                    "after array element"
                } else if error.reason.contains("a member name") {
                    "looking for beginning of object key string"
                } else if error.reason.contains("the end") { "after top-level value" } else { "looking for beginning of value" }
        default: return error.reason
        }
        return "invalid character \(character) \(place)"
    }
}
