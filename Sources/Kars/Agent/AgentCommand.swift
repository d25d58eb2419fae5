import ArgumentParser
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The role in the agent container.
struct AgentCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent", abstract: "The role in the agent container of a sandbox.", subcommands: [Run.self])

    /// `kars agent run`: `runtime.kind: Native`.
    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the built-in agent: a chat loop with tools, each call judged by the router.",
            discussion: """
                Configured by the sandbox's environment (contract v1): SANDBOX_NAME, KARS_MODEL, OPENAI_BASE_URL, KARS_WORKSPACE
                (/sandbox), KARS_CHAT_PORT (18789), KARS_EGRESS_PROXY_PORT (8444), KARS_SYSTEM_PROMPT.
                """)

        func run() async throws {
            var environment = EnvironmentReader.ofProcess()
            let config = AgentConfig(reading: &environment)
            try environment.finish()
            let log = Log(level: .info)
            guard chdir(config.workspace) == 0 else { throw FileError("chdir", config.workspace, errno: errno) }

            let group = try EventLoopGroup()
            let client = HTTPClient(config: ModelClient.httpConfig, group: group)
            let model = try ModelClient(config: config, client: client)
            let proxy = SocketAddress(.loopbackV4, port: config.proxyPort)
            let tools = ToolRunner(workspace: config.workspace, fetcher: WebFetcher(proxy: proxy, group: group))
            let conversation = Conversation(config: config, model: model, tools: tools, log: log)
            let signals = try SignalWaiter()
            let server = HTTPServer(handler: ChatHandler(conversation: conversation), group: group)
            let address = try await server.bind(SocketAddress(.loopbackV4, port: config.chatPort))
            log.info("agent.started", ["sandbox": .string(config.sandbox), "address": .string("\(address)")])
            for await _ in signals.signals { break }
            await server.drain(within: .seconds(10))
            log.info("agent.stopped")
        }
    }
}
