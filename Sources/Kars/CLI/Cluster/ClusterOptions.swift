import ArgumentParser
import KarsCore

/// Which cluster, and where in it: the same flags for every command that talks to one.
struct ClusterOptions: ParsableArguments {
    @Option(help: "A context of the kubeconfig; KARS_KUBE_CONTEXT says the same.") var context: String?
    @Option(help: "A kubeconfig file; KUBECONFIG says the same. Without either: the embedded cluster, else ~/.kube/config.")
    var kubeconfig: String?
    @Option(
        name: [.customShort("n"), .customLong("namespace")],
        help: ArgumentHelp("Namespace of the objects; kars-system, for repairs kars-sre.", valueName: "namespace"))
    var givenNamespace: String?

    var namespace: String { givenNamespace ?? ClusterConnection.defaultNamespace }

    /// Whether the person named a cluster, which leaves nothing to look for.
    var namesCluster: Bool { context != nil || kubeconfig != nil }

    /// The cluster that is named, found or running. Sends nothing yet.
    ///
    /// - Parameter namespace: where to work when nobody says otherwise.
    func connect(defaultNamespace namespace: String = ClusterConnection.defaultNamespace) throws -> ClusterConnection {
        let environment = EnvironmentReader.ofProcess().values
        let choice = try ClusterChoice.decide(surroundings(environment))
        let client = KubernetesClient(
            try choice.clientConfig(), group: try EventLoopGroup(), plugins: CredentialPluginProcess(),
            onWarning: { Terminal.note("warning: \(Terminal.safeLine($0))") })
        return ClusterConnection(api: client, client: client, namespace: givenNamespace ?? namespace, label: choice.label)
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
