import KarsCore

/// What the router reads from files that only its container mounts. Read once at start; none of it is ever printed.
struct RouterSecrets: Sendable {
    /// For the model provider; nil when it needs none.
    var modelKey: Secret<String>?
    /// The operator plane's token and certificate; nil when they are not mounted, and then that plane stays closed.
    var operatorAccess: OperatorAccess?

    struct OperatorAccess: Sendable {
        var token: Secret<[UInt8]>
        var identity: TLSContext.Identity
    }

    private static let maxBytes = 256 * 1024
    /// A shorter token could be guessed.
    private static let shortestToken = 16

    /// Blocking. Throws for a file that is there and cannot be used.
    init(config: RouterConfig) throws {
        let directory = config.secretsDirectory
        func text(_ name: String) throws -> String? {
            guard let bytes = try Files.readIfPresent("\(directory)/\(name)", upTo: Self.maxBytes) else { return nil }
            let text = String(decoding: bytes, as: UTF8.self).trimmingWhitespace()
            return text.isEmpty ? nil : text
        }
        modelKey = try text("model-key").map { Secret($0) } ?? config.provider.key
        if let key = modelKey?.reveal(), !key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
            throw RouterStartError("model-key: expected printable ASCII without blanks")
        }
        let token = try text("admin-token")
        let certificate = try Files.readIfPresent("\(directory)/tls.crt", upTo: Self.maxBytes)
        let key = try Files.readIfPresent("\(directory)/tls.key", upTo: Self.maxBytes)
        if let token, let certificate, let key {
            guard token.utf8.count >= Self.shortestToken else {
                throw RouterStartError("admin-token: expected at least \(Self.shortestToken) characters")
            }
            operatorAccess = OperatorAccess(
                token: Secret(Array(token.utf8)),
                identity: TLSContext.Identity(certificateChainPEM: certificate, privateKeyPEM: Secret(key)))
        }
    }
}

/// Why the router cannot start, in words an operator can act on.
struct RouterStartError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
