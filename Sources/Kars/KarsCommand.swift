import ArgumentParser

/// The single executable: `argv[1]` picks the role or the operator command.
@main
struct KarsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kars",
        abstract: "Runs AI agents in hardened sandboxes: no credential in the agent, every call governed and recorded.",
        subcommands: [
            AgentCommand.self,
            AuditCommand.self,
            EgressGuardCommand.self,
        ])
}
