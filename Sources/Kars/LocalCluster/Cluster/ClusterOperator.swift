import KarsCore

/// kars on the embedded cluster: what an installation consists of, and the real controller as a child process.
///
/// The child has nothing but what a controller in a pod has: an address, a certificate to trust, and a token of the service account
/// `kars-controller`, so that the rights that are shipped are the rights it has. It ends with the cluster's process, however that
/// ends, and is started again when it ends by itself.
struct ClusterOperator: ClusterPart {
    let name = "operator"
    private let context: ClusterPartContext
    private let server: String
    private let authority: [UInt8]
    private let log: Log
    /// Waits for the child's end, which takes as long as it drains.
    private let ending = BlockingQueue(maxThreads: 1, maxWaiting: 8)

    private static let namespace = "kars-system"
    private static let account = "kars-controller"
    /// A token is replaced at half of this; the controller reads the file again every minute.
    private static let tokenSeconds = 3_600
    private static let backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(30))

    init(_ context: ClusterPartContext, server: String, authority: [UInt8]) {
        self.context = context
        self.server = server
        self.authority = authority
        log = context.log.with(["component": "operator"])
    }

    private var directory: String { context.directory.path + "/operator" }
    private var tokenPath: String { directory + "/token" }
    private var kubeconfigPath: String { directory + "/kubeconfig" }

    func run() async throws {
        try Files.createDirectories(directory, mode: 0o700)
        try await renewToken()
        try AtomicFile.write(kubeconfig.encoded(pretty: true), to: kubeconfigPath, mode: 0o600)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            defer { tasks.cancelAll() }
            tasks.addTask { try await keepToken() }
            tasks.addTask { try await supervise() }
            try await tasks.next()
        }
    }

    /// Before anybody is told that the cluster is ready: who then declares a sandbox finds the kind.
    func install() async throws {
        let manifests = KarsManifests.all([.definitions, .access, .admission, .defaults, .sre], ManifestConfig())
        let results = try await ClusterInstaller(api: context.client, time: context.client.time).install(manifests)
        log.info("operator.installed", ["objects": .int(results.count)])
    }

    // MARK: Credentials

    private func renewToken() async throws {
        let request = KubernetesRequest.token(
            namespace: Self.namespace, serviceAccount: Self.account, expirationSeconds: Self.tokenSeconds)
        guard let token = try await context.client.object(request)["status"]?["token"]?.stringValue else {
            throw ClusterError(.failed, "the API server answered a token request without a token")
        }
        try AtomicFile.write(Array(token.utf8), to: tokenPath, mode: 0o600)
    }

    private func keepToken() async throws {
        while true {
            try await context.client.time.sleep(for: .seconds(Self.tokenSeconds / 2))
            try await renewToken()
        }
    }

    private var kubeconfig: JSON {
        let name = JSON.string(Self.account)
        return [
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [
                [
                    "name": name,
                    "cluster": ["server": .string(server), "certificate-authority-data": .string(Base64.encode(authority))],
                ]
            ],
            "contexts": [
                ["name": name, "context": ["cluster": name, "user": name, "namespace": .string(Self.namespace)]]
            ],
            "users": [["name": name, "user": ["tokenFile": .string(tokenPath)]]],
        ]
    }

    // MARK: The child

    private func supervise() async throws {
        var failures = 0, random = SystemRandomNumberGenerator()
        while true {
            let process = try ControllerProcess(
                executable: context.executable, kubeconfig: kubeconfigPath, namespace: Self.namespace,
                logPath: directory + "/controller.log")
            log.info("operator.started", ["pid": .int(Int(process.id))])
            let started = context.client.time.now()
            await process.ended(on: context.group.next())
            let status = try await ending.run { process.stop() }
            try Task.checkCancellation()
            failures = context.client.time.now().duration(since: started) > .seconds(60) ? 0 : failures + 1
            log.warn("operator.ended", ["status": .int(Int(status))])
            try await context.client.time.sleep(for: Self.backoff.pause(after: failures, using: &random))
        }
    }
}
