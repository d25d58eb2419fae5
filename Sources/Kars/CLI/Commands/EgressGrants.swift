import ArgumentParser
import KarsCore

/// `kars egress allow-extra`: a grant for a limited time (spec/cli 8.1).
struct EgressGrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "allow-extra", abstract: "Let a sandbox of a cluster reach more hosts for a limited time.",
        discussion: """
            The time is days, hours, minutes and seconds as ISO 8601 writes them: PT30M, PT2H, P1DT12H; at most seven days.

            Examples:
              kars egress allow-extra research --host pypi.org --host files.pythonhosted.org --ttl PT2H --reason "new dependency"
              kars egress allow-extra research --from-file grant.yaml
            """)

    @Argument(help: "The sandbox.") var sandbox: String
    @Option(help: ArgumentHelp("What may be reached, port 443 unless given; 1 to 16 of them.", valueName: "host[:port]"))
    var host: [String] = []
    @Option(help: "How long it lasts.") var ttl: String?
    @Option(help: "Why; kept for those who look at it later.") var reason: String?
    @Option(help: "Where it was discussed.") var ticket: String?
    @Option(help: "Its name; one is made of the sandbox's and the time.") var name: String?
    @Option(help: "Take the specification from this file, YAML or JSON; - is standard input.") var fromFile: String?
    @Flag(help: "Print what would be applied and send nothing.") var dryRun = false
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    static let longest = 7 * 86_400

    func run() async throws {
        let object = try object(now: .now())
        guard !dryRun else { return Terminal.printPart(YAML.emit(.object(object))) }
        output.print(try await Self.create(object, in: cluster.connect()))
    }

    /// Checked.
    func object(now: UTCTime) throws -> JSONObject {
        let name = name ?? Self.name(for: sandbox, now)
        let object: JSONObject
        if let fromFile {
            object = try PolicyManifest.object(
                EgressApproval.self, name: name, namespace: cluster.namespace, file: fromFile,
                text: try TextInput.read(fromFile, upTo: PolicyManifest.maxFileBytes))
        } else {
            guard let ttl, let reason, !host.isEmpty else {
                throw CommandFailure(.usage, "--host, --ttl and --reason are required, or --from-file")
            }
            var spec = EgressApproval.Spec()
            spec.sandbox = sandbox
            spec.hosts = try host.map(Self.host)
            (spec.ttl, spec.reason, spec.ticket) = (ttl, reason, ticket)
            object = PolicyManifest.object(EgressApproval.self, name: name, namespace: cluster.namespace, spec: spec.json)
        }
        let grant = try PolicyManifest.check(object, as: EgressApproval.self) { $0.spec.faults() }
        guard grant.spec.sandbox == sandbox else {
            throw CommandFailure(.usage, "the grant is for '\(grant.spec.sandbox)', the command says '\(sandbox)'")
        }
        guard let seconds = ISO8601Duration.seconds(grant.spec.ttl), seconds <= Self.longest else {
            throw CommandFailure(.usage, "--ttl \(grant.spec.ttl): a grant lasts at most seven days, P7D")
        }
        return object
    }

    static func create(_ object: JSONObject, in cluster: ClusterConnection) async throws -> Report {
        _ = try await cluster.existing(KarsSandbox.self, object["spec"]?["sandbox"]?.stringValue ?? "")
        let options = WriteOptions(fieldManager: ClusterConnection.fieldManager, fieldValidation: .strict)
        let made = try await cluster.ask("granting '\(object.name)'") { api in
            try await api.object(.create(EgressApproval.kind.resource, object, options))
        }
        return Report(
            json: .object(made.withoutManagers), text: "granted \(made.name); `kars egress revoke \(made.name)` takes it back")
    }

    /// `research-extra-20260102-030405z`, within the length that a grant's name may have.
    static func name(for sandbox: String, _ now: UTCTime) -> String {
        let stamp = String(now.rfc3339.prefix(19).filter(\.isNumber))
        let end = "-extra-\(stamp.prefix(8))-\(stamp.dropFirst(8))z"
        return sandbox.prefix(EgressApproval.maxNameLength - end.utf8.count) + end
    }

    private static func host(_ word: String) throws(CommandFailure) -> EgressApproval.Host {
        var host = EgressApproval.Host()
        let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        host.host = parts[0].lowercased()
        guard parts.count == 2 else { return host }
        guard let port = UInt16(parts[1]), port > 0 else {
            throw CommandFailure(.usage, "--host \(word): expected HOST or HOST:PORT, for instance pypi.org:443")
        }
        host.port = Int(port)
        return host
    }
}

