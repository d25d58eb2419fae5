import KarsCore

/// The policy files a sandbox is configured with, as the CLI edits them: in place, each by an atomic rename, so that the router
/// takes over the whole new file or keeps the old one.
struct PolicyFiles {
    let directory: SandboxDirectory
    /// Text of the AGT profile.
    let profile: String
    var allowlist: Allowlist

    struct Allowlist {
        private(set) var rules: [EgressRule]

        var entries: [String] { rules.map(\.description) }

        var json: JSON {
            .array(rules.map { ["host": .string($0.host), "port": .number(JSONNumber(Int($0.port)))] })
        }

        mutating func add(host: String, port: UInt16) throws {
            let rule: EgressRule
            do {
                rule = try EgressRule(host: host, port: port)
            } catch {
                throw CommandFailure(
                    .usage, "'\(host)' is no host: \(error)", advice: "Expected a name such as api.github.com, or *.github.com.")
            }
            if !rules.contains(rule) { rules = (rules + [rule]).sorted() }
        }

        /// Whether there was anything to remove.
        mutating func remove(host: String, port: UInt16?) -> Bool {
            let count = rules.count
            rules.removeAll { $0.host == host && (port == nil || $0.port == port) }
            return rules.count < count
        }

        init(rules: [EgressRule]) { self.rules = rules.sorted() }
    }

    private static let maxBytes = 4 * 1024 * 1024

    init(in directory: SandboxDirectory) throws {
        self.directory = directory
        do {
            profile = String(decoding: try Files.read(directory.profilePath, upTo: Self.maxBytes), as: UTF8.self)
            let json = try JSON(parsing: Files.read(directory.allowlistPath, upTo: Self.maxBytes))
            allowlist = Allowlist(
                rules: try (json["endpoints"]?.arrayValue ?? []).map { entry in
                    try EgressRule(
                        host: entry["host"]?.stringValue ?? "", port: UInt16(exactly: entry["port"]?.intValue ?? 443) ?? 443)
                })
        } catch {
            throw CommandFailure(.failed, "cannot read the policy of '\(directory.name)': \(error)")
        }
    }

    /// Reads, edits and writes the allow list of a sandbox.
    static func edit(_ name: String, _ change: (inout Allowlist) throws -> Void) throws {
        let directory = try KarsHome.open().existingSandbox(name)
        var files = try PolicyFiles(in: directory)
        try change(&files.allowlist)
        do {
            try AtomicFile.write(EgressRule.document(files.allowlist.rules), to: directory.allowlistPath, mode: 0o644)
        } catch {
            throw CommandFailure(.failed, "cannot write the allow list: \(error)")
        }
    }
}
