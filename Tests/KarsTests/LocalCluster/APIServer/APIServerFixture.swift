import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// An API server on a port of its own over a fresh store, with a few kinds that have no rules of their own, and everybody
/// allowed to do everything unless a test says otherwise.
struct APIServerFixture: Sendable {
    static let group: EventLoopGroup = {
        do { return try EventLoopGroup(loopCount: 2) } catch { preconditionFailure("\(error)") }
    }()

    let server: APIServer
    let store: ObjectStore
    let client: HTTPClient
    let port: UInt16

    static func run(
        change: (inout APIServerParts) -> Void = { _ in }, store configure: (inout StoreConfig) -> Void = { _ in },
        _ body: (APIServerFixture) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            var config = StoreConfig(directory: directory)
            configure(&config)
            let store = try ObjectStore(config)
            var parts = APIServerParts(
                builtIn: TestKinds.all, authenticator: HeaderAuthenticator(), authorizer: OpenAuthorizer())
            change(&parts)
            let server = APIServer(parts, store: store, log: .silent)
            let address = try await server.start(at: SocketAddress(.loopbackV4, port: 0), tls: nil, group: group)
            let fixture = APIServerFixture(server: server, store: store, client: HTTPClient(group: group), port: address.port)
            let result: Result<Void, any Error>
            do { result = .success(try await body(fixture)) } catch { result = .failure(error) }
            await fixture.client.close()
            await server.stop(within: .milliseconds(200))
            await store.close()
            try result.get()
        }
    }

    struct Answer {
        let status: Int
        let headers: HTTPHeaders
        let body: [UInt8]

        var text: String { String(decoding: body, as: UTF8.self) }
        var json: JSON { (try? JSON(parsing: body)) ?? .null }
        var reason: String? { json["reason"]?.stringValue }
        var message: String { json["message"]?.stringValue ?? text }
        var metadata: JSONObject { json["metadata"]?.objectValue ?? JSONObject() }
        var revision: String { metadata["resourceVersion"]?.stringValue ?? "" }
        var names: [String] { (json["items"]?.arrayValue ?? []).compactMap { $0["metadata"]?["name"]?.stringValue } }
    }

    func open(
        _ method: HTTPMethod, _ path: String, _ body: String? = nil, headers: HTTPHeaders = HTTPHeaders()
    ) async throws -> HTTPClientResponse {
        var headers = headers
        if body != nil, !headers.contains("content-type") { headers.add("content-type", "application/json") }
        let url = HTTPURL(scheme: .http, host: "127.0.0.1", port: port, target: path)
        let content: HTTPClientRequest.Body = body.map { .bytes(Array($0.utf8)) } ?? .none
        return try await client.send(HTTPClientRequest(method: method, url: url, headers: headers, body: content))
    }

    @discardableResult
    func call(
        _ method: HTTPMethod, _ path: String, _ body: String? = nil, headers: HTTPHeaders = HTTPHeaders()
    ) async throws -> Answer {
        let response = try await open(method, path, body, headers: headers)
        return Answer(status: response.status, headers: response.head.headers, body: try await response.body(upTo: 64 << 20))
    }

    @discardableResult
    func patch(_ path: String, _ type: String, _ body: String) async throws -> Answer {
        try await call(.patch, path, body, headers: ["content-type": "application/\(type)"])
    }

    static let configMaps = "/api/v1/namespaces/default/configmaps"

    @discardableResult
    func createConfigMap(_ name: String, labels: String = "{}", value: String = "1") async throws -> Answer {
        try await call(
            .post, Self.configMaps,
            #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)","labels":\#(labels)},"data":{"k":"\#(value)"}}"#
        )
    }

    func watch(_ path: String, headers: HTTPHeaders = HTTPHeaders()) async throws -> WatchLines {
        WatchLines(response: try await open(.get, path, headers: headers))
    }
}

/// The lines of a watch, one by one.
final class WatchLines {
    let response: HTTPClientResponse
    private var buffer: [UInt8] = []

    init(response: HTTPClientResponse) { self.response = response }

    /// Nil at the end of the stream.
    func next() async throws -> JSON? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return try JSON(parsing: line)
            }
            guard let part = try await response.nextBodyPart() else { return nil }
            buffer += part
        }
    }

    /// `TYPE name` of the next `count` lines.
    func take(_ count: Int) async throws -> [String] {
        var taken: [String] = []
        while taken.count < count, let line = try await next() {
            taken.append("\(line["type"]?.stringValue ?? "") \(line["object"]?["metadata"]?["name"]?.stringValue ?? "")")
        }
        return taken
    }
}