/// `kars egress approvals`: the grants of a sandbox.
struct EgressGrantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approvals", abstract: "The grants of a sandbox, or of all.",
        discussion: "Example: kars egress approvals research")

    @Argument(help: "Only this sandbox's.") var sandbox: String?
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func run() async throws { output.print(try await Self.report(of: sandbox, in: cluster.connect(), now: .now())) }

    static func report(of sandbox: String?, in cluster: ClusterConnection, now: UTCTime) async throws -> Report {
        let objects = try await cluster.list(EgressApproval.self).map(\.withoutManagers).filter {
            sandbox == nil || $0["spec"]?["sandbox"]?.stringValue == sandbox
        }
        var table = Table(["NAME", "SANDBOX", "HOSTS", "TTL", "EXPIRES", "PHASE", "AGE"])
        for object in objects {
            let hosts = object["spec"]?["hosts"]?.arrayValue ?? []
            let words = hosts.map { "\($0["host"]?.stringValue ?? "?"):\($0["port"]?.intValue ?? 443)" }
            table.add([
                object.name, object["spec"]?["sandbox"]?.stringValue ?? "-", words.joined(separator: ","),
                object["spec"]?["ttl"]?.stringValue ?? "-", object["status"]?["expiresAt"]?.stringValue ?? "-",
                object["status"]?["phase"]?.stringValue ?? "-", Age.text(of: object, now: now),
            ])
        }
        let none = "no grant in \(cluster.namespace) of \(cluster.label)"
        return Report(json: .array(objects.map(JSON.object)), text: objects.isEmpty ? none : table.text)
    }
}

/// `kars egress revoke`: the end of a grant before its time.
struct EgressRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Take a grant back.",
        discussion: "Example: kars egress revoke research-extra-20260102-030405z")

    @Argument(help: "The grant.") var name: String
    @Flag(help: "Do not ask.") var noPrompt = false
    @OptionGroup var cluster: NamespacedOptions

    func run() async throws {
        if !noPrompt { try Consent.ask("Take \(EgressApproval.title(name)) back?", flag: "--no-prompt") }
        let cluster = try cluster.connect()
        guard try await cluster.delete(EgressApproval.self, name) else { throw cluster.missing(EgressApproval.self, name) }
        Terminal.note("\(EgressApproval.title(name)) revoked")
    }
}

/// `kars egress blocked`: what a sandbox was refused.
struct EgressBlockedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "blocked", abstract: "The connections that a sandbox was refused.",
        discussion: """
            Examples:
              kars egress blocked dev-agent --since -2h
              kars egress blocked research --top --window 1h
            """)

    @Argument(help: "The sandbox.") var name: String
    @Option(parsing: .unconditional, help: "From when on: RFC 3339, Unix seconds, or -10m, -2h, -1d.") var since: String?
    @Flag(help: "The hosts that were refused most often.") var top = false
    @Option(help: "With --top: how far back, for instance 5m or 1h.") var window = "5m"
    @Option(name: .customLong("n"), help: "With --top: how many, at most 100.") var count = 10
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard (1...100).contains(count) else { throw ValidationError("--n \(count): expected 1 to 100") }
        let isWord = { (text: String) in text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && !"&#%?".utf8.contains($0) } }
        guard isWord(since ?? ""), isWord(window) else {
            throw ValidationError("--since and --window are times, for instance -2h and 5m")
        }
    }

    func run() async throws {
        let client = try await OperatorClient.connect(to: name, cluster)
        guard !top else {
            let answer = try await client.get("/internal/egress/blocked/top?window=\(window)&n=\(count)")
            return output.print(Self.topReport(answer))
        }
        output.print(Self.report(try await client.get("/internal/egress/blocked" + (since.map { "?since=\($0)" } ?? ""))))
    }

    static func report(_ answer: JSON) -> Report {
        let entries = answer["entries"]?.arrayValue ?? []
        var table = Table(["HOST", "PORT", "LAST SEEN", "COUNT"])
        for entry in entries {
            table.add([
                entry["host"]?.stringValue ?? "?", "\(entry["port"]?.intValue ?? 0)", entry["last_seen"]?.stringValue ?? "-",
                "\(entry["count"]?.intValue ?? 0)",
            ])
        }
        return Report(json: answer, text: entries.isEmpty ? "nothing was refused" : table.text)
    }

    static func topReport(_ answer: JSON) -> Report {
        let entries = answer["top"]?.arrayValue ?? []
        var table = Table(["HOST", "COUNT"])
        for entry in entries { table.add([entry["host"]?.stringValue ?? "?", "\(entry["count"]?.intValue ?? 0)"]) }
        return Report(json: answer, text: entries.isEmpty ? "nothing was refused" : table.text)
    }
}
