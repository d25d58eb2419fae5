import ArgumentParser
import KarsCore

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "How a sandbox is: containers, model, budget, policy, evidence.",
        discussion: """
            Examples:
              kars status dev-agent
              kars status dev-agent --output json
              kars status research --context prod
            """)

    @Argument(help: "The sandbox.") var name: String
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        output.print(try await SandboxDescription.gather(ClusterSandbox.named(name, cluster)).report())
    }
}
