import KarsCore

/// Which cluster a command talks to, decided from what the person said and from what there is on this machine (spec/cli 1.1).
///
/// Said counts before found: flags, then the environment, then the embedded cluster that runs, then the current context of
/// `~/.kube/config`. Nothing is ever guessed: a kubeconfig without a current context names no cluster.
struct ClusterChoice: Equatable, Sendable {
    /// Kubeconfig files; in those that exist, whoever says something first is right.
    var paths: [String]
    /// Nil: the current one.
    var context: String?
    /// For messages.
    var label: String

    /// What flags and environment say, and what there is.
    struct Surroundings {
        /// `--kubeconfig` and `--context`.
        var kubeconfig: String?
        var context: String?
        var environment: [String: String] = [:]
        /// Of the embedded cluster, when it runs.
        var embedded: String?
        /// Whether an embedded cluster was ever started here.
        var hasStoppedCluster = false
        /// `~/.kube/config`, when there is one.
        var userFile: String?

        fileprivate func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    }

    static func decide(_ given: Surroundings) throws(CommandFailure) -> ClusterChoice {
        if let file = given.kubeconfig {
            return ClusterChoice(paths: [file], context: given.context, label: label(given.context, in: file))
        }
        let files = given.variable("KUBECONFIG").map { $0.split(separator: ":").map(String.init) }
        if let context = given.context ?? given.variable("KARS_KUBE_CONTEXT") {
            // The embedded cluster's own file first: what it says of its context is true now.
            let paths = (given.embedded.map { [$0] } ?? []) + (files ?? given.userFile.map { [$0] } ?? [])
            guard !paths.isEmpty else {
                throw CommandFailure(
                    .usage, "context '\(context)' is wanted, and there is no kubeconfig that could hold it",
                    advice:
                        "Name the file with --kubeconfig FILE or KUBECONFIG; the embedded cluster is started by `kars local start`."
                )
            }
            return ClusterChoice(paths: paths, context: context, label: "context \(context)")
        }
        if let files { return ClusterChoice(paths: files, context: nil, label: label(nil, in: files.joined(separator: ":"))) }
        if let embedded = given.embedded {
            return ClusterChoice(paths: [embedded], context: nil, label: "the embedded cluster")
        }
        if let file = given.userFile { return ClusterChoice(paths: [file], context: nil, label: label(nil, in: file)) }
        let start = "`kars local start --with-controller` starts a cluster on this machine"
        throw CommandFailure(
            .usage,
            given.hasStoppedCluster ? "the embedded cluster is not running, and no other is named" : "no cluster is named",
            advice: "\(start); --context or --kubeconfig names another one.")
    }

    private static func label(_ context: String?, in file: String) -> String {
        context.map { "context \($0) of \(file)" } ?? "the current context of \(file)"
    }

    /// The client's configuration. Blocking: reads files.
    func clientConfig() throws(CommandFailure) -> KubernetesClientConfig {
        do throws(KubeConfigError) {
            var config = try KubeConfig.load(paths: paths).clientConfig(context: context)
            config.userAgent = ClusterConnection.fieldManager
            return config
        } catch {
            throw CommandFailure(
                .usage, "\(error)",
                advice: "--context and --kubeconfig, or KARS_KUBE_CONTEXT and KUBECONFIG, name another cluster.")
        }
    }
}
