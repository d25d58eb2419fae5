import ArgumentParser
import KarsCore

struct ExecCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run a command in the agent's container, as the agent.",
        discussion: """
            Exits with the command's own exit code.

            Examples:
              kars exec dev-agent -- id -u
              kars exec dev-agent -- sh
              kars exec dev-agent --context prod -- cat /sandbox/notes.txt
            """)

    @Argument(help: "The sandbox.") var name: String
    @OptionGroup var cluster: NamespacedOptions
    @Argument(parsing: .postTerminator, help: ArgumentHelp("The command, after --.", valueName: "command")) var command: [String]

    func validate() throws {
        guard !command.isEmpty else {
            throw ValidationError("give the command after --, for instance: kars exec \(name) -- id -u")
        }
    }

    func run() async throws {
        throw ExitCode(try await ClusterSandbox.named(name, cluster).exec(command))
    }
}
