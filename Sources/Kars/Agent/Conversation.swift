import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// One conversation at work: runs the machine's actions against the model and the tools, and keeps its history on disk.
///
/// An actor because prompts come from several connections; one runs at a time, the next is told that the agent is busy.
actor Conversation {
    struct Busy: Error {}

    private var machine: ConversationMachine
    private var isRunning = false
    private let config: AgentConfig
    private let model: ModelClient
    private let tools: ToolRunner
    private let log: Log

    private static let maxHistoryFileBytes = 16 * 1024 * 1024
    private var historyPath: String { Self.historyPath(in: config.workspace) }

    private static func historyPath(in workspace: String) -> String { workspace + "/.kars/conversation.json" }

    /// Goes on with the conversation of an earlier run. A history that cannot be read is set aside, not lost.
    init(config: AgentConfig, model: ModelClient, tools: ToolRunner, log: Log) {
        self.config = config
        self.model = model
        self.tools = tools
        self.log = log
        let path = Self.historyPath(in: config.workspace)
        do {
            let stored = try Files.readIfPresent(path, upTo: Self.maxHistoryFileBytes).map { try JSON(parsing: $0) }
            machine = ConversationMachine(history: stored?.arrayValue ?? [])
        } catch {
            machine = ConversationMachine()
            log.warn("agent.history.unreadable", ["path": .string(path), "error": .string("\(error)")])
            rename(path, path + ".unreadable")
        }
    }

    func run(prompt: String, report: @Sendable (ChatEvent) async throws -> Void) async throws {
        guard !isRunning else { throw Busy() }
        isRunning = true
        defer { isRunning = false }
        var action = machine.prompt(prompt)
        do {
            while true {
                switch action {
                case .callModel(let allowTools):
                    let answer = try await model.answer(
                        to: machine.history, systemPrompt: config.systemPrompt, allowTools: allowTools
                    ) { try await report(.text($0)) }
                    action = machine.modelAnswered(answer)
                case .runTools(let calls):
                    var results: [(id: String, content: String)] = []
                    for call in calls { results.append((call.id, try await run(call, report))) }
                    action = machine.toolsFinished(results)
                case .finished(let reply):
                    save()
                    return try await report(.done(reply: reply))
                }
            }
        } catch let failure as AnswerFailure {
            machine.failed()
            if failure.isRefusal { try await report(.refused(reason: failure.message, rule: failure.rule)) }
            try await report(.failed(message: failure.message))
        } catch {
            machine.failed()
            throw error
        }
    }

    /// Asks the router first; what it refuses is told to the model and to the person, and not done.
    private func run(_ call: ConversationMachine.ToolCall, _ report: (ChatEvent) async throws -> Void) async throws -> String {
        guard let tool = AgentTool(rawValue: call.name) else { return "error: there is no tool '\(call.name)'" }
        let arguments: JSON
        do {
            arguments = try JSON(parsing: Array((call.arguments.isEmpty ? "{}" : call.arguments).utf8))
        } catch {
            return "error: the arguments of \(call.name) are no JSON object: \(error)"
        }
        guard let action = tool.action(for: arguments) else {
            return "error: the call is longer than \(AgentTool.maxActionBytes) bytes and cannot be judged; split it"
        }
        try await report(.toolStarted(name: call.name, detail: action))
        switch await model.evaluate(action, tool: call.name) {
        case .allowed: break
        case .refused(let reason, let rule):
            try await report(.refused(reason: reason, rule: rule))
            return "refused by policy: \(reason)"
        }
        let result = await tools.run(tool, arguments)
        try await report(.toolFinished(name: call.name, summary: String(result.prefix(2_000))))
        return result
    }

    private func save() {
        do {
            try Files.createDirectories(config.workspace + "/.kars", mode: 0o700)
            try AtomicFile.write(JSON.array(machine.history).encoded(), to: historyPath, mode: 0o600)
        } catch {
            log.warn("agent.history.unsaved", ["error": .string("\(error)")])
        }
    }
}
