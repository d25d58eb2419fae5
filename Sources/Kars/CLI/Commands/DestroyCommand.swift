import ArgumentParser
import KarsCore

struct DestroyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy", abstract: "Stop a sandbox and remove all it held: workspace, logs, evidence.",
        discussion: """
            The KarsSandbox and the policies that were made for it alone are deleted; the controller removes the namespace with
            everything in it. The command returns when that is done, unless --no-wait.

            Examples:
              kars destroy dev-agent
              kars destroy dev-agent --yes
              kars destroy research --context prod --yes --no-wait
            """)

    @Argument(help: "The sandbox.") var name: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @Flag(help: "Do not wait until nothing of it is left in the cluster.") var noWait = false
    @OptionGroup var cluster: NamespacedOptions

    func run() async throws {
        let sandbox = try await ClusterSandbox.named(name, cluster)
        if !yes { try Consent.ask("Remove '\(name)' with its workspace and evidence?", flag: "--yes") }
        let removal = SandboxRemoval(cluster: sandbox.cluster, name: name, namespace: sandbox.namespace)
        try await removal.delete()
        if !noWait { try await removal.waitUntilGone(within: .seconds(120)) }
        try forgetEvidence(of: sandbox)
        Terminal.note("destroyed \(name)")
    }

    /// What `kars audit` copied here.
    private func forgetEvidence(of sandbox: ClusterSandbox) throws {
        let path = try KarsHome.open().evidencePath(of: sandbox)
        do { try Files.remove(path) } catch { throw CommandFailure(.failed, "the copy of its evidence stays: \(error)") }
    }
}

/// The end of a KarsSandbox, and of the policies that were made with it.
struct SandboxRemoval: Sendable {
    let cluster: ClusterConnection
    let name: String
    /// Where the controller put it.
    let namespace: String

    func delete() async throws {
        guard try await cluster.delete(KarsSandbox.self, name) else { throw cluster.missing(KarsSandbox.self, name) }
        try await deleteOwn(InferencePolicy.self, SandboxBundle.inferencePolicy(of: name))
        try await deleteOwn(ToolPolicy.self, SandboxBundle.toolPolicy(of: name))
    }

    /// Only what carries this sandbox's label: a policy of that name that somebody else made stays.
    private func deleteOwn<Kind: KarsResource>(_ type: Kind.Type, _ policy: String) async throws {
        guard let object = try await cluster.find(type, policy), object.labels[SandboxBundle.label] == name else { return }
        _ = try await cluster.delete(type, policy)
    }

    func waitUntilGone(within limit: Duration) async throws {
        let end = Instant.now().advanced(by: limit)
        while try await isThere() {
            guard Instant.now() < end else {
                throw CommandFailure(
                    .failed, "'\(name)' is not gone after \(limit.components.seconds) s",
                    advice: "Does the controller run? It removes namespace \(namespace) and then the sandbox.")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    private func isThere() async throws -> Bool {
        if try await cluster.find(KarsSandbox.self, name) != nil { return true }
        return try await cluster.ask("looking for what is left of '\(name)'") { api in
            guard let left = try await api.objectIfPresent(.get(.namespaces, name: namespace)) else { return false }
            return left.labels[SandboxBundle.label] == name
        }
    }
}
