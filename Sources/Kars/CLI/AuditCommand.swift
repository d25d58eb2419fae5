import ArgumentParser
import KarsCore

/// `kars audit`: what people do with evidence. Needs the files only; no router, no network.
struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit", abstract: "Verifies and shows the evidence chain of a sandbox.",
        subcommands: [AuditVerifyCommand.self, AuditTailCommand.self])
}

/// Which chain a command is about: a sandbox of this machine by name, or a directory.
struct AuditTarget: ParsableArguments {
    @Argument(help: "Name of a sandbox on this machine.")
    var name: String?

    @Option(
        name: .customLong("dir"), help: ArgumentHelp("Directory that holds the chain, instead of a name.", valueName: "directory")
    )
    var directory: String?

    func validate() throws {
        guard (name == nil) != (directory == nil) else {
            throw ValidationError("name a sandbox or give --dir, one of the two")
        }
        if let name, !Self.isName(name) { throw ValidationError("'\(name)' is not a sandbox name") }
    }

    /// Where the chain lies, and where its sandbox keeps what was last verified.
    struct Location {
        var directory: String
        /// nil for `--dir`.
        var memory: AuditMemory?
        /// For messages.
        var label: String
    }

    func locate(_ environment: EnvironmentReader = .ofProcess()) throws -> Location {
        if let directory {
            guard Files.exists(directory) else { throw CommandFailure(.notFound, "\(directory) does not exist") }
            return Location(directory: directory, memory: nil, label: directory)
        }
        let name = name ?? ""
        guard let home = environment.text("KARS_HOME") ?? environment.text("HOME").map({ $0 + "/.kars" }) else {
            throw CommandFailure(.usage, "neither KARS_HOME nor HOME is set")
        }
        let sandbox = "\(home)/sandboxes/\(name)"
        guard Files.exists(sandbox) else {
            throw CommandFailure(.notFound, "there is no sandbox named '\(name)' under \(home)")
        }
        let directory = sandbox + "/state/router/audit"
        guard Files.exists(directory) else {
            throw CommandFailure(.notFound, "sandbox '\(name)' has no evidence yet (\(directory) does not exist)")
        }
        return Location(directory: directory, memory: AuditMemory(path: sandbox + "/audit-verified.json"), label: name)
    }

    // A name becomes part of a path.
    private static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, first != UInt8(ascii: "-"), name.utf8.count <= 63 else { return false }
        return name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
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
