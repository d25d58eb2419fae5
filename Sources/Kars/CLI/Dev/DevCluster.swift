import KarsCore

/// The embedded cluster as `kars dev` needs it: it serves, kars is installed, and its controller leads.
struct DevCluster {
    let home: KarsHome

    /// Starts it unless it runs.
    func start() async throws -> ClusterConnection {
        let problems = LocalPrerequisites.check()
        guard problems.isEmpty else {
            throw CommandFailure(
                .usage, "this machine cannot run sandboxes yet:\n" + problems.map { "  \($0)" }.joined(separator: "\n"))
        }
        let directory = ClusterDirectory.of(home), isNew: Bool
        do { isNew = try ClusterProcess(directory: directory).start(hasController: true).isNew } catch {
            throw CommandFailure(.failed, "the embedded cluster did not start: \(error)")
        }
        let choice = ClusterChoice(paths: [directory.kubeconfigPath], context: nil, label: "the embedded cluster")
        let client = try ClusterOptions.client(choice)
        let connection = ClusterConnection(api: client, client: client, label: choice.label)
        try await ControllerWait(cluster: connection).wait(within: .seconds(isNew ? 60 : 15))
        return connection
    }
}
