import ArgumentParser
import KarsCore

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Show and change the defaults of `kars dev`.",
        discussion: """
            Examples:
              kars config show
              kars config model gpt-4.1
              kars config reset
            """,
        subcommands: [Show.self, Model.self, Reset.self], defaultSubcommand: Show.self)

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Provider, endpoint and model that `kars dev` uses.")
        @OptionGroup var output: OutputOptions

        func run() throws {
            let home = try KarsHome.open()
            let config = try CLIConfig.load(from: home)
            output.print(config.json) {
                """
                provider  \(config.provider.rawValue)
                endpoint  \(config.endpoint ?? "-")
                model     \(config.model)
                file      \(home.configPath)
                """
            }
        }
    }

    struct Model: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the default model, or set it.")
        @Argument(help: "The model or deployment to use from now on.") var model: String?
        @OptionGroup var output: OutputOptions

        func run() throws {
            let home = try KarsHome.open()
            var config = try CLIConfig.load(from: home)
            if let model {
                guard !model.isEmpty, model.utf8.count <= 256, model.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                    throw CommandFailure(.usage, "'\(model)': expected a model name without spaces, for instance gpt-4.1")
                }
                config.model = model
                try config.save(to: home)
            }
            output.print(["model": .string(config.model)]) { config.model }
        }
    }

    struct Reset: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forget the defaults; with --credentials the secrets too.")
        @Flag(help: "Remove the stored secrets as well.") var credentials = false

        func run() throws {
            let home = try KarsHome.open()
            do {
                try Files.remove(home.configPath)
                if credentials { try Files.remove(home.secretsPath) }
            } catch {
                throw CommandFailure(.failed, "cannot reset: \(error)")
            }
            Terminal.note(credentials ? "configuration and secrets removed" : "configuration removed")
        }
    }
}
