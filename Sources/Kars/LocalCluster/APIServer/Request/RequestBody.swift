import KarsCore

/// Reads bodies: bytes within the bound, then JSON or YAML.
enum RequestBody {
    /// Longest body in bytes (`MaxRequestBodyBytes` of the real server).
    static let maxBytes = 3 << 20

    static func bytes(_ request: HTTPServerRequest) async throws -> [UInt8] {
        do throws(HTTPBodyError) { return try await request.body(upTo: maxBytes) } catch {
            // Other failures leave nobody to answer; the server cuts the connection.
            guard case .tooLarge(let limit) = error else { throw error }
            throw APIStatus(
                code: 413, reason: .requestEntityTooLarge, message: "Request entity too large: limit is \(limit)")
        }
    }

    /// A value and the members that came twice, as paths. The last of two counts.
    static func value(_ bytes: [UInt8], _ type: MediaType) throws(BodyFault) -> (JSON, duplicates: [String]) {
        switch type {
        case .json, .mergePatch, .jsonPatch, .strategicMergePatch:
            do throws(JSONError) { return (try JSON(parsing: bytes), []) } catch {
                guard error.code == .duplicateKey else {
                    throw BodyFault(text: "json parse error: \(JSONFaultText.describe(error, in: bytes))")
                }
                return try withDuplicates(bytes)
            }
        case .yaml, .applyPatch:
            do throws(YAMLError) {
                let documents = try YAML.parse(bytes, file: "body")
                return (documents.first ?? .null, [])
            } catch {
                throw BodyFault(text: "yaml: line \(error.line): \(error.reason)")
            }
        }
    }

    struct BodyFault: Error { var text: String }

    private static func withDuplicates(_ bytes: [UInt8]) throws(BodyFault) -> (JSON, duplicates: [String]) {
        do throws(JSONError) {
            let value = try JSON(parsing: bytes, limits: JSONLimits(duplicateKeys: .keepLast))
            var finder = DuplicateMembers(bytes: bytes)
            try finder.search(in: 0..<bytes.count, path: "")
            return (value, finder.paths)
        } catch {
            throw BodyFault(text: "json parse error: \(JSONFaultText.describe(error, in: bytes))")
        }
    }

    /// For errors about bodies that cannot be read: the beginning of the text, or of its bytes when it is not JSON.
    static func summary(_ bytes: [UInt8]) -> String {
        let limit = 30
        guard let first = bytes.first else { return "<empty>" }
        let cut = bytes.count > limit
        let beginning = bytes.prefix(limit)
        let text = first == UInt8(ascii: "{") ? String(decoding: beginning, as: UTF8.self) : Hex.encode(Array(beginning))
        return cut ? text + " ..." : text
    }
}

/// Finds members that come twice in an object, at any depth; one per object.
private struct DuplicateMembers {
    let bytes: [UInt8]
    private(set) var paths: [String] = []
    private static let lenient = JSONLimits(duplicateKeys: .keepLast)

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func search(in range: Range<Int>, path: String) throws(JSONError) {
        let first = bytes[range].first { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }
        switch first {
        case UInt8(ascii: "{"): try searchObject(range, path)
        case UInt8(ascii: "["):
            for (index, element) in try JSONMemberScanner.elements(bytes, in: range, limits: Self.lenient).enumerated() {
                try search(in: element.range, path: "\(path)[\(index)]")
            }
        default: break
        }
    }

    private mutating func searchObject(_ range: Range<Int>, _ path: String) throws(JSONError) {
        let members = try JSONMemberScanner.scan(bytes, in: range, limits: Self.lenient)
        do throws(JSONError) { _ = try JSONMemberScanner.scan(bytes, in: range) } catch {
            guard error.code == .duplicateKey else { throw error }
            paths.append(Self.join(path, name(at: error.offset)))
        }
        for member in members where member.value.kind == .object || member.value.kind == .array {
            try search(in: member.value.range, path: Self.join(path, member.key))
        }
    }

    /// The member name that begins at `offset`, quotes included there and not in the answer.
    private func name(at offset: Int) -> String {
        var end = offset + 1
        while end < bytes.count, bytes[end] != UInt8(ascii: "\"") { end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1 }
        let text = try? JSON(parsing: bytes, in: offset..<min(end + 1, bytes.count))
        return text?.stringValue ?? ""
    }

    private static func join(_ path: String, _ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
}
