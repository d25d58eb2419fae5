import ArgumentParser
import KarsCore

/// Which cluster a command talks to: the same flags everywhere.
struct ClusterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A context of the kubeconfig; KARS_KUBE_CONTEXT says the same.", valueName: "name")) var context:
        String?
    @Option(
        help: ArgumentHelp(
            "A kubeconfig; KUBECONFIG says the same. Without either: the embedded cluster that runs, else ~/.kube/config.",
            valueName: "file"))
    var kubeconfig: String?

    /// Whether the person named a cluster, which leaves nothing to look for.
    var namesCluster: Bool { context != nil || kubeconfig != nil }

    /// The cluster that is named, found or running.
    func choice(environment: [String: String] = EnvironmentReader.ofProcess().values) throws -> ClusterChoice {
        if let kubeconfig, !Files.exists(kubeconfig) { throw CommandFailure(.notFound, "there is no file \(kubeconfig)") }
        return try ClusterChoice.decide(surroundings(environment))
    }

    /// A client of it. What the server has to say to people goes to standard error.
    static func client(_ choice: ClusterChoice) throws -> KubernetesClient {
        KubernetesClient(
            try choice.clientConfig(), group: try EventLoopGroup(), plugins: CredentialPluginProcess(),
            onWarning: { Terminal.note("warning: \(Terminal.safeLine($0))") })
    }

    /// Calls `body` with a client, and closes that afterwards.
    func withClient<Value: Sendable>(_ body: (KubernetesClient) async throws -> Value) async throws -> Value {
        let choice = try choice(), client = try Self.client(choice)
        let result: Result<Value, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        do { return try result.get() } catch let status as APIStatus {
            throw ClusterConnection(api: client, label: choice.label).failure(status, "asking")
        }
    }

    private func surroundings(_ environment: [String: String]) throws -> ClusterChoice.Surroundings {
        var given = ClusterChoice.Surroundings(kubeconfig: kubeconfig, context: context, environment: environment)
        let directory = ClusterDirectory.of(try KarsHome.open(environment: environment))
        if try directory.running() != nil {
            given.embedded = directory.kubeconfigPath
        } else {
            given.hasStoppedCluster = Files.exists(directory.kubeconfigPath)
        }
        if let home = environment["HOME"], home.hasPrefix("/"), Files.exists(home + "/.kube/config") {
            given.userFile = home + "/.kube/config"
        }
        return given
    }
}

/// Which cluster, and which namespace of it.
struct NamespacedOptions: ParsableArguments {
    @OptionGroup var cluster: ClusterOptions
    @Option(
        name: [.customShort("n"), .customLong("namespace")],
        help: ArgumentHelp("Namespace of the objects; kars-system, for repairs kars-sre.", valueName: "namespace"))
    var givenNamespace: String?

    var namespace: String { givenNamespace ?? ClusterConnection.defaultNamespace }
    var namesCluster: Bool { cluster.namesCluster }

    /// Sends nothing yet.
    ///
    /// - Parameter namespace: where to work when nobody says otherwise.
    func connect(
        defaultNamespace namespace: String = ClusterConnection.defaultNamespace,
        environment: [String: String] = EnvironmentReader.ofProcess().values
    ) throws -> ClusterConnection {
        let choice = try cluster.choice(environment: environment), client = try ClusterOptions.client(choice)
        return ClusterConnection(api: client, client: client, namespace: givenNamespace ?? namespace, label: choice.label)
    }
}
