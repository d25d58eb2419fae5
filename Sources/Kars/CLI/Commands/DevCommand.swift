import ArgumentParser
import KarsCore

struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Bring up a governed agent on this machine.",
        discussion: """
            With nothing configured, the agent talks to the built-in demo model, so that everything runs without a key and without a
            network. On a terminal it ends in a chat; otherwise three prompts show an allowed tool call, a refused connection and the
            verified record, and the agent is left running.

            Examples:
              kars dev
              kars dev --provider openai --endpoint http://127.0.0.1:11434/v1 --model llama3.2     # Ollama on this machine
              kars dev --provider openai --endpoint https://api.openai.com/v1 --model gpt-4.1 --api-key-file key.txt
              kars dev --runtime byo --command 'python3 /sandbox/agent.py' --detach
              kars dev --policy web --token-budget-daily 100000
              kars dev down
            """,
        subcommands: [Up.self, Down.self], defaultSubcommand: Up.self)

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "up", abstract: "Make the sandbox, or start it again (the default).")

        @Option(help: "Name of the sandbox.") var name = "dev-agent"
        @Option(help: "demo, openai (any OpenAI-compatible endpoint) or azure-openai.") var provider: ModelProvider?
        @Option(help: "Base URL of the model server, for instance http://127.0.0.1:11434/v1.") var endpoint: String?
        @Option(help: "Model or deployment.") var model: String?
        @Option(help: "File that holds the key of the model server; it is stored for the next time.") var apiKeyFile: String?
        @Option(help: "native (the built-in agent) or byo (your own command).") var runtime = SandboxRecord.Runtime.native
        @Option(help: "Command line of a byo agent, split at blanks, quotes respected.") var command: String?
        @Option(help: "minimal, developer, web or azure.") var policy = PolicyPreset.developer
        @Option(help: "Tokens per UTC day; 0 is no limit.") var tokenBudgetDaily = 0
        @Flag(help: "Bring it up and return.") var detach = false
        @Option(help: "Ask this, print the answer and return.") var prompt: String?

        func validate() throws {
            guard SandboxName.isValid(name) else {
                throw ValidationError(
                    "--name \(name): expected lower-case letters, digits and dashes, a letter first, at most \(SandboxName.maxLength)"
                )
            }
            guard tokenBudgetDaily >= 0 else {
                throw ValidationError("--token-budget-daily \(tokenBudgetDaily): expected 0 or more")
            }
            if runtime == .byo, command == nil { throw ValidationError("--runtime byo needs --command") }
            if runtime == .native, command != nil { throw ValidationError("--command goes with --runtime byo") }
            if provider == .demo, endpoint != nil {
                throw ValidationError("--endpoint goes with --provider openai or azure-openai")
            }
        }

        func run() async throws {
            let home = try KarsHome.open()
            var steps = Steps(total: 4)
            let record = try record(in: home)
            let launch = SandboxLaunch(home: home, record: record)
            try launch.checkPrerequisites()
            steps.done("this machine can run sandboxes")
            let key = try modelKey(for: record, in: home)
            steps.done(Self.describe(record))
            let sandbox = LocalSandbox(home.sandbox(name))
            if try sandbox.isRunning {
                steps.done("sandbox '\(name)' is already running")
            } else {
                try await launch.start(modelKey: key)
                steps.done("sandbox '\(name)' is running")
            }
            try await launch.waitUntilReady(within: .seconds(60))
            steps.done("router and agent are ready")
            if let prompt {
                try await ChatView().show(prompt, in: AgentChat(to: sandbox))
            } else if detach {
                Terminal.note("kars connect \(name) talks to it; kars destroy \(name) removes it.")
            } else if Terminal.isInteractive {
                try await ConnectCommand.converse(with: AgentChat(to: sandbox), name: name)
            } else {
                try await Tour(sandbox: sandbox).run()
            }
        }

        /// The sandbox as it exists, or as the flags and the configuration describe a new one.
        private func record(in home: KarsHome) throws -> SandboxRecord {
            let directory = home.sandbox(name)
            if directory.exists {
                let existing = try SandboxRecord.load(from: directory)
                let wanted = changes(against: existing)
                guard wanted.isEmpty else {
                    throw CommandFailure(
                        .usage, "sandbox '\(name)' exists with another \(wanted.joined(separator: ", "))",
                        advice: "`kars destroy \(name)` removes it first; another --name makes a second one.")
                }
                return existing
            }
            var config = try CLIConfig.load(from: home)
            if let provider {
                if provider != config.provider {
                    config = CLIConfig(provider: provider, endpoint: nil, model: provider.defaultModel)
                }
            }
            if let endpoint { config.endpoint = endpoint }
            if let model { config.model = model }
            if config.provider != .demo {
                guard let endpoint = config.endpoint else {
                    throw CommandFailure(.usage, "provider \(config.provider.rawValue) needs --endpoint URL")
                }
                do { _ = try HTTPURL(parsing: endpoint) } catch {
                    throw CommandFailure(
                        .usage, "--endpoint \(endpoint): \(error)", advice: "Expected for instance http://127.0.0.1:11434/v1.")
                }
            }
            if provider != nil { try config.save(to: home) }
            return SandboxRecord(
                name: name, runtime: runtime, command: try command.map(CommandLineWords.split) ?? [], provider: config.provider,
                endpoint: config.endpoint, model: config.model, policy: policy.rawValue, dailyTokenBudget: tokenBudgetDaily,
                createdAt: .now())
        }

        /// What was asked for by a flag and differs from what exists.
        private func changes(against existing: SandboxRecord) -> [String] {
            var names: [String] = []
            if let provider, provider != existing.provider { names.append("provider") }
            if let endpoint, endpoint != existing.endpoint { names.append("endpoint") }
            if let model, model != existing.model { names.append("model") }
            if runtime != .native, runtime != existing.runtime { names.append("runtime") }
            if policy != .developer, policy.rawValue != existing.policy { names.append("policy") }
            if tokenBudgetDaily != 0, tokenBudgetDaily != existing.dailyTokenBudget { names.append("token budget") }
            return names
        }

        /// The key of the model server: from the file, which is then remembered, or from the secret store.
        private func modelKey(for record: SandboxRecord, in home: KarsHome) throws -> Secret<String>? {
            guard let name = record.provider.secretKey else { return nil }
            let store = try SecretStore.ofUser(in: home)
            if let apiKeyFile {
                let key = try SecretInput.read(file: apiKeyFile)
                try store.set(name, to: key)
                return key
            }
            return try SecretName.resolve(name, given: nil, in: store, environment: EnvironmentReader.ofProcess().values)
        }

        private static func describe(_ record: SandboxRecord) -> String {
            switch record.provider {
            case .demo: "model: the built-in demo (no network, no key)"
            case .openAI, .azureOpenAI: "model: \(record.model) at \(record.endpoint ?? "-")"
            }
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "down", abstract: "Stop the sandbox and keep what it holds; `kars dev` starts it again.")

        @Option(help: "Name of the sandbox.") var name = "dev-agent"

        func run() async throws {
            let sandbox = try LocalSandbox.existing(name)
            try await sandbox.stop()
            Terminal.note("stopped \(name)")
        }
    }
}

