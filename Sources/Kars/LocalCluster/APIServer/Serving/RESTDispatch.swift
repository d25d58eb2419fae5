import KarsCore

/// Leads a request for a stored resource to its operation.
struct RESTDispatch: Sendable {
    let request: ObjectRequest
    let path: ResourcePath

    private var resource: ServedResource { request.resource }
    private var isCustom: Bool { resource.isCustom }

    func serve(_ exchange: inout APIExchange) async throws {
        guard let verb = exchange.verb(of: path) else { throw APIStatus.methodNotAllowed() }
        try checkPlace(verb)
        switch verb {
        case .get:
            try exchange.negotiate([.table, .partialMetadata])
            try await exchange.answer(request.get())
        case .list:
            try exchange.negotiate([.table, .partialMetadataList])
            try await exchange.answer(APIAnswer(.list(request.list(ListOptions(exchange.query, isWatch: false)))))
        case .watch: try await watch(&exchange)
        case .create:
            try exchange.negotiate([.table, .partialMetadata])
            let (body, type) = try await exchange.body()
            try await exchange.answer(request.create(body, type))
        case .update:
            try exchange.negotiate([.table, .partialMetadata])
            let (body, type) = try await exchange.body()
            try await exchange.answer(request.update(body, type))
        case .patch:
            try exchange.negotiate([.table, .partialMetadata])
            let (body, type) = try await Self.patchBody(request, exchange)
            try await exchange.answer(request.patch(body, type))
        case .delete:
            try exchange.negotiate([.table, .partialMetadata])
            let (body, type) = try await exchange.body()
            try await exchange.answer(request.delete(body, type))
        case .deletecollection:
            try exchange.negotiate([.table, .partialMetadataList])
            let (body, type) = try await exchange.body()
            try await exchange.answer(request.deleteCollection(body, type))
        }
    }

    /// Methods where they do not belong: built-in kinds say 405, custom ones what their handler makes of it.
    private func checkPlace(_ verb: ResourceDescription.Verb) throws(APIStatus) {
        let isNamed = path.name != nil
        let isWhole = resource.description.isNamespaced && path.namespace == nil
        guard isCustom else {
            let fits =
                switch verb {
                case .get, .update, .patch, .delete: isNamed && !isWhole
                case .list, .watch: true
                case .create, .deletecollection: !isNamed && !isWhole
                }
            guard fits, resource.description.verbs.contains(verb), resource.description.isNamespaced || path.namespace == nil
            else {
                throw .methodNotAllowed()
            }
            return
        }
        // A namespaced object asked for at the cluster scope, or the other way round, is at a path that is not served.
        if !resource.description.isNamespaced, path.namespace != nil { throw .unknownResource() }
        if isWhole, isNamed { throw .unknownResource() }
        switch verb {
        case .update, .patch:
            if !isNamed { throw .badRequest("name must be provided") }
        case .create:
            if Self.isTerminating(request) {
                var status = APIStatus.methodNotAllowed()
                status.message = "create not allowed while custom resource definition is terminating"
                throw status
            }
        case .get, .list, .watch, .delete, .deletecollection: break
        }
    }

    private static func isTerminating(_ request: ObjectRequest) -> Bool {
        let key = StoreKey(collection: CustomResourceDefinitions.collection, namespace: "", name: request.name.qualified)
        return request.context.store.get(key)?.json.isBeingDeleted ?? false
    }

    private func watch(_ exchange: inout APIExchange) async throws {
        try exchange.negotiate([.table, .partialMetadata])
        var options = try ListOptions(exchange.query, isWatch: true)
        if let name = path.name {
            do throws(SelectorError) { options.fieldSelector = try FieldSelector(parsing: "metadata.name=\(name)") } catch {
                throw APIStatus.badRequest("\(error)")
            }
        }
        exchange.began(200)
        let registry = request.context.registry
        let name = resource.description.resource
        try await request.watch(options, exchange.writer) { registry.current[name] != nil }
    }

    static func patchBody(_ request: ObjectRequest, _ exchange: APIExchange) async throws -> ([UInt8], MediaType) {
        guard let type = MediaType(contentType: exchange.request.head.headers["content-type"]), type != .json, type != .yaml
        else {
            throw MediaType.unsupported(ObjectRequest.patchTypes(request.resource))
        }
        return (try await RequestBody.bytes(exchange.request), type)
    }

    // MARK: - Subresources

    /// `status`, `scale`, a namespace's `finalize`, a Pod's `eviction` and `binding`; others are not served.
    static func serve(subresource: String, _ request: ObjectRequest, _ exchange: inout APIExchange) async throws {
        guard request.info.name != nil else { throw APIStatus.unknownResource() }
        let method = exchange.request.head.method
        switch subresource {
        case "status" where request.resource.hasStatus:
            try exchange.negotiate([.table, .partialMetadata])
            switch method {
            case .get: try await exchange.answer(request.get())
            case .put:
                let (body, type) = try await exchange.body()
                try await exchange.answer(request.update(body, type))
            case .patch:
                let (body, type) = try await patchBody(request, exchange)
                try await exchange.answer(request.patch(body, type))
            default: throw APIStatus.methodNotAllowed()
            }
        case "scale":
            guard let paths = request.resource.scale else { throw APIStatus.unknownResource() }
            try exchange.negotiate([])
            switch method {
            case .get: try await exchange.answer(request.scale(paths))
            case .put:
                let (body, type) = try await exchange.body()
                try await exchange.answer(request.updateScale(paths, body, type, isPatch: false))
            case .patch:
                let (body, type) = try await patchBody(request, exchange)
                try await exchange.answer(request.updateScale(paths, body, type, isPatch: true))
            default: throw APIStatus.methodNotAllowed()
            }
        case "finalize" where request.resource.isNamespaces:
            guard method == .put else { throw APIStatus.methodNotAllowed() }
            try exchange.negotiate([])
            let (body, type) = try await exchange.body()
            try await exchange.answer(request.update(body, type))
        case "eviction" where request.resource.isPods, "binding" where request.resource.isPods:
            guard method == .post else { throw APIStatus.methodNotAllowed() }
            try exchange.negotiate([])
            let (body, type) = try await exchange.body()
            try await exchange.answer(subresource == "binding" ? request.bind(body, type) : request.evict(body, type))
        default: throw APIStatus.unknownResource()
        }
    }
}