/// Says who one is: `X-User`, with groups after commas.
struct HeaderAuthenticator: Authenticator {
    func authenticate(_ request: HTTPServerRequest) async throws(APIStatus) -> UserInfo {
        let parts = (request.head.headers["x-user"] ?? "admin").split(separator: ",").map(String.init)
        guard parts[0] != "nobody" else { throw .unauthorized() }
        return UserInfo(name: parts[0], groups: parts.dropFirst() + ["system:authenticated"])
    }
}

/// Allows the administrator everything and others what a test names.
struct OpenAuthorizer: Authorizer {
    var rights: [String: [AccessAttributes]] = [:]

    func decide(_ user: UserInfo, _ attributes: AccessAttributes) -> AccessDecision {
        if user.name == "admin" || rights[user.name]?.contains(attributes) == true { return .allowed(reason: "") }
        return .denied(reason: "")
    }
}

enum TestKinds {
    static let all = [namespaces, configMaps, pods, leases, definitions]

    private static func schema(_ text: String) -> StructuralSchema {
        do { return try StructuralSchema(reading: JSON(parsing: text), at: "") } catch { preconditionFailure("\(error)") }
    }

    private static let open = #""x-kubernetes-preserve-unknown-fields":true"#

    static let namespaces = ServedResource(
        description: ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "namespaces"), kind: "Namespace", isNamespaced: false,
            verbs: [.create, .delete, .get, .list, .patch, .update, .watch]),
        schema: schema(
            #"{"type":"object","properties":{"spec":{"type":"object",\#(open)},"status":{"type":"object",\#(open)}}}"#),
        strategy: TestStrategy(), columns: [], hasStatus: true, nameRule: .label)
    static let configMaps = ServedResource(
        description: ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "configmaps"), kind: "ConfigMap", isNamespaced: true),
        schema: schema(
            #"{"type":"object","properties":{"data":{"type":"object","additionalProperties":{"type":"string"}},"immutable":{"type":"boolean"}}}"#
        ), strategy: TestStrategy(), columns: [], hasStatus: false)
    static let pods = ServedResource(
        description: ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "pods"), kind: "Pod", isNamespaced: true),
        schema: schema(
            #"{"type":"object","properties":{"spec":{"type":"object",\#(open)},"status":{"type":"object",\#(open)}}}"#),
        strategy: TestStrategy(), columns: [], hasStatus: true,
        scale: ScalePaths(specReplicas: "spec.replicas", statusReplicas: "status.replicas", labelSelector: "spec.selector"),
        selectableFields: ["spec.nodeName", "status.phase"])
    static let leases = ServedResource(
        description: ResourceDescription(
            GroupVersionResource(group: "coordination.k8s.io", version: "v1", resource: "leases"), kind: "Lease",
            isNamespaced: true),
        schema: schema(#"{"type":"object","properties":{"spec":{"type":"object",\#(open)}}}"#), strategy: TestStrategy(),
        columns: [],
        hasStatus: false, createsOnUpdate: true, allowsUnconditionalUpdate: false)
    static let definitions = ServedResource(
        description: ResourceDescription(
            CustomResourceDefinitions.resource, kind: "CustomResourceDefinition", isNamespaced: false),
        schema: schema(
            #"{"type":"object","properties":{"spec":{"type":"object",\#(open)},"status":{"type":"object",\#(open)}}}"#),
        strategy: TestStrategy(), columns: [], hasStatus: true)
}

/// Counts generations by `spec` and refuses `data.bad`; nothing else.
struct TestStrategy: ResourceStrategy {
    func decode(_ object: inout JSONObject) throws(APIDecoder.Fault) {
        if object["immutable"]?.stringValue != nil {
            throw APIDecoder.Fault(
                text: "json: cannot unmarshal string into Go struct field ConfigMap.immutable of type bool")
        }
    }

    func prepareForCreate(_ object: inout JSONObject, _ request: RequestInfo) {
        if object["spec"] != nil { object.metadata["generation"] = 1 }
    }

    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo) {
        guard object["spec"] != old["spec"] else { return }
        object.metadata["generation"] = .int((old.metadata["generation"]?.intValue ?? 0) + 1)
    }

    func validateCreate(_ object: JSONObject) -> [FieldError] {
        object["data"]?["bad"].map { [.invalid("data[bad]", $0, "must be good")] } ?? []
    }

    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        validateCreate(object)
    }

    func warnings(for object: JSONObject) -> [String] { object["data"]?["odd"] == nil ? [] : ["odd is \"odd\""] }
}
