import KarsCore
import Synchronization

/// One request on its way through the server, and its answer.
struct APIExchange: Sendable {
    let request: HTTPServerRequest
    let response: HTTPServerResponse
    let now: UTCTime
    let auditID: String
    let query: QueryItems
    var user = UserInfo.anonymous
    private(set) var format = AnswerFormat.json
    /// Of the answer; 0 before there is one, and for what a subresource handler answers.
    private(set) var code = 0

    init(request: HTTPServerRequest, response: HTTPServerResponse, now: UTCTime) {
        self.request = request
        self.response = response
        self.now = now
        query = QueryItems(request.head.query)
        let sent = request.head.headers["audit-id"] ?? ""
        let isFit = (1...64).contains(sent.utf8.count) && sent.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        auditID = isFit ? sent : Identifier.uuid()
    }

    /// Settles how the answer will look; throws 406.
    mutating func negotiate(_ shapes: Set<AnswerFormat.Shape>) throws(APIStatus) {
        let accept = request.head.headers.values("accept").joined(separator: ",")
        guard let format = AnswerFormat(accept: accept, shapes: shapes) else { throw AnswerFormat.notAcceptable() }
        self.format = format
    }

    /// The body and what it is written in; throws 413 and 415. What comes as Protocol Buffers is handed on as JSON.
    func body() async throws -> ([UInt8], MediaType) {
        if request.head.headers["content-type"] == ProtobufBody.mediaType {
            let bytes = try await RequestBody.bytes(request)
            if bytes.isEmpty { return ([], .json) }
            do throws(ProtobufBody.Fault) { return (JSON.object(try ProtobufBody.json(bytes)).encoded(), .json) } catch {
                if case .unknownKind = error { throw MediaType.unsupported("application/json, application/yaml") }
                throw APIStatus.badRequest("\(error)")
            }
        }
        guard let type = MediaType(contentType: request.head.headers["content-type"]), type == .json || type == .yaml else {
            throw MediaType.unsupported()
        }
        return (try await RequestBody.bytes(request), type)
    }

    var writer: AnswerWriter {
        AnswerWriter(
            response: response, auditID: auditID, format: format,
            acceptsGzip: request.head.headers.contains(token: "gzip", in: "accept-encoding"),
            include: query.text("includeObject").flatMap(TableInclude.init) ?? .metadata, now: now)
    }

    mutating func answer(_ answer: APIAnswer) async throws {
        code = answer.status
        try await writer.send(answer)
    }

    /// For answers that are streamed.
    mutating func began(_ code: Int) { self.code = code }

    // MARK: - What is asked

    var isWatch: Bool { query.flag("watch") ?? false }

    /// The verb that a method means at `path`; nil for methods that mean nothing.
    func verb(of path: ResourcePath) -> ResourceDescription.Verb? {
        switch request.head.method {
        case .get, .head:
            if path.isDeprecatedWatch || (isWatch && path.subresource == nil) { return .watch }
            return path.name == nil ? .list : .get
        case .post: return .create
        case .put: return .update
        case .patch: return .patch
        case .delete: return path.name == nil ? .deletecollection : .delete
        case .connect, .options, .trace, .other: return nil
        }
    }

    func attributes(of path: APIPath) -> AccessAttributes {
        switch path {
        case .other(let path): AccessAttributes(verb: request.head.method.rawValue.lowercased(), target: .path(path))
        case .resource(let path):
            AccessAttributes(
                verb: verb(of: path)?.rawValue ?? "",
                target: .resource(
                    path.groupVersionResource, subresource: path.subresource, namespace: path.accessNamespace, name: path.name))
        }
    }
}

/// A value that is set at most once.
final class OnceSet<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)

    var value: Value? { stored.withLock { $0 } }

    func set(_ value: Value) {
        stored.withLock { stored in
            precondition(stored == nil, "set twice")
            stored = value
        }
    }
}
