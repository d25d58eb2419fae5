import ArgumentParser
import KarsCore

/// Which cluster a command is about, said as other tools of Kubernetes take it.
struct ClusterOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The kubeconfig; by default the files in KUBECONFIG, else ~/.kube/config.", valueName: "file"))
    var kubeconfig: String?
    @Option(help: ArgumentHelp("The context in it; by default KARS_KUBE_CONTEXT, else the current one.", valueName: "name"))
    var context: String?

    /// Where the files say that the cluster is, and how to prove who we are.
    func config(environment: [String: String] = EnvironmentReader.ofProcess().values) throws(CommandFailure)
        -> KubernetesClientConfig
    {
        let reader = EnvironmentReader(values: environment)
        var paths = (reader.text("KUBECONFIG") ?? "").split(separator: ":").map(String.init)
        if let kubeconfig {
            guard Files.exists(kubeconfig) else { throw CommandFailure(.notFound, "there is no file \(kubeconfig)") }
            paths = [kubeconfig]
        } else if paths.isEmpty, let home = reader.text("HOME") {
            paths = ["\(home)/.kube/config"]
        }
        do throws(KubeConfigError) {
            return try KubeConfig.load(paths: paths).clientConfig(context: context ?? reader.text("KARS_KUBE_CONTEXT"))
        } catch {
            throw CommandFailure(
                .usage, "\(error)",
                advice: "Say --kubeconfig and --context; `kars local kubeconfig --path` is that of the local cluster.")
        }
    }

    /// Calls `body` with a client of the cluster. What the server has to say to people goes to standard error.
    func withClient<Value: Sendable>(_ body: (KubernetesClient) async throws -> Value) async throws -> Value {
        let config = try config()
        let group = try EventLoopGroup()
        let client = KubernetesClient(
            config, group: group, plugins: CredentialPluginProcess(),
            onWarning: { Terminal.note("warning: \(Terminal.safeLine($0))") })
        let result: Result<Value, any Error>
        do { result = .success(try await body(client)) } catch { result = .failure(error) }
        await client.close()
        do { return try result.get() } catch let status as APIStatus {
            throw CommandFailure(status, server: config.server)
        }
    }
}

extension CommandFailure {
    /// What an API server answered, with the exit code that fits it.
    init(_ status: APIStatus, server: HTTPURL) {
        let exit: ExitStatus =
            switch status.reason {
            case .notFound: .notFound
            case .forbidden where status.message.contains("ValidatingAdmissionPolicy"): .refusedByPolicy
            default: .failed
            }
        let place = status.code == 0 ? " (\(server.host):\(server.port))" : ""
        self.init(exit, Terminal.safe(status.message) + place)
    }
}
