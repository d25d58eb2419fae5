import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Operator keys` {
    static let oldToken = "old-token-0123456789"
    static let newToken = "new-token-0123456789"

    /// An operator plane over TLS whose token and certificate lie in files.
    private struct Fixture {
        let directory: String
        let group: EventLoopGroup
        let server: HTTPServer
        let address: SocketAddress
        let reloader: OperatorKeyReloader
        let token: OperatorToken

        func write(_ name: String, _ bytes: [UInt8]) throws {
            try AtomicFile.write(bytes, to: "\(directory)/\(name)", mode: 0o600)
        }

        func write(_ issued: IssuedCertificate) throws {
            try write("tls.crt", issued.certificatePEM)
            try write("tls.key", issued.privateKeyPEM.reveal())
        }

        /// One connection of its own, to a server with exactly this certificate.
        func client(_ issued: IssuedCertificate) throws -> HTTPClient {
            HTTPClient(
                group: group, tls: try .client(trust: .pinned(fingerprint: issued.certificate.fingerprint)))
        }

        func status(_ client: HTTPClient, token: String) async throws -> (status: Int, json: JSON) {
            let response = try await client.send(
                HTTPClientRequest(
                    method: .get, url: try HTTPURL(parsing: "https://router.test:\(address.port)/status"),
                    headers: ["authorization": "Bearer \(token)"], connectTo: address),
                on: group.loops[0])
            return (response.status, try JSON(parsing: try await response.body(upTo: 1 << 20)))
        }
    }

    private static func issue() throws -> IssuedCertificate {
        try SelfSigned.issue(
            CertificateRequest(commonName: "router.test", dnsNames: ["router.test"], now: .now(), validFor: .seconds(3600)))
    }

    private func with(_ body: (Fixture, IssuedCertificate) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            let first = try Self.issue()
            let secrets = "\(directory)/secrets"
            try Files.createDirectories(secrets, mode: 0o700)
            try AtomicFile.write(Array("\(Self.oldToken)\n".utf8), to: "\(secrets)/admin-token", mode: 0o600)
            try AtomicFile.write(first.certificatePEM, to: "\(secrets)/tls.crt", mode: 0o600)
            try AtomicFile.write(first.privateKeyPEM.reveal(), to: "\(secrets)/tls.key", mode: 0o600)

            let router = try RouterFixture(directory, backend: DemoBackend())
            let signatures = OperatorKeys.signatures(in: secrets)
            let keys = try #require(try OperatorKeys.load(from: secrets))
            let token = OperatorToken(keys.token)
            let plane = OperatorPlane(
                token: token, pipeline: router.pipeline,
                egress: try EgressControl(EgressControl.Config(sandbox: "test", statePath: nil)), budget: router.budget,
                health: router.health, config: router.config, traces: TraceIDs(), log: .silent)
            let group = try EventLoopGroup()
            let server = HTTPServer(tls: keys.context, handler: plane, group: group)
            let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
            let reloader = OperatorKeyReloader(
                directory: secrets, signatures: signatures, token: token, server: server, log: .silent)
            try await body(
                Fixture(
                    directory: secrets, group: group, server: server, address: address, reloader: reloader, token: token), first)
            await server.drain(within: .milliseconds(200))
        }
    }

    @Test func `new files are in force without a restart, and no connection is dropped`() async throws {
        try await with { (fixture, first) async throws in
            let open = try fixture.client(first)
            #expect(try await fixture.status(open, token: Self.oldToken).status == 200)

            let second = try Self.issue()
            try fixture.write(second)
            try fixture.write("admin-token", Array(Self.newToken.utf8))
            fixture.reloader.look()

            // The open connection lives on under the old certificate; its next request needs the new token.
            #expect(try await fixture.status(open, token: Self.newToken).status == 200)
            #expect(try await fixture.status(open, token: Self.oldToken).status == 401)
            #expect(await open.statistics().openedConnections == 1)
            let next = try fixture.client(second)
            #expect(try await fixture.status(next, token: Self.newToken).status == 200)
            let late = try fixture.client(first)
            await #expect(throws: HTTPClientError.self) { try await fixture.status(late, token: Self.newToken) }
            for client in [open, next, late] { await client.close() }
        }
    }

    @Test(arguments: ["half", "garbage", "short", "gone"])
    func `files that cannot be used leave the old keys in force and show in status`(damage: String) async throws {
        try await with { (fixture, first) async throws in
            let second = try Self.issue()
            switch damage {
            case "half": try fixture.write("tls.crt", second.certificatePEM)
            case "garbage": try fixture.write("tls.key", Array("no key".utf8))
            case "short": try fixture.write("admin-token", Array("short".utf8))
            default: try Files.remove("\(fixture.directory)/tls.crt")
            }
            fixture.reloader.look()
            let client = try fixture.client(first)
            let answer = try await fixture.status(client, token: Self.oldToken)
            #expect(answer.status == 200)
            #expect(answer.json["problems"]?.arrayValue?.contains { $0.stringValue?.contains("new keys") == true } == true)
            await client.close()

            // The rest of the rotation arrives.
            try fixture.write(second)
            try fixture.write("admin-token", Array(Self.newToken.utf8))
            fixture.reloader.look()
            #expect(fixture.token.problem == nil)
            let next = try fixture.client(second)
            #expect(try await fixture.status(next, token: Self.newToken).status == 200)
            await next.close()
        }
    }

    @Test func `the timer sees a change by itself`() async throws {
        try await with { (fixture, _) async throws in
            let reloader = fixture.reloader
            let chore = Housekeeping(every: .milliseconds(20)) { reloader.look() }
            try fixture.write("admin-token", Array(Self.newToken.utf8))
            while !fixture.token.admits(Array(Self.newToken.utf8)) { await Task.yield() }
            #expect(!fixture.token.admits(Array(Self.oldToken.utf8)))
            chore.stop()
        }
    }

    @Test func `keys that are not all there are no keys, and a token that could be guessed is refused`() throws {
        try withTemporaryDirectory { directory in
            #expect(try OperatorKeys.load(from: directory)?.token == nil)
            let issued = try Self.issue()
            try AtomicFile.write(issued.certificatePEM, to: "\(directory)/tls.crt", mode: 0o600)
            try AtomicFile.write(issued.privateKeyPEM.reveal(), to: "\(directory)/tls.key", mode: 0o600)
            #expect(try OperatorKeys.load(from: directory)?.token == nil)
            try AtomicFile.write(Array("  short  \n".utf8), to: "\(directory)/admin-token", mode: 0o600)
            #expect(throws: RouterStartError.self) { try OperatorKeys.load(from: directory) }
        }
    }
}
