import ArgumentParser
import KarsCore

struct DestroyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "destroy", abstract: "Stop a sandbox and remove all it held: workspace, logs, evidence.",
        discussion: """
            Examples:
              kars destroy dev-agent
              kars destroy dev-agent --yes
            """)

    @Argument(help: "The sandbox.") var name: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false

    func run() async throws {
        let directory = try KarsHome.open().existingSandbox(name)
        if !yes {
            guard Terminal.isInteractive else {
                throw CommandFailure(
                    .usage, "destroying '\(name)' removes its workspace and evidence",
                    advice: "Add --yes when no one can be asked.")
            }
            Terminal.notePart("Remove '\(name)' with its workspace and evidence? [y/N] ")
            guard readLine()?.lowercased().hasPrefix("y") == true else { throw CommandFailure(.failed, "nothing was removed") }
        }
        try await LocalSandbox(directory).stop()
        try await LocalSandbox(directory).remove()
        Terminal.note("destroyed \(name)")
    }
}
