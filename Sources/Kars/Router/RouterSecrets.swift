import KarsCore

/// What the router reads from files that only its container mounts. None of it is ever printed.
struct RouterSecrets: Sendable {
    /// For the model provider; nil when it needs none. Read once at start.
    var modelKey: Secret<String>?
    /// The operator plane's token and certificate; nil when they are not mounted, and then that plane stays closed.
    var operatorKeys: OperatorKeys?
    /// What their files looked like before they were read.
    var operatorSignatures: [FileSignature]

    private static let maxBytes = 256 * 1024

    /// Blocking. Throws for a file that is there and cannot be used.
    init(config: RouterConfig) throws {
        let file = try Files.readIfPresent("\(config.secretsDirectory)/model-key", upTo: Self.maxBytes)
        let text = file.map { String(decoding: $0, as: UTF8.self).trimmingWhitespace() } ?? ""
        modelKey = text.isEmpty ? config.provider.key : Secret(text)
        if let key = modelKey?.reveal(), !key.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) {
            throw RouterStartError("model-key: expected printable ASCII without blanks")
        }
        operatorSignatures = OperatorKeys.signatures(in: config.secretsDirectory)
        operatorKeys = try OperatorKeys.load(from: config.secretsDirectory)
    }
}

/// Why the router cannot start, in words an operator can act on.
struct RouterStartError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
