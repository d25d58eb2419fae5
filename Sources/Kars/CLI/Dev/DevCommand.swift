import ArgumentParser
import KarsCore

struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Bring up a governed agent on this machine.",
        discussion: """
            Starts the embedded cluster with its controller where it does not run, and makes a KarsSandbox in it with the policies that it
            refers to; a manifest that works here works in production. With nothing configured, the agent talks to the built-in demo
            model, so that everything runs without a key and without a network. On a terminal it ends in a chat; otherwise three prompts
            show an allowed tool call, a refused connection and the verified record, and the agent is left running.

            Examples:
              kars dev
              kars dev --provider openai --endpoint http://127.0.0.1:11434/v1 --model llama3.2     # Ollama on this machine
              kars dev --provider openai --endpoint https://api.openai.com/v1 --model gpt-4.1 --api-key-file key.txt
              kars dev --runtime byo --command 'python3 /sandbox/agent.py' --detach
              kars dev --policy web --token-budget-daily 100000
              kars dev --target local-k8s --context kind-kars      # in a cluster where `kars install` was done
              kars dev down
            """,
        subcommands: [Up.self, Down.self], defaultSubcommand: Up.self)

    struct Up: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "up", abstract: "Make the sandbox, or start it again (the default).")

        @Option(help: "Name of the sandbox.") var name = "dev-agent"
        @Option(help: "process (the embedded cluster) or local-k8s (the one that --context or --kubeconfig names).")
        var target = DevTarget.process
        @Option(help: "demo, openai (any OpenAI-compatible endpoint) or azure-openai.") var provider: ModelProvider?
        @Option(help: "Base URL of the model server, for instance http://127.0.0.1:11434/v1; for every sandbox of that provider.")
        var endpoint: String?
        @Option(help: "Model or deployment.") var model: String?
        @Option(help: "File that holds the key of the model server; it is stored for the next time.") var apiKeyFile: String?
        @Option(help: "native (the built-in agent) or byo (your own command).") var runtime = DevRuntime.native
        @Option(help: "Command line of a byo agent, split at blanks, quotes respected.") var command: String?
        @Option(help: "minimal, developer, web or azure.") var policy = PolicyPreset.developer
        @Option(help: "Tokens per UTC day; 0 is no limit.") var tokenBudgetDaily = 0
        @Flag(help: "Bring it up and return.") var detach = false
        @Option(help: "Ask this, print the answer and return.") var prompt: String?
        @OptionGroup var cluster: NamespacedOptions

        func validate() throws {
            if let fault = KarsSandbox.fault(inName: name) { throw ValidationError("--name \(name): \(fault.reason)") }
            guard tokenBudgetDaily >= 0 else {
                throw ValidationError("--token-budget-daily \(tokenBudgetDaily): expected 0 or more")
            }
            if runtime == .byo, command == nil { throw ValidationError("--runtime byo needs --command") }
            if runtime == .native, command != nil { throw ValidationError("--command goes with --runtime byo") }
            if provider == .demo, endpoint != nil {
                throw ValidationError("--endpoint goes with --provider openai or azure-openai")
            }
            if target == .process, cluster.namesCluster {
                throw ValidationError("--context and --kubeconfig go with --target local-k8s")
            }
            if target == .localK8s, runtime == .byo {
                throw ValidationError(
                    "--command runs programs of this machine, which another cluster does not have; see `kars add --byo-image`")
            }
        }

        func run() async throws {
            let home = try KarsHome.open()
            let source = try ModelSource.chosen(provider: provider, endpoint: endpoint, model: model, in: home)
            var steps = Steps(total: 4)
            let connection = try await connect(home)
            steps.done("\(connection.label) runs kars")
            try await source.offer(in: connection, of: target == .process ? ClusterDirectory.of(home) : nil)
            steps.done(source.description)
            let sandbox = DevSandbox(name: name, cluster: connection)
            let isNew = try await sandbox.ensure(try wish(source), modelKey: try modelKey(source, in: home))
            steps.done(isNew ? "applied sandbox '\(name)' and its policies" : "sandbox '\(name)' is there already")
            let running = try await sandbox.waitUntilItAnswers(within: .seconds(60))
            steps.done("sandbox '\(name)' is running: router and agent are ready")
            if let prompt {
                try await ChatView().show(prompt, in: AgentChat(to: running))
            } else if detach {
                Terminal.note("kars connect \(name) talks to it; kars destroy \(name) removes it.")
            } else if Terminal.isInteractive {
                try await ConnectCommand.converse(with: AgentChat(to: running), name: name)
            } else {
                try await DevTour(sandbox: running).run()
            }
        }

        private func connect(_ home: KarsHome) async throws -> ClusterConnection {
            switch target {
            case .process: return try await DevCluster(home: home).start()
            case .localK8s:
                let connection = try cluster.connect()
                try await ControllerWait(cluster: connection).wait(within: .seconds(10))
                return connection
            }
        }

        private func wish(_ source: ModelSource) throws -> SandboxBundle.Wish {
            var wish = SandboxBundle.Wish(name: name, namespace: cluster.namespace, model: source.model)
            wish.provider = source.provider.resource
            wish.preset = policy
            wish.dailyTokens = tokenBudgetDaily
            wish.isForDevelopment = true
            switch runtime {
            case .native: wish.runtime.kind = .native
            case .byo:
                var block = KarsSandbox.BringYourOwn()
                block.image = "\(SandboxImages.host):local"
                block.command = try command.map(CommandLineWords.split) ?? []
                (wish.runtime.kind, wish.runtime.byo) = (.byo, block)
            }
            return wish
        }

        /// The key of the model server: from the file, which is then remembered, or from the secret store.
        private func modelKey(_ source: ModelSource, in home: KarsHome) throws -> Secret<String>? {
            guard let name = source.provider.secretKey else { return nil }
            let store = try SecretStore.ofUser(in: home)
            if let apiKeyFile {
                let key = try SecretInput.read(file: apiKeyFile)
                try store.set(name, to: key)
                return key
            }
            return try SecretName.resolve(name, given: nil, in: store, environment: EnvironmentReader.ofProcess().values)
        }
    }

    struct Down: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "down",
            abstract: "Stop the embedded cluster with its sandboxes and keep what they hold; `kars dev` starts them again.")

        func run() async throws { try await LocalCommand.stop() }
    }
}

/// Where `kars dev` makes its sandbox.
enum DevTarget: String, CaseIterable, ExpressibleByArgument {
    case process
    case localK8s = "local-k8s"
}

/// What runs in it: the built-in agent, or a command of this machine.
enum DevRuntime: String, CaseIterable, ExpressibleByArgument { case native, byo }

extension ModelProvider: ExpressibleByArgument {}
extension PolicyPreset: ExpressibleByArgument {}

/// What `kars dev` shows when nobody is there to type: a tool call, a refusal and the proof.
private struct DevTour {
    let sandbox: ClusterSandbox

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
