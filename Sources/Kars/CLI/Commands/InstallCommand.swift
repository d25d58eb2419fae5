import ArgumentParser
import KarsCore

/// `kars install`: kars into a cluster, without Helm.
struct InstallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Install kars into a cluster, or bring an installation to this version.",
        discussion: """
            Server-side apply, in an order in which each object finds what it needs. Installing again changes what differs and nothing
            else; policies that you changed stay yours.

            Examples:
              kars install --image registry.example/kars:0.1.0
              kars install --context production --dry-run
              kars install --home team-a
            """)

    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var options: ManifestOptions
    @OptionGroup var output: OutputOptions
    @Option(help: ArgumentHelp("A further namespace in which sandboxes may be declared.", valueName: "namespace"))
    var home: [String] = []
    @Flag(help: "Without the controller's Deployment: it runs elsewhere.") var withoutController = false
    @Flag(help: "Let the server check everything and keep nothing.") var dryRun = false

    func run() async throws {
        let config = options.config
        var groups: [(title: String, manifests: [Manifest])] = [("namespace", [ControllerManifests.namespace(config)])]
        for part in options.parts {
            var manifests = KarsManifests.part(part, config)
            if withoutController { manifests.removeAll { $0.resource == .deployments } }
            groups.append((part.rawValue, manifests))
        }
        if !home.isEmpty { groups.append(("homes", home.map { AccessManifests.home($0, config) })) }
        let isDryRun = dryRun
        let results = try await cluster.withClient { [groups] client in
            let installer = ClusterInstaller(api: client, time: client.time, isDryRun: isDryRun)
            var steps = Steps(total: groups.count)
            var results: [ClusterInstaller.Result] = []
            for group in groups {
                let done = try await installer.install(group.manifests, with: groups.flatMap(\.manifests))
                results += done
                steps.done("\(group.title): \(InstallReport.summary(done))")
            }
            return results
        }
        output.print(InstallReport.json(results)) { InstallReport.text(results, isDryRun: isDryRun) }
    }
}

/// `kars uninstall`: what `kars install` put into a cluster, out of it.
struct UninstallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "uninstall", abstract: "Remove kars from a cluster; what was declared stays.",
        discussion: """
            The definitions, the namespace and everything declared with them stay, so that installing again continues where it was. With
            --crds all of it goes: every sandbox of the cluster is ended first.

            Examples:
              kars uninstall
              kars uninstall --crds --yes
            """)

    @OptionGroup var cluster: ClusterOptions
    @OptionGroup var options: ManifestOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "Also the definitions, and with them every object of their kinds.") var crds = false
    @Flag(help: "Do not ask.") var yes = false
    @Flag(help: "Let the server check everything and change nothing.") var dryRun = false

    func run() async throws {
        if crds, !dryRun { try confirm() }
        // Also what an installation with other flags had.
        let manifests = KarsManifests.all(ManifestPart.allCases, options.config).filter { manifest in
            crds || !(manifest.isSeed || [.customResourceDefinitions, .namespaces].contains(manifest.resource))
        }
        let isDryRun = dryRun
        let results = try await cluster.withClient { client in
            try await ClusterInstaller(api: client, time: client.time, isDryRun: isDryRun).uninstall(manifests)
        }
        output.print(InstallReport.json(results)) { InstallReport.text(results, isDryRun: isDryRun) }
    }

    private func confirm() throws {
        guard !yes else { return }
        guard Terminal.isInteractive else {
            throw CommandFailure(
                .usage, "this ends every sandbox of the cluster and deletes what was declared", advice: "Say --yes.")
        }
        Terminal.notePart("Delete every sandbox and policy of the cluster? [y/N] ")
        guard readLine()?.lowercased() == "y" else { throw ExitStatus.failed.exitCode }
    }
}

/// What an installation did, for people and programs.
enum InstallReport {
    static func summary(_ results: [ClusterInstaller.Result]) -> String {
        ClusterInstaller.Outcome.allCases.compactMap { outcome in
            let count = results.filter { $0.outcome == outcome }.count
            return count == 0 ? nil : "\(count) \(outcome.rawValue)"
        }.joined(separator: ", ")
    }

    /// What is worth a line: not what was as it is.
    static func text(_ results: [ClusterInstaller.Result], isDryRun: Bool) -> String {
        let lines = results.filter { ![.unchanged, .absent].contains($0.outcome) }.map {
            "\($0.manifest.title) \($0.outcome.rawValue)\(isDryRun ? " (dry run)" : "")"
        }
        return lines.isEmpty ? "nothing to do" : lines.joined(separator: "\n")
    }

    static func json(_ results: [ClusterInstaller.Result]) -> JSON {
        .array(
            results.map { result in
                let object = result.manifest.object
                return [
                    "kind": object["kind"] ?? .null, "namespace": object.namespace.map(JSON.string) ?? .null,
                    "name": .string(object.name), "outcome": .string(result.outcome.rawValue),
                ]
            })
    }
}
