import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Where the CLI keeps everything it knows: `KARS_HOME`, by default `~/.kars`, mode 0700, with a schema version.
///
/// A directory of another version is refused, never converted in passing and never written to.
struct KarsHome: Sendable {
    static let schemaVersion = 1

    let path: String

    /// Opens the directory, creating it on first use.
    static func open(environment: [String: String] = EnvironmentReader.ofProcess().values) throws(CommandFailure) -> KarsHome {
        let path: String
        if let named = environment["KARS_HOME"], !named.isEmpty {
            guard named.hasPrefix("/") else {
                throw CommandFailure(.usage, "KARS_HOME=\(named): expected an absolute path")
            }
            path = named
        } else if let home = environment["HOME"], home.hasPrefix("/") {
            path = home + "/.kars"
        } else {
            throw CommandFailure(.usage, "neither KARS_HOME nor HOME is set", advice: "Set KARS_HOME to a directory of your own.")
        }
        let home = KarsHome(path: path)
        try home.prepare()
        return home
    }

    private func prepare() throws(CommandFailure) {
        do {
            try Files.createDirectories(path, mode: 0o700)
            let versionFile = path + "/version"
            guard let bytes = try Files.readIfPresent(versionFile, upTo: 64) else {
                try AtomicFile.write(Array("\(Self.schemaVersion)\n".utf8), to: versionFile, mode: 0o600)
                return
            }
            let text = String(decoding: bytes, as: UTF8.self).trimmingWhitespace()
            guard Int(text) == Self.schemaVersion else {
                throw CommandFailure(
                    .failed, "\(path) has state of version '\(text)'; this kars reads version \(Self.schemaVersion)",
                    advice: "Use the kars that wrote it, or name another directory with KARS_HOME.")
            }
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot use \(path): \(error)", advice: "KARS_HOME names another directory.")
        }
    }

    var configPath: String { path + "/config.json" }
    var secretsPath: String { path + "/secrets.json" }
    /// Copies of evidence that were verified here, and what was verified, by sandbox.
    func evidencePath(of sandbox: ClusterSandbox) -> String { "\(path)/evidence/\(sandbox.object.uid ?? sandbox.name)" }
}
