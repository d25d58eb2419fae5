import KarsCore
import Synchronization

/// What opens the operator plane: a bearer token, and the certificate it is reached under. Read from `admin-token`, `tls.crt` and
/// `tls.key` of one directory.
struct OperatorKeys: Sendable {
    var token: Secret<[UInt8]>
    var context: TLSContext

    private static let maxBytes = 256 * 1024
    /// A shorter token could be guessed.
    private static let shortestToken = 16
    private static let files = ["admin-token", "tls.crt", "tls.key"]

    /// nil when one of the files is not there. Throws for what is there and cannot be used. Blocking.
    static func load(from directory: String) throws -> OperatorKeys? {
        let contents = try files.map { try Files.readIfPresent("\(directory)/\($0)", upTo: maxBytes) }
        guard let token = contents[0], let certificate = contents[1], let key = contents[2] else { return nil }
        let text = String(decoding: token, as: UTF8.self).trimmingWhitespace()
        guard text.utf8.count >= shortestToken else {
            throw RouterStartError("admin-token: expected at least \(shortestToken) characters")
        }
        let identity = TLSContext.Identity(certificateChainPEM: certificate, privateKeyPEM: Secret(key))
        return OperatorKeys(token: Secret(Array(text.utf8)), context: try TLSContext.server(identity))
    }

    static func signatures(in directory: String) -> [FileSignature] {
        files.map { FileSignature(name: $0, path: "\(directory)/\($0)") }
    }
}

/// The token in force, and why a newer one is not.
final class OperatorToken: Sendable {
    private let state: Mutex<(token: Secret<[UInt8]>, problem: String?)>

    init(_ token: Secret<[UInt8]>) { state = Mutex((token, nil)) }

    /// In time that does not depend on how much of `presented` is right.
    func admits(_ presented: [UInt8]) -> Bool { ConstantTime.equal(presented, state.withLock { $0.token }.reveal()) }

    var problem: String? { state.withLock { $0.problem } }

    func replace(_ token: Secret<[UInt8]>) { state.withLock { $0 = (token, nil) } }

    func note(problem: String) { state.withLock { $0.problem = problem } }
}

/// Keeps the operator plane's token and certificate equal to their files. Open connections live on; each request on them needs
/// the token that is in force when it comes.
///
/// A version that cannot be used, or is half replaced, leaves the last good one in force and shows in status: a rotation that
/// went wrong must not lock the operator out.
final class OperatorKeyReloader: Sendable {
    private let directory: String
    private let token: OperatorToken
    private let server: HTTPServer
    private let log: Log
    private let seen: Mutex<[FileSignature]>

    /// `signatures` are those from before the keys in force were read.
    init(directory: String, signatures: [FileSignature], token: OperatorToken, server: HTTPServer, log: Log) {
        self.directory = directory
        self.token = token
        self.server = server
        self.log = log
        seen = Mutex(signatures)
    }

    /// Looks once. Blocking; for a timer.
    func look() {
        let signatures = OperatorKeys.signatures(in: directory)
        let isNew = seen.withLock { seen in
            defer { seen = signatures }
            return seen != signatures
        }
        guard isNew else { return }
        do {
            guard let keys = try OperatorKeys.load(from: directory) else {
                throw RouterStartError("admin-token, tls.crt or tls.key is not mounted any more")
            }
            server.replaceTLS(keys.context)
            token.replace(keys.token)
            log.info("operator.keys.loaded", ["certificate": .string(Hex.encode(keys.context.certificate?.fingerprint ?? []))])
        } catch {
            token.note(problem: "\(error)")
            log.error("operator.keys.rejected", ["error": .error(error)])
        }
    }
}
