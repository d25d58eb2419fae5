import ArgumentParser
import KarsCore

/// `kars audit`: what people do with evidence. Needs the files only; no router, no network.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Verifies and shows the evidence chain of a sandbox.",
        subcommands: [AuditVerifyCommand.self, AuditTailCommand.self])
}

/// Which chain a command is about: a sandbox by name, on this machine or in a cluster, or a directory.
struct AuditTarget: ParsableArguments {
    @Argument(help: "Name of a sandbox.")
    var name: String?

    @Option(
        name: .customLong("dir"), help: ArgumentHelp("Directory that holds the chain, instead of a name.", valueName: "directory")
    )
    var directory: String?

    @OptionGroup var cluster: ClusterOptions
    @Option(help: "Namespace of the sandbox in the cluster.") var namespace = ClusterConnection.defaultNamespace

    func validate() throws {
        guard (name == nil) != (directory == nil) else {
            throw ValidationError("name a sandbox or give --dir, one of the two")
        }
        if let name, KarsSandbox.fault(inName: name) != nil { throw ValidationError("'\(name)' is not a sandbox name") }
        if directory != nil, cluster.namesCluster {
            throw ValidationError("--dir is a directory of this machine, not of a cluster")
        }
    }

    /// Where the chain lies, and where its sandbox keeps what was last verified.
    struct Location {
        var directory: String
        /// nil for `--dir`.
        var memory: AuditMemory?
        /// For messages.
        var label: String
        /// Nil for `--dir`. Otherwise the directory is a copy, which this brings up to date.
        var copy: EvidenceCopy?
    }

    func locate(_ environment: [String: String] = EnvironmentReader.ofProcess().values) async throws -> Location {
        if let directory {
            guard Files.exists(directory) else { throw CommandFailure(.notFound, "\(directory) does not exist") }
            return Location(directory: directory, memory: nil, label: directory)
        }
        let name = name ?? "", home = try KarsHome.open(environment: environment)
        var options = NamespacedOptions()
        options.cluster = cluster
        options.givenNamespace = namespace
        let sandbox = try await ClusterSandbox.named(name, options, environment)
        let place = home.evidencePath(of: sandbox)
        let copy = EvidenceCopy(router: try await OperatorClient(to: sandbox), directory: place + "/chain")
        try await copy.begin()
        return Location(
            directory: copy.directory, memory: AuditMemory(path: place + "/audit-verified.json"), label: name, copy: copy)
    }
}

/// What this machine remembers of a chain it has verified: kept outside of the directory that the router can write, it turns
/// a later rollback of the whole directory from undetectable into an error.
struct AuditMemory {
    var path: String

    struct Content: Equatable {
        var publicKey: Ed25519.PublicKey
        var head: EvidenceVerifier.ExpectedHead
    }

    /// nil before the first verification.
    func load() throws -> Content? {
        do {
            guard let bytes = try Files.readIfPresent(path, upTo: 4096) else { return nil }
            let json = try JSON(parsing: bytes)
            guard let key = json["public_key"]?.stringValue.flatMap({ Ed25519.PublicKey(evidenceText: $0) }),
                let head = json["head"]?.stringValue.flatMap({ EvidenceVerifier.ExpectedHead($0) })
            else { throw CommandFailure(.failed, "\(path) does not hold a key and a head") }
            return Content(publicKey: key, head: head)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot read what was verified last: \(error)")
        }
    }

    func save(_ report: EvidenceReport) throws(FileError) {
        guard let key = report.publicKey, report.records > 0 else { return }
        let json: JSON = ["public_key": .string(key), "head": .string("\(report.records - 1):\(report.headHash)")]
        try AtomicFile.write(json.encoded() + [UInt8(ascii: "\n")], to: path, mode: 0o600)
    }
}
