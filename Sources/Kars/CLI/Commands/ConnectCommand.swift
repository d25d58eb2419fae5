import ArgumentParser
import KarsCore

struct ConnectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect", abstract: "Chat with the agent of a sandbox.",
        discussion: """
            On a terminal, an interactive chat with streamed answers; `exit` or Ctrl-D ends it. Otherwise, or with --prompt, one
            question and its answer. Tool calls and refusals are shown on standard error.

            Examples:
              kars connect dev-agent
              kars connect dev-agent --prompt "list the files in my workspace"
              kars connect dev-agent --prompt "run uname -a" --output json
              kars connect dev-agent --shell                      # a shell in the agent's container
            """)

    @Argument(help: "The sandbox.") var name: String
    @Option(help: "Ask this and print the answer; - reads it from standard input.") var prompt: String?
    @Flag(help: "A shell in the agent's container instead of a chat.") var shell = false
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    /// The best shell that the image has.
    private static let shellCommand = ["sh", "-c", "if command -v bash >/dev/null; then exec bash --login; fi; exec sh"]

    func validate() throws {
        guard !shell || prompt == nil else { throw ValidationError("choose one of --shell and --prompt") }
    }

    func run() async throws {
        let sandbox = try await ClusterSandbox.named(name, cluster)
        if shell { throw ExitCode(try await sandbox.exec(Self.shellCommand)) }
        let chat = try AgentChat(to: sandbox)
        if let prompt {
            let text = prompt == "-" ? try Self.readStandardInput() : prompt
            try await ask(text, of: chat)
        } else if Terminal.isInteractive {
            try await Self.converse(with: chat, name: name)
        } else {
            try await ask(Self.readStandardInput(), of: chat)
        }
    }

    private func ask(_ prompt: String, of chat: AgentChat) async throws {
        switch output.output {
        case .text: try await ChatView().show(prompt, in: chat)
        case .json, .yaml:
            var events: [JSON] = []
            var reply: String?
            try await chat.send(prompt) { event in
                events.append(event.json)
                if case .done(let text) = event { reply = text }
            }
            output.print(["reply": reply.map { .string($0) } ?? .null, "events": .array(events)]) { "" }
        }
    }

    /// Until `exit`, `quit` or the end of input.
    static func converse(with chat: AgentChat, name: String) async throws {
        Terminal.note("Chatting with \(name); `exit` or Ctrl-D ends it.")
        while true {
            Terminal.notePart("\n> ")
            guard let line = readLine() else { break }
            let prompt = line.trimmingWhitespace()
            if prompt.isEmpty { continue }
            if prompt == "exit" || prompt == "quit" { break }
            do {
                try await ChatView().show(prompt, in: chat)
            } catch let failure as CommandFailure {
                Terminal.note("error: \(failure)")
            }
        }
        Terminal.note("")
    }

    private static func readStandardInput() throws -> String {
        var text = ""
        while let line = readLine(strippingNewline: false) {
            text += line
            guard text.utf8.count <= 1024 * 1024 else { throw CommandFailure(.usage, "the prompt is longer than 1 MiB") }
        }
        guard !text.trimmingWhitespace().isEmpty else {
            throw CommandFailure(.usage, "no prompt was given", advice: "Use --prompt TEXT.")
        }
        return text
    }
}

/// One prompt and its answer as a person sees it: the answer on standard output, what else happens on standard error.
struct ChatView {
    func show(_ prompt: String, in chat: AgentChat) async throws {
        var printed = ""
        try await chat.send(prompt) { event in
            switch event {
            case .text(let text):
                printed += text
                Terminal.printPart(Terminal.safe(text))
            case .toolStarted(_, let detail): Terminal.note(dim("  · \(Terminal.safeLine(detail))"))
            case .toolFinished: break
            case .refused(let reason, let rule):
                Terminal.note("  ✗ refused\(rule.map { " by rule \($0)" } ?? ""): \(Terminal.safeLine(reason))")
            case .done(let reply):
                if printed.isEmpty { Terminal.printPart(Terminal.safe(reply)) }
            case .failed: break
            }
        }
        Terminal.printLine("")
    }

    private func dim(_ text: String) -> String { Terminal.showsColour ? "\u{1b}[2m\(text)\u{1b}[0m" : text }
}
