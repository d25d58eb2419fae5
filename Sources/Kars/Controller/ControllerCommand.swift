import ArgumentParser
import KarsCore

/// `kars controller`: the operator. In a cluster all configuration is in the environment; outside, flags say which cluster.
struct ControllerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controller",
        abstract: "Run the operator: make sandboxes of KarsSandbox objects.",
        discussion:
            "In a pod it uses the pod's service account, elsewhere a kubeconfig. Environment variables: docs/controller.md.")

    @Option(help: "A kubeconfig; without it the service account of the pod, else KUBECONFIG.")
    var kubeconfig: String?

    @Option(help: "The context of the kubeconfig; its current one by default.")
    var context: String?

    @Option(help: "The namespace of the controller's own objects, instead of POD_NAMESPACE.")
    var namespace: String?

    /// Descriptor of a socket whose other end the starting process holds: the controller ends with it.
    @Option(help: .hidden)
    var lifeline: Int32?

    func run() async throws {
        SignalWaiter.ignoreBrokenPipes()
        let environment = EnvironmentReader.ofProcess()
        let config: ControllerConfig
        do {
            config = try ControllerConfig(reading: environment, namespace: namespace)
        } catch {
            Log(level: .info).error("controller.misconfigured", ["problems": .strings(error.problems)])
            throw ExitStatus.usage.exitCode
        }
        let log = Log(level: config.logLevel)
        do {
            let signals = try SignalWaiter()
            let cluster = try ClusterAccess.config(kubeconfig: kubeconfig, context: context, environment: environment)
            let controller = try Controller(config: config, cluster: cluster.config, isInCluster: cluster.isInCluster, log: log)
            let lifeline = lifeline
            try await controller.run { loop in
                await withTaskGroup { group in
                    group.addTask { _ = await signals.next() }
                    if let lifeline { group.addTask { await Self.untilClosed(lifeline, on: loop) } }
                    await group.next()
                    group.cancelAll()
                }
            }
        } catch {
            log.error("controller.failed", ["error": .error(error)])
            throw ExitStatus.failed.exitCode
        }
    }
}

extension ControllerCommand {
    private static func untilClosed(_ descriptor: Int32, on loop: EventLoop) async {
        do {
            let stream = try await ByteStream.adopt(descriptor, on: loop)
            // Nothing is ever sent on it: whatever comes is the end.
            _ = try await stream.read()
        } catch {
            // A lifeline that cannot be held is cut.
        }
    }
}

/// Which cluster a command works on, and as whom.
enum ClusterAccess {
    /// What is named, else the service account of the pod, else what `KUBECONFIG` or the home directory has.
    static func config(
        kubeconfig: String?, context: String?, environment: EnvironmentReader
    ) throws -> (config: KubernetesClientConfig, isInCluster: Bool) {
        if kubeconfig == nil, context == nil, let host = environment.text("KUBERNETES_SERVICE_HOST") {
            let port = environment.text("KUBERNETES_SERVICE_PORT", or: "443")
            return (try .inCluster(host: host, port: port), true)
        }
        let home = environment.text("HOME").map { $0 + "/.kube/config" }
        let named = kubeconfig.map { [$0] } ?? environment.text("KUBECONFIG")?.split(separator: ":").map(String.init)
        guard let paths = named ?? home.map({ [$0] }) else {
            throw CommandFailure(.usage, "there is no cluster: neither a service account, nor --kubeconfig, KUBECONFIG or HOME")
        }
        return (try KubeConfig.load(paths: paths).clientConfig(context: context), false)
    }
}
