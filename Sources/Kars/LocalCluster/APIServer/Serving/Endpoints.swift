import KarsCore

/// Paths that are no resources: version, health, discovery, OpenAPI.
struct Endpoints: Sendable {
    let context: APIContext

    func serve(_ path: String, _ exchange: inout APIExchange) async throws {
        let served = context.registry.current.all
        switch path {
        case "/version": try await json(Self.version, &exchange)
        case "/healthz", "/livez", "/readyz": try await health(String(path.dropFirst()), &exchange)
        case "/": try await json(["paths": .array(paths(served).map { .string($0) })], &exchange)
        case "/api", "/apis": try await discovery(isCore: path == "/api", served, &exchange)
        case "/openapi/v3": try await openAPIIndex(served, &exchange)
        default:
            if let check = Self.healthCheck(path) {
                try await health(check.endpoint, &exchange, only: check.name)
            } else if let document = document(at: path, served) {
                try await json(document, &exchange)
            } else {
                try await exchange.answer(.pageNotFound)
            }
        }
    }

    private func json(_ document: JSON, _ exchange: inout APIExchange) async throws {
        try requireRead(exchange)
        try exchange.negotiate([.aggregatedDiscovery])
        try await exchange.answer(APIAnswer(.json(document)))
    }

    /// JSON under the type that the real server gives it.
    private func openAPIIndex(_ served: [ServedResource], _ exchange: inout APIExchange) async throws {
        try requireRead(exchange)
        var answer = APIAnswer(.json(OpenAPIDocument.index(of: served)))
        answer.headers.add("content-type", "text/plain; charset=utf-8")
        try await exchange.answer(answer)
    }

    private func requireRead(_ exchange: APIExchange) throws(APIStatus) {
        guard [.get, .head].contains(exchange.request.head.method) else { throw .methodNotAllowed() }
    }

    // MARK: - Version and health

    /// What the local cluster behaves like. `gitVersion` says who it is.
    private static let version: JSON = [
        "major": "1", "minor": "36", "emulationMajor": "1", "emulationMinor": "36", "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35", "gitVersion": "v1.36.2+kars", "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
        "goVersion": "", "compiler": "swift", "platform": .string(platform),
    ]

    private static var platform: String {
        #if arch(x86_64)
        "linux/amd64"
        #else
        "linux/arm64"
        #endif
    }

    private static let checks = ["ping", "log", "storage"]

    private static func healthCheck(_ path: String) -> (endpoint: String, name: String)? {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count == 2, ["healthz", "livez", "readyz"].contains(parts[0]), checks.contains(parts[1]) else { return nil }
        return (parts[0], parts[1])
    }

    private func health(_ endpoint: String, _ exchange: inout APIExchange, only: String? = nil) async throws {
        try requireRead(exchange)
        let excluded = exchange.query.all("exclude")
        let checks = Self.checks.filter { (only == nil || $0 == only) && !excluded.contains($0) }
        // Of the three only the storage can fail while we answer.
        let failed = context.store.isWritable ? [] : checks.filter { $0 == "storage" }
        let lines = checks.map { failed.contains($0) ? "[-]\($0) failed: reason withheld\n" : "[+]\($0) ok\n" }.joined()
        if !failed.isEmpty {
            try await exchange.answer(APIAnswer(status: 500, .text("\(lines)\(endpoint) check failed\n")))
        } else if exchange.query["verbose"] != nil {
            try await exchange.answer(APIAnswer(.text("\(lines)\(endpoint) check passed\n")))
        } else {
            try await exchange.answer(APIAnswer(.text("ok")))
        }
    }

    // MARK: - Discovery

    private func discovery(isCore: Bool, _ served: [ServedResource], _ exchange: inout APIExchange) async throws {
        try requireRead(exchange)
        try exchange.negotiate([.aggregatedDiscovery])
        guard exchange.format.shape == .aggregatedDiscovery else {
            let document =
                isCore
                ? Discovery.coreVersions(of: served, serverAddress: exchange.request.head.headers["host"])
                : Discovery.groupList(of: served)
            return try await exchange.answer(APIAnswer(.json(document)))
        }
        let document = Discovery.aggregated(of: served.filter { $0.description.resource.group.isEmpty == isCore })
        let tag = "\"\(Hex.encode(SHA256.hash( document.encoded())).uppercased())\""
        var answer = APIAnswer(.json(document))
        answer.headers.add("etag", tag)
        answer.headers.add("vary", "Accept")
        answer.headers.add("cache-control", "public")
        answer.headers.add("content-type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        if exchange.request.head.headers["if-none-match"] == tag {
            answer.status = 304
            answer.body = .empty
        }
        try await exchange.answer(answer)
    }

    /// `/api/v1`, `/apis/GROUP`, `/apis/GROUP/VERSION`, and their OpenAPI.
    private func document(at path: String, _ served: [ServedResource]) -> JSON? {
        var parts = path.split(separator: "/").map(String.init)[...]
        let isOpenAPI = parts.starts(with: ["openapi", "v3"])
        if isOpenAPI { parts = parts.dropFirst(2) }
        let rest = Array(parts)
        let groupVersion: GroupVersion
        switch (rest.first, rest.count) {
        case ("api"?, 2): groupVersion = GroupVersion(group: "", version: rest[1])
        case ("apis"?, 3): groupVersion = GroupVersion(group: rest[1], version: rest[2])
        case ("apis"?, 2) where !isOpenAPI: return Discovery.group(rest[1], of: served)
        default: return nil
        }
        let members = served.filter { $0.description.resource.groupVersion == groupVersion }
        guard !members.isEmpty else { return nil }
        return isOpenAPI ? OpenAPIDocument.v3(for: groupVersion, members) : Discovery.resourceList(groupVersion, of: members)
    }

    private func paths(_ served: [ServedResource]) -> [String] {
        var paths: Set<String> = ["/api", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"]
        for check in Self.checks { paths.formUnion(["/healthz/\(check)", "/livez/\(check)", "/readyz/\(check)"]) }
        for groupVersion in Set(served.map(\.description.resource.groupVersion)) {
            paths.insert(groupVersion.path)
            paths.insert("/openapi/v3\(groupVersion.path)")
            if !groupVersion.group.isEmpty { paths.insert("/apis/\(groupVersion.group)") }
        }
        return paths.sorted()
    }
}
