import KarsCore

/// The embedded cluster: its state, its API server, and what works on them. Wiring only; each part is a folder beside this.
final class LocalCluster: Sendable {
    let directory: ClusterDirectory
    private let store: ObjectStore
    private let identity: ClusterIdentity
    private let server: APIServer
    private let group: EventLoopGroup
    private let log: Log

    /// Opens what the directory holds, or begins it. Blocking.
    init(_ directory: ClusterDirectory, log: Log) throws {
        self.directory = directory
        self.log = log
        identity = try ClusterIdentity(directory: directory.identityPath, serverAddresses: [], now: .now())
        store = try ObjectStore(StoreConfig(directory: directory.statePath))
        group = try EventLoopGroup()
        let reader = StoreReader(store: store)
        let tokens = ServiceAccountTokens(signer: ServiceAccountSigner(key: identity.tokenKey), reader: reader)
        server = APIServer(Self.parts(tokens, reader), store: store, log: log)
    }

    private static func parts(_ tokens: ServiceAccountTokens, _ reader: StoreReader) -> APIServerParts {
        let authorizer = RBACAuthorizer(reader: reader)
        var parts = APIServerParts(
            builtIn: BuiltInKinds.all, authenticator: ClusterAuthenticator(tokens: tokens), authorizer: authorizer)
        parts.admission = [
            NamespaceLifecycle(), ServiceAccountAdmission(), DefaultTolerations(), EscalationCheck(authorizer: authorizer),
            QuotaAdmission(),
        ]
        parts.subresources = [
            SubresourceName(group: "", resource: "serviceaccounts", subresource: "token"): TokenRequestHandler(tokens: tokens)
        ]
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

    /// Serves until `end` returns. `ready` is called once, when clients may come.
    func run(ready: (ClusterDirectory.Record) throws -> Void, until end: () async -> Void) async throws {
        let tls = try TLSContext.server(
            identity.server, clientAuthorities: identity.authorityPEM, requiresClientCertificate: false)
        let address = try await server.start(at: SocketAddress(.loopbackV4, port: 0), tls: tls, group: group)
        let record = ClusterDirectory.Record(
            processID: ClusterDirectory.processID, url: "https://127.0.0.1:\(address.port)", startedAt: .now())
        let client = try administrator(record.url)
        try await BootstrapObjects.create(with: client)
        try directory.publish(record, kubeconfig: identity.kubeconfig(server: record.url))
        try ready(record)
        log.info("cluster.ready", ["url": .string(record.url)])
        await end()
        log.info("cluster.draining")
        await server.stop(within: .seconds(2))
        await store.close()
        log.info("cluster.stopped")
    }
}