extension ModelProvider: ExpressibleByArgument {}
extension SandboxRecord.Runtime: ExpressibleByArgument {}
extension PolicyPreset: ExpressibleByArgument {}

/// What `kars dev` shows when nobody is there to type: a tool call, a refusal and the proof.
private struct Tour {
    let sandbox: LocalSandbox

    func run() async throws {
        let chat = try AgentChat(to: sandbox)
        for prompt in [
            "write hello to hello.txt", "list the files in my workspace", "fetch https://example.com/",
        ] {
            Terminal.printLine("\n> \(prompt)")
            try await ChatView().show(prompt, in: chat)
        }
        Terminal.printLine("\n$ kars audit verify \(sandbox.name)")
        try await AuditVerifyCommand.parse([sandbox.name]).run()
        Terminal.printLine("\nThe agent is still running: kars connect \(sandbox.name)")
    }
}

/// Splits a command line into words: blanks separate, single and double quotes and backslashes protect, nothing is expanded.
enum CommandLineWords {
    static func split(_ line: String) throws(CommandFailure) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in line {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let finished = word { words.append(finished) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil, !isEscaped else { throw CommandFailure(.usage, "--command: a quote or backslash is left open") }
        if let finished = word { words.append(finished) }
        guard !words.isEmpty else { throw CommandFailure(.usage, "--command is empty") }
        return words
    }
}
