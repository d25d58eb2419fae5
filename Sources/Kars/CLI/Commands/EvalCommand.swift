import ArgumentParser
import KarsCore

/// `kars eval`: what sandboxes are held to, and what the last runs found (spec/cli 9.4).
struct EvalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval", abstract: "Run the cases that a sandbox is held to, and see what they found.",
        discussion: """
            Examples:
              kars eval list
              kars eval run nightly --wait
              kars eval show nightly --output json
              kars eval diff nightly
            """,
        subcommands: [List.self, Show.self, Run.self, Diff.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Every evaluation with its last result.", discussion: "Example: kars eval list")
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws { output.print(try await Self.report(in: cluster.connect(), now: .now())) }

        static func report(in cluster: ClusterConnection, now: UTCTime) async throws -> Report {
            let objects = try await cluster.list(KarsEval.self)
            var table = Table(["NAME", "TARGET", "CORPUS", "PHASE", "AGE", "LAST"])
            for object in objects {
                let eval = try EvalCommand.read(object, in: cluster)
                table.add([
                    object.name, eval.spec.targetSandboxRef.name, EvalCommand.corpus(of: eval),
                    eval.status.phase?.rawValue ?? "-",
                    Age.text(of: object, now: now), eval.status.lastResult.map(EvalCommand.summary) ?? "-",
                ])
            }
            return Report(
                json: .array(objects.map { .object($0.withoutManagers) }),
                text: objects.isEmpty ? "no evaluation in \(cluster.namespace) of \(cluster.label)" : table.text)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "One evaluation: its last result and its history.", discussion: "Example: kars eval show nightly")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect()
            output.print(try Self.report(await cluster.existing(KarsEval.self, name), in: cluster))
        }

        static func report(_ object: JSONObject, in cluster: ClusterConnection) throws -> Report {
            let eval = try EvalCommand.read(object, in: cluster)
            var lines = [
                "\(object.name)  \(eval.status.phase?.rawValue ?? "not looked at yet")",
                "  sandbox   \(eval.spec.targetSandboxRef.name)", "  corpus    \(EvalCommand.corpus(of: eval))",
                "  schedule  \(eval.spec.schedule ?? "only when asked")",
            ]
            if let last = eval.status.lastResult {
                lines.append("  last      \(EvalCommand.summary(last)), \(eval.status.lastRunAt ?? "at an unknown time")")
                lines += last.firstFailingCases.map { "    ✗ \($0)" }
            }
            lines += eval.status.conditions.map { "  \($0.type)=\($0.status.rawValue) \($0.reason) \($0.message)" }
            var text = lines.map(Terminal.safeLine).joined(separator: "\n")
            if !eval.status.history.isEmpty {
                var table = Table(["AT", "PASSED", "FAILED", "ERRORED", "TOTAL", "JOB"])
                for run in eval.status.history {
                    table.add([run.at, "\(run.passed)", "\(run.failed)", "\(run.errored)", "\(run.total)", run.jobName])
                }
                text += "\n\n" + table.text
            }
            return Report(json: .object(object.withoutManagers), text: text)
        }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start a run now.",
            discussion: "With --wait the command fails when a case did. Example: kars eval run nightly --wait")
        @Argument(help: "Its name.") var name: String
        @Flag(help: "Wait for the result.") var wait = false
        @Option(help: "Seconds to wait.") var timeout = 600
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        private static let interval = Duration.milliseconds(500)

        func run() async throws {
            let cluster = try cluster.connect()
            let before = try await Self.start(name, in: cluster)
            guard wait else {
                return output.print(["name": .string(name), "started": true]) { "a run of \(name) was asked for" }
            }
            let end = Instant.now().advanced(by: .seconds(timeout))
            while true {
                let object = try await cluster.existing(KarsEval.self, name), eval = try EvalCommand.read(object, in: cluster)
                if let last = eval.status.lastResult, last.jobName != before {
                    output.print(try Show.report(object, in: cluster))
                    guard last.failed + last.errored == 0 else { throw ExitStatus.failed.exitCode }
                    return
                }
                guard Instant.now() < end else {
                    throw CommandFailure(
                        .failed, "no result of \(name) after \(timeout) s",
                        advice: "`kars eval show \(name)` shows it when it comes.")
                }
                try await Task.sleep(for: Self.interval)
            }
        }

        /// The job of the result that was there before.
        static func start(_ name: String, in cluster: ClusterConnection) async throws -> String? {
            let after = try await cluster.merge(
                KarsEval.self, name, ["metadata": ["annotations": [KarsEval.runNowAnnotation: "true"]]])
            return after["status"]?["lastResult"]?["jobName"]?.stringValue
        }
    }

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What the last run found otherwise than the one before.", discussion: "Example: kars eval diff nightly")
        @Argument(help: "Its name.") var name: String
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect()
            output.print(try Self.report(await cluster.existing(KarsEval.self, name), in: cluster))
        }

        static func report(_ object: JSONObject, in cluster: ClusterConnection) throws -> Report {
            let status = try EvalCommand.read(object, in: cluster).status
            // The history may begin with the last run itself.
            guard let last = status.lastResult, let before = status.history.first(where: { $0.jobName != last.jobName }) else {
                return Report(
                    json: ["name": .string(object.name), "runs": .int(status.lastResult == nil ? 0 : 1)],
                    text: "\(object.name): fewer than two runs")
            }
            let numbers = [
                ("total", before.total, last.total), ("passed", before.passed, last.passed),
                ("failed", before.failed, last.failed),
                ("errored", before.errored, last.errored),
            ]
            let isOtherCorpus = before.corpusDigest != last.corpusDigest
            var table = Table(["", before.jobName, last.jobName, "CHANGE"])
            for (label, old, new) in numbers {
                table.add([label, "\(old)", "\(new)", new == old ? "-" : new > old ? "+\(new - old)" : "\(new - old)"])
            }
            var text = table.text
            if isOtherCorpus { text += "\nthe cases themselves changed" }
            if !last.firstFailingCases.isEmpty {
                text += "\nfailing now: " + last.firstFailingCases.map(Terminal.safeLine).joined(separator: ", ")
            }
            var json: JSONObject = [
                "name": .string(object.name), "before": .string(before.jobName), "last": .string(last.jobName),
                "corpusChanged": .bool(isOtherCorpus),
            ]
            for (label, old, new) in numbers { json[label] = ["before": .int(old), "last": .int(new)] }
            return Report(json: .object(json), text: text)
        }
    }

    // MARK: - Shared

    private static func read(_ object: JSONObject, in cluster: ClusterConnection) throws(CommandFailure) -> KarsEval {
        do throws(ResourceError) { return try KarsEval(reading: object) } catch {
            throw CommandFailure(.failed, "\(KarsEval.title(object.name)) of \(cluster.label) cannot be read: \(error)")
        }
    }

    private static func corpus(of eval: KarsEval) -> String {
        eval.spec.corpus.builtin ?? eval.spec.corpus.bundleRef.map { "\($0.registry)/\($0.repository)" } ?? "-"
    }

    /// `26/28, 2 failed`.
    private static func summary(_ result: KarsEval.Result) -> String {
        var text = "\(result.passed)/\(result.total)"
        if result.failed > 0 { text += ", \(result.failed) failed" }
        if result.errored > 0 { text += ", \(result.errored) errored" }
        return text
    }
}
