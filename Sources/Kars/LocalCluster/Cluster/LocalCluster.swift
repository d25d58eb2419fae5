import KarsCore

/// The embedded cluster: its state, its API server, and what works on them. Wiring only; each part is a folder beside this.
final class LocalCluster: Sendable {
    /// How long requests under way may take once the cluster is told to end.
    static let drainLimit = Duration.seconds(2)

    private let directory: ClusterDirectory
    private let identity: ClusterIdentity
    private let store: ObjectStore
    private let server: APIServer
    private let group: EventLoopGroup
    private let executable: String
    private let hasNode: Bool
    private let hasController: Bool
    private let log: Log

    /// Opens what the directory holds, or begins it. Blocking. The caller has claimed the directory.
    ///
    /// - Parameter authorizer: put around the cluster's own, for instance to note what is asked.
    init(
        _ directory: ClusterDirectory, executable: String = HiddenStage.executable(), hasNode: Bool = true,
        hasController: Bool = false, authorizer: (any Authorizer) -> any Authorizer = { $0 }, log: Log
    ) throws {
        self.directory = directory
        self.executable = executable
        self.hasNode = hasNode
        self.hasController = hasController
        self.log = log
        identity = try ClusterIdentity(
            directory: directory.identityPath, serverAddresses: [.v4(try ClusterAddresses().apiServer)], now: .now())
        store = try ObjectStore(StoreConfig(directory: directory.statePath))
        group = try EventLoopGroup()
        server = APIServer(APIServerParts.ofCluster(identity, store, log, authorizer: authorizer), store: store, log: log)
    }

    /// Serves until `end` returns or a part fails. `ready` is called once, when clients may come.
    func run(
        ready: @escaping @Sendable (ClusterDirectory.Record) throws -> Void, until end: @escaping @Sendable () async -> Void
    ) async throws {
        let tls = try TLSContext.server(
            identity.server, clientAuthorities: identity.authorityPEM, requiresClientCertificate: false)
        let address = try await listen(tls)
        let record = ClusterDirectory.Record(url: "https://127.0.0.1:\(address.port)")
        let client = KubernetesClient(try identity.administrator(at: record.url), group: group)
        var failure: (any Error)?
        do {
            try await BootstrapObjects.create(
                with: client, missingFrom: StoreReader(store: store), addresses: try ClusterAddresses())
            let context = ClusterPartContext(
                client: client, directory: directory, executable: executable, group: group, log: log)
            let node = hasNode ? try ClusterNode(context, apiServer: address) : nil
            let serving =
                node?.agent.serving ?? PodServing(pods: NodePods(api: client), group: group, time: LoopTime(group.next()))
            server.attach(serving.subresources)
            let controllers = ClusterControllers(
                manager: ControllerManager(
                    client: client, clusterCertificate: String(decoding: identity.authorityPEM, as: UTF8.self),
                    hasScheduler: hasNode,
                    log: log))
            let kars = hasController ? ClusterOperator(context, server: record.url, authority: identity.authorityPEM) : nil
            try await kars?.install()
            try directory.publish(record, kubeconfig: identity.kubeconfig(server: record.url))
            try ready(record)
            log.info("cluster.ready", ["url": .string(record.url)])
            var parts: [any ClusterPart] = [controllers]
            if let node { parts.append(node) }
            if let kars { parts.append(kars) }
            try await Self.run(parts, until: end, log)
        } catch {
            failure = error
        }
        log.info("cluster.draining")
        await client.close()
        await server.stop(within: Self.drainLimit)
        await store.close()
        log.info("cluster.stopped")
        if let failure { throw failure }
    }

    /// At the last place if it is still free, else at another.
    private func listen(_ tls: TLSContext) async throws -> SocketAddress {
        if let port = directory.lastPort() {
            do { return try await server.start(at: SocketAddress(.loopbackV4, port: port), tls: tls, group: group) } catch {
                log.warn("cluster.port.taken", ["port": .int(Int(port)), "error": .error(error)])
            }
        }
        return try await server.start(at: SocketAddress(.loopbackV4, port: 0), tls: tls, group: group)
    }

    /// Runs the parts until `end` returns; then, or when one of them ends by itself, ends them all and waits for them.
    private static func run(_ parts: [any ClusterPart], until end: @escaping @Sendable () async -> Void, _ log: Log) async throws
    {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { await end() }
            for part in parts {
                tasks.addTask {
                    do { try await part.run() } catch is CancellationError {} catch {
                        log.error("cluster.part.failed", ["part": .string(part.name), "error": .error(error)])
                        throw error
                    }
                    guard Task.isCancelled else { throw ClusterError(.failed, "the \(part.name) ended by themselves") }
                }
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }
}

extension APIServerParts {
    /// Access, admission and everything that is answered and not stored, over the objects in `store`.
    static func ofCluster(
        _ identity: ClusterIdentity, _ store: ObjectStore, _ log: Log,
        authorizer: (any Authorizer) -> any Authorizer = { $0 }
    ) -> APIServerParts {
        let reader = StoreReader(store: store)
        let tokens = ServiceAccountTokens(signer: ServiceAccountSigner(key: identity.tokenKey), reader: reader)
        let authorizer = authorizer(RBACAuthorizer(reader: reader))
        var parts = APIServerParts(
            builtIn: BuiltInKinds.all, authenticator: ClusterAuthenticator(tokens: tokens), authorizer: authorizer)
        parts.admission = [
            NamespaceLifecycle(), ServiceAccountAdmission(), DefaultTolerations(), PodPriority(),
            ServiceAddresses(network: ClusterAddresses.serviceNetwork),
            EscalationCheck(authorizer: authorizer), PolicyAdmission(authorizer: authorizer, log: log), QuotaAdmission(),
        ]
        parts.subresources = [
            SubresourceName(group: "", resource: "serviceaccounts", subresource: "token"): TokenRequestHandler(tokens: tokens)
        ]
        parts.paths = [BackupHandler.path: BackupHandler(store: store)]
        func name(_ group: String, _ resource: String) -> GroupVersionResource {
            GroupVersionResource(group: group, version: "v1", resource: resource)
        }
        parts.virtual = [
            name("authentication.k8s.io", "tokenreviews"): TokenReviews(tokens: tokens),
            name("authentication.k8s.io", "selfsubjectreviews"): SelfSubjectReviews(),
            name("authorization.k8s.io", "subjectaccessreviews"): AccessReviews(kind: .subject, authorizer: authorizer),
            name("authorization.k8s.io", "localsubjectaccessreviews"): AccessReviews(kind: .local, authorizer: authorizer),
            name("authorization.k8s.io", "selfsubjectaccessreviews"): AccessReviews(kind: .own, authorizer: authorizer),
            name("authorization.k8s.io", "selfsubjectrulesreviews"): RulesReviews(rules: AccessRules(reader: reader)),
        ]
        return parts
    }
}
