import KarsCore

/// The operator plane of a sandbox's router, reached through whatever runs the pod: TLS with the router's own certificate pinned,
/// and a bearer token.
struct OperatorClient: Sendable {
    static let port: UInt16 = 8446
    private static let maxAnswerBytes = 16 * 1024 * 1024

    private let sandbox: any ReachableSandbox
    private let token: Secret<String>
    private let client: HTTPClient

    /// Fails when the sandbox does not run.
    init(to sandbox: any ReachableSandbox) async throws {
        self.sandbox = sandbox
        let access = try await sandbox.operatorAccess()
        token = access.token
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(5), firstByte: .seconds(15), idle: .seconds(15))
        client = try HTTPClient(
            config: config, group: EventLoopGroup(),
            tls: try TLSContext.client(trust: .pinned(fingerprint: TLSCertificate(pem: access.certificatePEM).fingerprint)))
    }

    /// Fails when there is no such sandbox, or it does not run.
    static func connect(to name: String, _ options: NamespacedOptions) async throws -> OperatorClient {
        try await OperatorClient(to: ClusterSandbox.named(name, options))
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

/// By what the CLI and the router of one sandbox know each other.
struct OperatorAccess: Sendable {
    /// The name the router's certificate is issued to: it is reached by descriptor, not by name.
    static let serverName = "router.kars.internal"

    var token: Secret<String>
    var certificatePEM: [UInt8]
}
