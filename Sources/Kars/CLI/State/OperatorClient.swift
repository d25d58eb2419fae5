import KarsCore

/// The operator plane of a sandbox's router, reached through the pod runner: TLS with the certificate pinned when the sandbox
/// was made, and a bearer token.
struct OperatorClient: Sendable {
    static let port: UInt16 = 8446
    private static let maxAnswerBytes = 16 * 1024 * 1024

    private let sandbox: LocalSandbox
    private let token: Secret<String>
    private let client: HTTPClient

    /// Fails when the sandbox does not exist or does not run.
    static func connect(to name: String) async throws -> OperatorClient {
        let sandbox = try LocalSandbox.existing(name)
        guard try sandbox.isRunning else { throw CommandFailure.notRunning(name) }
        return try OperatorClient(sandbox: sandbox)
    }

    init(sandbox: LocalSandbox) throws {
        self.sandbox = sandbox
        let access = try OperatorAccess.load(from: sandbox.directory)
        token = access.token
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(5), firstByte: .seconds(15), idle: .seconds(15))
        client = try HTTPClient(
            config: config, group: EventLoopGroup(),
            tls: try TLSContext.client(trust: .pinned(fingerprint: TLSCertificate(pem: access.certificatePEM).fingerprint)))
    }

    func get(_ path: String) async throws -> JSON { try await call(.get, path, body: nil) }

    func post(_ path: String, _ body: JSON) async throws -> JSON { try await call(.post, path, body: body) }

    private func call(_ method: HTTPMethod, _ path: String, body: JSON?) async throws -> JSON {
        let sandbox = sandbox
        var headers = HTTPHeaders([("Authorization", "Bearer \(token.reveal())"), ("Accept", "application/json")])
        if body != nil { headers.add("Content-Type", "application/json") }
        do {
            let response = try await client.send(
                HTTPClientRequest(
                    method: method, url: HTTPURL(scheme: .https, host: OperatorAccess.serverName, port: Self.port, target: path),
                    headers: headers, body: body.map { .bytes($0.encoded()) } ?? .none,
                    connect: { try await sandbox.dial(port: Self.port) }))
            let json = try JSON(parsing: try await response.body(upTo: Self.maxAnswerBytes))
            guard response.status < 400 else {
                let message = json["error"]?["message"]?.stringValue ?? json["error"]?.stringValue ?? "status \(response.status)"
                let status: ExitStatus = response.status == 404 ? .notFound : response.status == 403 ? .refusedByPolicy : .failed
                throw CommandFailure(status, "the router of '\(sandbox.name)' answered: \(message)")
            }
            return json
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(
                .failed, "the router of '\(sandbox.name)' does not answer on its operator plane: \(error)",
                advice: "`kars logs \(sandbox.name) --service router` shows what it says.")
        }
    }
}

/// By what the CLI and the router of one sandbox know each other; made with the sandbox, kept beside it with mode 0600.
struct OperatorAccess: Sendable {
    /// The name the router's certificate is issued to: it is reached by descriptor, not by name.
    static let serverName = "router.kars.internal"

    var token: Secret<String>
    var certificatePEM: [UInt8]
    var privateKeyPEM: Secret<[UInt8]>

    static func issue() throws -> OperatorAccess {
        let issued = try SelfSigned.issue(
            CertificateRequest(
                commonName: serverName, dnsNames: [serverName], now: .now(), validFor: .seconds(3_650 * 86_400)))
        return OperatorAccess(
            token: Secret(Hex.encode(SecureRandom.bytes(32))), certificatePEM: issued.certificatePEM,
            privateKeyPEM: issued.privateKeyPEM)
    }

    static func load(from directory: SandboxDirectory) throws(CommandFailure) -> OperatorAccess {
        do {
            let json = try JSON(parsing: Files.read(directory.operatorPath, upTo: 64 * 1024))
            guard let token = json["token"]?.stringValue, let certificate = json["certificate"]?.stringValue,
                let key = json["privateKey"]?.stringValue
            else { throw CommandFailure(.failed, "\(directory.operatorPath) is incomplete") }
            return OperatorAccess(
                token: Secret(token), certificatePEM: Array(certificate.utf8), privateKeyPEM: Secret(Array(key.utf8)))
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(.failed, "cannot read \(directory.operatorPath): \(error)")
        }
    }

    func save(to directory: SandboxDirectory) throws {
        let json: JSON = [
            "token": .string(token.reveal()), "certificate": .string(String(decoding: certificatePEM, as: UTF8.self)),
            "privateKey": .string(String(decoding: privateKeyPEM.reveal(), as: UTF8.self)),
        ]
        try AtomicFile.write(json.encoded(), to: directory.operatorPath, mode: 0o600)
    }
}
