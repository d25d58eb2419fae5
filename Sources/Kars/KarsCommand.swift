import ArgumentParser
import KarsCore

/// The single executable: `argv[1]` picks the role or the operator command.
@main
struct KarsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kars",
        abstract: "Runs AI agents in hardened sandboxes: no credential in the agent, every call governed and recorded.",
        discussion: """
            Exit codes: 0 ok, 1 failed, 2 usage or missing prerequisite, 3 not found, 4 refused by policy.

            Examples:
              kars dev
              kars connect dev-agent --prompt "list the files in my workspace"
              kars audit tail dev-agent
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "Lifecycle",
                subcommands: [DevCommand.self, AddCommand.self, ListCommand.self, DestroyCommand.self, LocalCommand.self]),
            CommandGroup(
                name: "Operations",
                subcommands: [
                    ConnectCommand.self, ExecCommand.self, StatusCommand.self, LogsCommand.self, InspectCommand.self,
                    SRECommand.self,
                ]),
            CommandGroup(
                name: "Configuration",
                subcommands: [
                    EgressCommand.self, PolicyCommand.self, ModelCommand.self, CredentialsCommand.self, ConfigCommand.self,
                    CompletionsCommand.self,
                ]),
            CommandGroup(
                name: "Governance",
                subcommands: [
                    PolicyVerbs<ToolPolicyFlags>.self, PolicyVerbs<InferencePolicyFlags>.self, PolicyVerbs<McpServerFlags>.self,
                    PolicyVerbs<KarsMemoryFlags>.self, PolicyVerbs<A2AAgentFlags>.self,
                ]),
            CommandGroup(name: "Evidence", subcommands: [AuditCommand.self, EvalCommand.self]),
            CommandGroup(name: "Cluster", subcommands: [InstallCommand.self, UninstallCommand.self, ManifestsCommand.self]),
            CommandGroup(
                name: "Roles",
                subcommands: [
                    ControllerCommand.self, RouterCommand.self, EgressGuardCommand.self, AgentCommand.self,
                    SeccompInstallerCommand.self, PlaceCommand.self, EvalRunnerCommand.self,
                ]),
        ])

    /// Stages of the pod runner come first: they fork and change namespaces, which needs a process of one thread.
    static func main() async {
        HiddenStage.runIfAsked(CommandLine.arguments)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: report(error))
        }
    }

    /// Says what went wrong on standard error, or the help that was asked for on standard output.
    static func report(_ error: any Error) -> ExitCode {
        switch error {
        case let code as ExitCode: return code
        case let failure as CommandFailure:
            Terminal.note("error: \(failure)")
            return failure.status.exitCode
        case let problems as EnvironmentError:
            Terminal.note("error: \(problems)")
            return ExitStatus.usage.exitCode
        default:
            let code = exitCode(for: error)
            if code.isSuccess {
                Terminal.printLine(fullMessage(for: error))
                return code
            }
            if code == .validationFailure {
                Terminal.note(fullMessage(for: error))
                return ExitStatus.usage.exitCode
            }
            Terminal.note("error: \(error)")
            return code
        }
    }
}
