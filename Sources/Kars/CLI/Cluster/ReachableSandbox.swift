import KarsCore

/// A sandbox wherever it runs, as far as chat, `exec` and the operator plane need one.
protocol ReachableSandbox: Sendable {
    var name: String { get }
    /// A connected socket to a port of the pod; the caller owns it.
    func dial(port: UInt16) async throws -> CInt
    /// Runs a command as the agent, on this process's streams; returns its exit code.
    func exec(_ command: [String]) async throws -> Int32
    /// By what its router is known and knows us.
    func operatorAccess() async throws -> OperatorAccess
}

/// Which sandbox a name means: one that `kars dev` made directly on this machine, or a KarsSandbox of the cluster.
enum NamedSandbox: Sendable {
    case direct(LocalSandbox)
    case inCluster(ClusterSandbox)

    static func find(_ name: String, _ options: NamespacedOptions) async throws -> NamedSandbox {
        guard KarsSandbox.fault(inName: name) == nil else { throw CommandFailure.noSandbox(name) }
        if !options.namesCluster {
            let directory = try KarsHome.open().sandbox(name)
            if directory.exists { return .direct(LocalSandbox(directory)) }
        }
        return .inCluster(try await inCluster(name, options))
    }

    static func inCluster(
        _ name: String, _ options: NamespacedOptions, _ environment: [String: String] = EnvironmentReader.ofProcess().values
    ) async throws -> ClusterSandbox {
        let cluster: ClusterConnection
        do { cluster = try options.connect(environment: environment) } catch let failure as CommandFailure
            where !options.namesCluster
        {
            // Nowhere to look is no reason to hide what was looked for.
            throw CommandFailure(
                .notFound, "there is no sandbox named '\(name)' on this machine; \(failure.message)", advice: failure.advice)
        }
        return try await ClusterSandbox.existing(name, in: cluster)
    }

    var reachable: any ReachableSandbox {
        switch self {
        case .direct(let sandbox): sandbox
        case .inCluster(let sandbox): sandbox
        }
    }
}

extension LocalSandbox: ReachableSandbox {
    func operatorAccess() async throws -> OperatorAccess {
        guard try isRunning else { throw CommandFailure.notRunning(name) }
        return try OperatorIdentity.load(from: directory).access
    }
}
