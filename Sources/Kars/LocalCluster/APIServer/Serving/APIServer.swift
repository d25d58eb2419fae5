import KarsCore

/// The parts that others give the server.
struct APIServerParts: Sendable {
    var builtIn: [ServedResource]
    var authenticator: any Authenticator
    var authorizer: any Authorizer
    var admission: [any AdmissionStep] = []
    var subresources: [SubresourceName: any SubresourceHandler] = [:]
    var virtual: [GroupVersionResource: any VirtualResource] = [:]
    /// By path, before the server's own endpoints.
    var paths: [String: any PathHandler] = [:]
}

/// The API server of the local cluster: REST as Kubernetes has it, over the object store.
///
/// This folder decides what each request means; who may send it, what kinds there are and how objects are kept is given to
/// it. Every request passes the same stations: who, on whose behalf, what, may they, do it, say it.
final class APIServer: HTTPHandler, Sendable {
    let context: APIContext
    private let parts: APIServerParts
    private let endpoints: Endpoints
    private let server = OnceSet<HTTPServer>()
    /// Subresources that are served by something which itself is a client of this server.
    private let attached = OnceSet<[SubresourceName: any SubresourceHandler]>()

    init(_ parts: APIServerParts, store: ObjectStore, log: Log, clock: @escaping @Sendable () -> UTCTime = UTCTime.now) {
        self.parts = parts
        context = APIContext(
            store: store, registry: ResourceRegistry(builtIn: parts.builtIn), authorizer: parts.authorizer,
            admission: parts.admission, log: log, clock: clock)
        endpoints = Endpoints(context: context)
    }

    /// Bounds of the listener. Bodies are bounded by `RequestBody`.
    static var listenerConfig: HTTPServerConfig {
        var config = HTTPServerConfig()
        // Selectors and tokens travel in the request line.
        config.maxRequestLineBytes = 32 << 10
        config.maxConnections = 1024
        return config
    }

    /// Serves what the store holds and listens; returns the address with the port that was free. After a failure to bind it may
    /// be called again.
    func start(at address: SocketAddress, tls: TLSContext?, group: EventLoopGroup) async throws -> SocketAddress {
        try await CustomResourceDefinitions(context: context).start(now: context.clock())
        let server = HTTPServer(config: Self.listenerConfig, tls: tls, handler: self, group: group)
        let bound = try await server.bind(address)
        self.server.set(server)
        return bound
    }

    /// Adds subresources that the node serves, once, after the start: the node is a client of this server.
    func attach(_ subresources: [SubresourceName: any SubresourceHandler]) { attached.set(subresources) }

    /// Ends open requests within `deadline`; watches end at once when it is over.
    func stop(within deadline: Duration) async { await server.value?.drain(within: deadline) }

    // MARK: - One request

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let head = request.head
        var exchange = APIExchange(request: request, response: response, now: context.clock())
        do {
            try await serve(&exchange)
        } catch let failure as APIStatus {
            try await exchange.answer(APIAnswer(failure))
        }
        context.log.debug(
            "api.request",
            [
                "audit_id": .string(exchange.auditID), "method": .string(head.method.rawValue),
                "path": .string(String(head.path)),
                "user": .string(exchange.user.name), "code": .int(exchange.code),
                "seconds": .double(Instant.now().duration(since: request.arrival).inSeconds),
            ])
    }

    private func serve(_ exchange: inout APIExchange) async throws {
        guard let path = APIPath(exchange.request.head.path) else { return try await exchange.answer(.pageNotFound) }
        let attributes = exchange.attributes(of: path)
        let user = try await parts.authenticator.authenticate(exchange.request)
        exchange.user = user
        let impersonation = Impersonation(exchange.request.head.headers, context.authorizer)
        exchange.user = try impersonation.user(for: user, attributes)
        if case .denied(let reason) = context.authorizer.decide(exchange.user, attributes) {
            var answer = APIAnswer(AccessText.forbidden(exchange.user, attributes, reason))
            answer.headers.add("x-content-type-options", "nosniff")
            return try await exchange.answer(answer)
        }
        switch path {
        case .other(let path):
            guard let handler = parts.paths[path] else { return try await endpoints.serve(path, &exchange) }
            guard exchange.request.head.method == .get else { throw APIStatus.methodNotAllowed() }
            try await handler.handle(exchange.request, exchange.response)
        case .resource(let path): try await serve(path, &exchange)
        }
    }

    private func serve(_ path: ResourcePath, _ exchange: inout APIExchange) async throws {
        let served = context.registry.current
        guard let resource = served[path.groupVersionResource] else {
            guard served.isBuiltIn(path.groupVersion) else { return try await exchange.answer(.pageNotFound) }
            throw APIStatus.unknownResource()
        }
        let info = RequestInfo(
            user: exchange.user, verb: exchange.verb(of: path) ?? .get, resource: path.groupVersionResource,
            subresource: path.subresource, namespace: path.namespace, name: path.name, now: exchange.now)
        let request = ObjectRequest(
            context: context, resource: resource, info: info, query: exchange.query,
            userAgent: exchange.request.head.headers["user-agent"])
        if let subresource = path.subresource {
            try await serve(subresource, request, &exchange)
        } else if let virtual = parts.virtual[path.groupVersionResource] {
            try await serve(virtual, request, &exchange)
        } else {
            try await RESTDispatch(request: request, path: path).serve(&exchange)
        }
    }

    private func serve(_ subresource: String, _ request: ObjectRequest, _ exchange: inout APIExchange) async throws {
        let name = SubresourceName(group: request.name.group, resource: request.name.resource, subresource: subresource)
        guard let handler = parts.subresources[name] ?? attached.value?[name] else {
            return try await RESTDispatch.serve(subresource: subresource, request, &exchange)
        }
        guard handler.methods.contains(exchange.request.head.method) else { throw APIStatus.methodNotAllowed() }
        if var options = ConnectOptions.object(for: name, exchange.query) {
            var info = request.info
            info.connects = true
            for phase in [AdmissionPhase.mutating, .validating] {
                _ = try await context.admit(&options, old: nil, info, phase)
            }
        }
        try await handler.handle(exchange.request, exchange.response, info: request.info)
    }

    private func serve(_ virtual: any VirtualResource, _ request: ObjectRequest, _ exchange: inout APIExchange) async throws {
        guard exchange.request.head.method == .post, request.info.name == nil else { throw APIStatus.methodNotAllowed() }
        try exchange.negotiate([])
        let options = try WriteParameters(exchange.query, kind: "CreateOptions")
        let (body, type) = try await exchange.body()
        let decoder = ObjectDecoder(resource: request.resource, validation: options.fieldValidation)
        let decoded = try decoder.decode(body, type)
        var info = request.info
        info.isDryRun = options.isDryRun
        var object = decoded.object
        FieldManagement.update(
            &object, from: request.resource.blank,
            manager: options.fieldManager ?? WriteParameters.manager(from: request.userAgent), schema: request.resource.schema,
            now: info.now)
        var answer = try await virtual.create(object, info)
        if virtual.keepsQuestion { answer.metadata["managedFields"] = object.metadata["managedFields"] }
        try await exchange.answer(
            APIAnswer(status: 201, .object(ServedObject(answer, request.resource)), warnings: decoded.warnings))
    }
}
