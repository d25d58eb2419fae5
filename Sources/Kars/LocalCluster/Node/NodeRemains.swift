import KarsCore

/// What a node leaves on this machine when its process ends: supervisors with what they run, which outlive a process that is
/// killed, and files of volumes in memory.
struct NodeRemains: Sendable {
    /// The node's own.
    let directory: String
    var executable = HiddenStage.executable()

    /// How long containers may take; `kars local stop` waits longer.
    private static let podGrace = Duration.seconds(5)

    /// Ends every pod, all at the same time, and removes what lies in memory. Their directories stay for the next start. Tries
    /// everything, then throws what failed first. The caller has claimed the cluster's directory.
    ///
    /// - Returns: how many pods were running.
    @discardableResult
    func end() async throws -> Int {
        let pods = try Files.entries(of: "\(directory)/pods")
        let ends = await withTaskGroup(of: Result<Bool, any Error>.self) { tasks in
            for pod in pods {
                tasks.addTask {
                    let pod = LocalPod(directory: "\(directory)/pods/\(pod)", executable: executable)
                    do { return .success(try await pod.stop(grace: Self.podGrace)) } catch { return .failure(error) }
                }
            }
            return await tasks.reduce(into: []) { $0.append($1) }
        }
        var ended = 0
        for end in ends where try end.get() { ended += 1 }
        // Containers have it mounted while they run.
        let memory = PodDirectory(path: NodeMemory.path(for: directory), executable: executable)
        try await LocalPod.blocking { try memory.remove() }
        return ended
    }
}
