/// Keeps a client's credentials fresh: reads token files again, asks plugins again, and does both at once when the server refuses
/// what it was given.
actor CredentialSource {
    struct Credentials: Sendable {
        /// Which one this is; a refusal names it, so that of many requests that fail together only the first causes a refresh.
        var generation: Int
        var authorization: Secret<String>?
        var certificate: TLSContext.Identity?
    }

    private let config: KubernetesClientConfig
    private let runner: (any CredentialPluginRunner)?
    private let time: any TimeSource
    private var current: Credentials?
    private var freshUntil: Instant?
    private var expiry: UTCTime?
    private var generation = 0
    private var refresh: Task<Result<Credentials, APIStatus>, Never>?

    /// Files may be on slow disks, and a loop must not wait for them.
    private static let files = BlockingQueue(maxThreads: 1, maxWaiting: 1024)
    private static let maxFileBytes = 1 << 20
    /// A credential is not used in its last seconds, which a request may take to arrive.
    private static let expiryMargin = Duration.seconds(10)

    init(_ config: KubernetesClientConfig, runner: (any CredentialPluginRunner)?, time: any TimeSource) {
        self.config = config
        self.runner = runner
        self.time = time
    }

    func credentials() async throws(APIStatus) -> Credentials {
        if let current, isFresh { return current }
        let task: Task<Result<Credentials, APIStatus>, Never>
        if let refresh {
            task = refresh
        } else {
            // Unstructured: several callers wait for it, and one that is cancelled must not end it for the others.
            task = Task { await self.load() }
            refresh = task
        }
        return try await task.value.get()
    }

    /// The server refused these credentials. True when others can be had.
    func refused(_ generation: Int) -> Bool {
        switch config.credential {
        case .tokenFile, .plugin: break
        case .none, .token, .basic:
            guard case .file = config.certificate?.chain else { return false }
        }
        if current?.generation == generation { current = nil }
        return true
    }

    private var isFresh: Bool {
        if let freshUntil, freshUntil <= time.now() { return false }
        if let expiry, expiry <= time.utc().advanced(by: Self.expiryMargin) { return false }
        return true
    }

    private func load() async -> Result<Credentials, APIStatus> {
        defer { refresh = nil }
        do throws(APIStatus) {
            generation += 1
            var loaded = Credentials(generation: generation)
            var freshUntil: Instant?
            var expiry: UTCTime?
            if let certificate = config.certificate { loaded.certificate = try await Self.identity(certificate) }
            switch config.credential {
            case .none: break
            case .token(let token): loaded.authorization = Self.bearer(token)
            case .tokenFile(let path):
                let text = String(decoding: try await Self.read(path), as: UTF8.self).trimmingWhitespace()
                guard !text.isEmpty else { throw .noCredentials("the token file \(path) is empty") }
                loaded.authorization = Self.bearer(Secret(text))
                freshUntil = time.now().advanced(by: config.tokenFileLifetime)
            case .basic(let user, let password):
                loaded.authorization = Secret("Basic " + Base64.encode(Array("\(user):\(password.reveal())".utf8)))
            case .plugin(let plugin):
                let answer = try await ask(plugin)
                loaded.authorization = answer.token.map(Self.bearer)
                loaded.certificate = answer.certificate ?? loaded.certificate
                expiry = answer.expiry
            }
            (current, self.freshUntil, self.expiry) = (loaded, freshUntil, expiry)
            return .success(loaded)
        } catch {
            return .failure(error)
        }
    }

    private func ask(_ plugin: CredentialPlugin) async throws(APIStatus) -> CredentialPlugin.Answer {
        guard !plugin.needsTerminal else {
            throw .noCredentials("the credential plugin \(plugin.command) needs a terminal, which is never offered to it")
        }
        guard let runner else { throw .noCredentials("credential plugins cannot be run here (\(plugin.command))") }
        let output: [UInt8]
        do { output = try await runner.run(plugin) } catch {
            let hint = plugin.installHint.map { "; \($0)" } ?? ""
            throw .noCredentials("the credential plugin \(plugin.command) failed: \(error)\(hint)")
        }
        return try plugin.answer(reading: output)
    }

    private static func bearer(_ token: Secret<String>) -> Secret<String> { Secret("Bearer " + token.reveal()) }

    private static func identity(
        _ certificate: KubernetesClientConfig.ClientCertificate
    ) async throws(APIStatus) -> TLSContext.Identity {
        TLSContext.Identity(
            certificateChainPEM: try await pem(certificate.chain),
            privateKeyPEM: Secret(try await pem(certificate.key.reveal())))
    }

    static func pem(_ source: KubernetesClientConfig.PEMSource) async throws(APIStatus) -> [UInt8] {
        switch source {
        case .text(let bytes): bytes
        case .file(let path): try await read(path)
        }
    }

    private static func read(_ path: String) async throws(APIStatus) -> [UInt8] {
        do {
            return try await files.run { () -> Result<[UInt8], FileError> in
                Result { () throws(FileError) in try Files.read(path, upTo: maxFileBytes) }
            }.get()
        } catch {
            throw .noCredentials("\(error)")
        }
    }
}
