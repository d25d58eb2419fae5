import ArgumentParser
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `kars eval-runner`: holds the sandbox that it runs in to a corpus.
struct EvalRunnerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval-runner", abstract: "Hold a sandbox to a corpus of cases, from inside (run by a Job of a KarsEval).",
        discussion: """
            Tries each case as the agent would and compares what the router decides with what the case expects. What could not be
            tried is an error, neither passed nor failed.

            Examples:
              kars eval-runner --corpus builtin:banned-tools
              kars eval-runner --corpus corpus.json --only-tag egress --output report.json

            Exit status: 0 every case passed, 1 some failed, 2 wrong usage, a corpus that makes no sense, or cases that could not
            be tried.
            """)

    @Option(
        help: ArgumentHelp(
            "builtin:NAME or a file. Built in: \(BuiltinCorpora.names.joined(separator: ", ")).", valueName: "corpus"))
    var corpus: String
    @Option(help: "What the report calls the corpus; --corpus by default.") var corpusLabel: String?
    @Option(help: "The agent's side of the router.") var routerBase = "http://127.0.0.1:8443"
    @Option(help: ArgumentHelp("The forward proxy; port 8444 of this machine by default.", valueName: "address:port"))
    var forwardProxy = "127.0.0.1:8444"
    @Option(help: ArgumentHelp("Write the report here too.", valueName: "file")) var output: String?
    @Option(help: "How long each answer may take.") var timeoutMs = 5_000
    @Option(help: ArgumentHelp("A header for the router.", valueName: "name: value")) var authHeader: String?
    @Option(help: ArgumentHelp("This case only; may be repeated.", valueName: "id")) var onlyCase: [String] = []
    @Option(help: ArgumentHelp("Cases with this tag only; may be repeated.", valueName: "tag")) var onlyTag: [String] = []
    @Option(help: ArgumentHelp("Add the summary to this file if it is there: the container's last words.", valueName: "file"))
    var summaryFile: String?
    @Flag(help: "Print nothing.") var noStdout = false

    func validate() throws {
        guard (1...600_000).contains(timeoutMs) else { throw ValidationError("--timeout-ms: expected 1 to 600000") }
        guard SocketAddress(forwardProxy) != nil else { throw ValidationError("--forward-proxy: expected ADDRESS:PORT") }
        if let authHeader, Self.header(authHeader) == nil { throw ValidationError("--auth-header: expected \"NAME: VALUE\"") }
        do throws(HTTPURL.ParseError) { _ = try HTTPURL(parsing: routerBase) } catch {
            throw ValidationError("--router-base: \(error)")
        }
    }

    func run() async throws {
        let (bytes, corpus) = try load()
        let cases = corpus.cases.filter { item in
            (onlyCase.isEmpty || onlyCase.contains(item.id)) && (onlyTag.isEmpty || !Set(onlyTag).isDisjoint(with: item.tags))
        }
        guard !cases.isEmpty else { throw CommandFailure(.usage, "the corpus has no case of that name or tag") }
        let group = try EventLoopGroup()
        let client = HTTPClient(group: group)
        let replay = EvalReplay(config: config, client: client, group: group, time: LoopTime(group.next()))
        var report = EvalReport(
            corpusName: corpus.name, corpusDigest: EvalCorpus.digest(of: bytes), corpusLabel: corpusLabel ?? self.corpus,
            startedAt: .now(), completedAt: .now(), routerBase: routerBase)
        for item in cases { report.lines.append(await replay.run(item)) }
        report.completedAt = .now()
        await client.close()
        try tell(report)
        if report.errored > 0 { throw ExitStatus.usage.exitCode }
        if report.failed > 0 { throw ExitStatus.failed.exitCode }
    }

    private var config: EvalReplay.Config {
        var config = EvalReplay.Config()
        config.routerBase = routerBase.hasSuffix("/") ? String(routerBase.dropLast()) : routerBase
        config.proxy = SocketAddress(forwardProxy) ?? config.proxy
        config.timeout = .milliseconds(timeoutMs)
        config.header = authHeader.flatMap(Self.header)
        return config
    }

    private static func header(_ text: String) -> (name: String, value: Secret<String>)? {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else { return nil }
        let value = String(text[text.index(after: colon)...]).trimmingWhitespace()
        return value.isEmpty ? nil : (String(text[..<colon]), Secret(value))
    }

    private func load() throws -> (bytes: [UInt8], corpus: EvalCorpus) {
        let bytes: [UInt8]
        if corpus.hasPrefix("builtin:") {
            let name = String(corpus.dropFirst(8))
            guard let builtin = BuiltinCorpora.bytes(name) else {
                throw CommandFailure(
                    .usage, "there is no corpus \(name); there are \(BuiltinCorpora.names.joined(separator: ", "))")
            }
            bytes = builtin
        } else {
            do { bytes = try Files.read(corpus, upTo: EvalCorpus.maxBytes) } catch { throw CommandFailure(.usage, "\(error)") }
        }
        do throws(ResourceError) { return (bytes, try EvalCorpus(parsing: bytes)) } catch {
            throw CommandFailure(.usage, "\(corpus) is no corpus: \(error)")
        }
    }

    /// Into a file that whoever started the container has put there; where there is none, the log has the same as its last line.
    private static func leave(_ summary: [UInt8], in path: String) {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        _ = summary.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        close(descriptor)
    }

    private func tell(_ report: EvalReport) throws {
        let document = report.json.encoded(pretty: true)
        do {
            if let output { try AtomicFile.write(document, to: output, mode: 0o644) }
        } catch { throw CommandFailure(.failed, "cannot write the report: \(error)") }
        if let summaryFile { Self.leave(report.summary, in: summaryFile) }
        guard !noStdout else { return }
        Terminal.printPart(String(decoding: document, as: UTF8.self))
        // The last line is for whoever reads the log.
        Terminal.printLine(String(decoding: report.summary, as: UTF8.self))
    }
}
