import KarsCore

/// Sends answers: applies the format, compresses what is long, and adds the headers that every answer has.
struct AnswerWriter: Sendable {
    let response: HTTPServerResponse
    let auditID: String
    let format: AnswerFormat
    let acceptsGzip: Bool
    /// What rows of a table carry.
    let include: TableInclude
    let now: UTCTime

    /// Answers shorter than this are sent as they are, as the real server does.
    private static let minGzipBytes = 128 << 10

    func send(_ answer: APIAnswer) async throws(HTTPResponseError) {
        var (body, type) = render(answer.body)
        var headers = self.headers(type, warnings: answer.warnings)
        for (name, value) in answer.headers { headers.replace(name, with: value) }
        if acceptsGzip, body.count > Self.minGzipBytes {
            body = Gzip.compress(body, level: 1)
            headers.add("content-encoding", "gzip")
            headers.add("vary", "Accept-Encoding")
        }
        try await response.send(status: answer.status, headers: headers, body: body)
    }

    /// The head of a stream of JSON lines.
    func startStream() async throws(HTTPResponseError) {
        try await response.start(HTTPResponseHead(status: 200, headers: headers("application/json", warnings: [])))
    }

    private func headers(_ type: String?, warnings: [String]) -> HTTPHeaders {
        var headers: HTTPHeaders = ["audit-id": auditID, "cache-control": "no-cache, private"]
        if let type { headers.add("content-type", type) }
        if type?.hasPrefix("text/plain") == true { headers.add("x-content-type-options", "nosniff") }
        var seen: Set<String> = []
        for warning in warnings where seen.insert(warning).inserted { headers.add("warning", Self.warning(warning)) }
        return headers
    }

    /// RFC 9111's obsoleted `warn-code warn-agent warn-text`, which Kubernetes keeps. Control characters have no place there.
    private static func warning(_ text: String) -> String {
        var quoted = ""
        for scalar in text.unicodeScalars.prefix(1024) {
            switch scalar {
            case "\"", "\\": quoted.unicodeScalars.append(contentsOf: ["\\", scalar])
            default: quoted.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
            }
        }
        return "299 - \"\(quoted)\""
    }

    private func render(_ body: APIAnswer.Body) -> ([UInt8], type: String?) {
        switch body {
        case .empty: return ([], nil)
        case .text(let text): return (Array(text.utf8), "text/plain; charset=utf-8")
        case .json(let json): return encode(json)
        case .object(let object):
            switch format.shape {
            case .partialMetadata, .partialMetadataList: return encode(object.partial)
            case .table: return encode(Self.table(of: object, include: include, now: now))
            case .object, .aggregatedDiscovery:
                return format.encoding == .json ? (object.encoded, "application/json") : encode(.object(object.json))
            }
        case .list(let list):
            switch format.shape {
            case .partialMetadata, .partialMetadataList: return encode(list.partial)
            case .table: return encode(list.table(include: include, now: now))
            case .object, .aggregatedDiscovery:
                return format.encoding == .json ? (list.encoded(), "application/json") : encode(list.json)
            }
        }
    }

    private func encode(_ json: JSON) -> ([UInt8], type: String?) {
        switch format.encoding {
        case .json: (json.encoded(), "application/json")
        case .yaml: (Array(YAML.emit(json).utf8), "application/yaml")
        }
    }

    /// A table of one object.
    static func table(of object: ServedObject, include: TableInclude, now: UTCTime) -> JSON {
        var table = TableRenderer.table(of: [object.json], resource: object.resource, includeObject: include, now: now)
        table.setMember("metadata", ["resourceVersion": .string(object.json.resourceVersion ?? "")])
        return table
    }
}
