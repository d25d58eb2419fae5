import ArgumentParser
import KarsCore

/// `kars local`: the embedded cluster of this machine.
struct LocalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "local", abstract: "Run a one-node Kubernetes API on this machine, for development and tests.",
        discussion: """
            The cluster runs in the background and keeps its state in KARS_HOME/cluster. Stock kubectl works on it.

            Examples:
              kars local start
              KUBECONFIG=$(kars local kubeconfig --path) kubectl get namespaces
              kars local stop
            """,
        subcommands: [
            Start.self, Stop.self, Status.self, Reset.self, Kubeconfig.self, KubectlConfig.self, Backup.self, Restore.self,
            LocalServeCommand.self,
        ])

    static func directory() throws -> ClusterDirectory { ClusterDirectory.of(try KarsHome.open()) }

    /// What kubectl needs to reach the cluster.
    static func kubeconfig(_ directory: ClusterDirectory) throws -> [UInt8] {
        guard let bytes = try Files.readIfPresent(directory.kubeconfigPath, upTo: 1 << 20) else { throw notRunning }
        return bytes
    }

    /// The failure of a command that needs a cluster that does not run.
    static let notRunning = CommandFailure(.failed, "the local cluster is not running", advice: "`kars local start` starts it.")

    static func stop() async throws {
        do {
            let process = ClusterProcess(directory: try directory())
            if try process.stop() { return Terminal.note("the local cluster has stopped") }
            let left = try await process.endRemains()
            Terminal.note("the local cluster was not running" + (left == 0 ? "" : "; the pods that it had left have ended"))
        } catch {
            throw CommandFailure(.failed, "the local cluster did not stop: \(error)")
        }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Start the cluster and return once it serves.",
            discussion: """
                Starting one that runs is no error and changes nothing.

                Examples:
                  kars local start
                  kars local start --output json
                  kars local start --foreground --log-level debug
                """)
        @OptionGroup var output: OutputOptions
        @Flag(help: "Serve in this process, with the log on standard output, until SIGTERM or SIGINT.") var foreground = false
        @Flag(help: "API server and controllers only: pods stay pending, as on a cluster that has no node yet.")
        var withoutNode = false
        @Flag(help: "Also install kars in it, and run the controller that makes sandboxes of KarsSandbox objects.")
        var withController = false
        @Option(help: "How much goes into the log: debug (a line for every request), info, warn, error.")
        var logLevel = LogLevelOption.info

        func run() async throws {
            let directory = try LocalCommand.directory()
            let started = Instant.now()
            do {
                if foreground {
                    let log = Log(level: logLevel.level)
                    var serving = LocalServing(directory: directory, log: log)
                    serving.hasNode = !withoutNode
                    serving.hasController = withController
                    return try await serving.run { record in
                        Terminal.note("the local cluster serves \(record.url); end it with Ctrl-C")
                    }
                }
                Terminal.note("starting the local cluster in \(directory.path)")
                let (record, isNew) = try ClusterProcess(directory: directory).start(
                    logLevel: logLevel.rawValue, hasNode: !withoutNode, hasController: withController)
                if withController { try await waitForController(directory) }
                let spent = Instant.now().duration(since: started).wholeNanoseconds / 1_000_000
                show(record, directory, isNew ? "ready after \(spent) ms" : "it was running already")
            } catch let error as CommandFailure {
                throw error
            } catch {
                throw CommandFailure(.failed, "the local cluster did not start: \(error)")
            }
        }

        private func waitForController(_ directory: ClusterDirectory) async throws {
            let choice = ClusterChoice(paths: [directory.kubeconfigPath], context: nil, label: "the embedded cluster")
            let client = try ClusterOptions.client(choice)
            let wait = ControllerWait(cluster: ClusterConnection(api: client, client: client, label: choice.label))
            let result: Result<Void, any Error>
            do { result = .success(try await wait.wait(within: .seconds(60))) } catch { result = .failure(error) }
            await client.close()
            try result.get()
        }

        private func show(_ record: ClusterDirectory.Record, _ directory: ClusterDirectory, _ how: String) {
            var json = record.json.objectValue ?? JSONObject()
            json["kubeconfig"] = .string(directory.kubeconfigPath)
            output.print(.object(json)) {
                """
                \(how): \(record.url)
                export KUBECONFIG=\(directory.kubeconfigPath)
                """
            }
        }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop the cluster and its pods; its state stays.", discussion: "Stopping one that does not run is no error."
        )

        func run() async throws { try await LocalCommand.stop() }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show whether the cluster runs, and where.", discussion: "Exits 0 when it runs, 1 when not.")
        @OptionGroup var output: OutputOptions

        func run() throws {
            let directory = try LocalCommand.directory()
            guard let record = try directory.running() else {
                output.print(["running": false]) { "not running" }
                throw ExitStatus.failed.exitCode
            }
            var json = record.json.objectValue ?? JSONObject()
            json["running"] = true
            json["kubeconfig"] = .string(directory.kubeconfigPath)
            output.print(.object(json)) {
                """
                running     since \(record.startedAt.rfc3339), process \(record.processID)
                server      \(record.url)
                kubeconfig  \(directory.kubeconfigPath)
                log         \(directory.logPath)
                """
            }
        }
    }

    struct Reset: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop the cluster and delete everything it holds, its certificates included.")
        @Flag(help: "Do not ask.") var yes = false

        func run() async throws {
            let directory = try LocalCommand.directory()
            guard yes || Terminal.isInteractive else {
                throw CommandFailure(.usage, "this deletes \(directory.path)", advice: "Say --yes.")
            }
            if !yes {
                Terminal.notePart("Delete \(directory.path)? [y/N] ")
                guard readLine()?.lowercased() == "y" else { throw ExitStatus.failed.exitCode }
            }
            do {
                try await ClusterProcess(directory: directory).reset()
            } catch {
                throw CommandFailure(.failed, "cannot reset the local cluster: \(error)")
            }
            Terminal.note("the local cluster is gone")
        }
    }

    struct Kubeconfig: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the administrator's kubeconfig.",
            discussion: "Whoever has it may do everything in the cluster. Example: kars local kubeconfig > ~/kars.yaml")
        @Flag(help: "Print the path of the file instead.") var path = false

        func run() throws {
            let directory = try LocalCommand.directory()
            let bytes = try LocalCommand.kubeconfig(directory)
            guard !path else { return Terminal.printLine(directory.kubeconfigPath) }
            Terminal.printLine(YAML.emit(try JSON(parsing: bytes)))
        }
    }

    struct KubectlConfig: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "kubectl-config", abstract: "Add the cluster as a context to your own kubeconfig.",
            discussion: "Changes the first file of KUBECONFIG, else ~/.kube/config; what it holds besides stays as it is.")
        @Flag(help: "Make it the current context.") var use = false

        func run() throws {
            let directory = try LocalCommand.directory()
            let bytes = try LocalCommand.kubeconfig(directory)
            let file = try KubeconfigFile.ofUser(EnvironmentReader.ofProcess().values)
            do {
                try file.merge(try JSON(parsing: bytes), makesCurrent: use)
            } catch {
                throw CommandFailure(.failed, "cannot change \(file.path): \(error)")
            }
            Terminal.note("context '\(ClusterIdentity.contextName)' is in \(file.path)")
        }
    }

    struct Backup: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the cluster's state into one file, while it runs or not.",
            discussion: "Secrets of the cluster are in it. Example: kars local backup cluster.backup")
        @Argument(help: "The file to make; it must not exist.") var file: String

        func run() async throws {
            let directory = try LocalCommand.directory()
            do {
                try await ClusterBackup.write(directory, to: file)
            } catch {
                throw CommandFailure(.failed, "no backup was made: \(error)")
            }
            Terminal.note("backup written to \(file)")
        }
    }

    struct Restore: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replace the cluster's state by that of a backup; the cluster must be stopped.")
        @Argument(help: "A file made by `kars local backup`.") var file: String

        func run() throws {
            let directory = try LocalCommand.directory()
            guard try directory.running() == nil else {
                throw CommandFailure(.failed, "the local cluster is running", advice: "`kars local stop` first.")
            }
            do {
                try ClusterBackup.restore(directory, from: file)
            } catch {
                throw CommandFailure(.failed, "nothing was restored: \(error)")
            }
            Terminal.note("restored; `kars local start` serves it")
        }
    }
}
