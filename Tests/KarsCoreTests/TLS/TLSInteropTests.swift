import KarsCore
import KarsTesting
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite(.enabled(if: OpenSSLPeer.path != nil, "the openssl command is not installed"))
struct `TLS with the openssl command` {
    let authority: CertificateAuthority
    let leaf: IssuedCertificate

    init() throws {
        authority = try TestCertificates.authority()
        leaf = try TestCertificates.leaf(from: authority)
    }

    private func store(_ bytes: [UInt8], _ name: String, in directory: String) throws -> String {
        try AtomicFile.write(bytes, to: "\(directory)/\(name)", mode: 0o600)
        return "\(directory)/\(name)"
    }

    // MARK: It connects to us

    private func withClient(
        _ arguments: [String], server: TLSContext, _ body: (OpenSSLPeer, TLSEngine, Int32) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            let listener = try OpenSSLPeer.listen(at: "\(directory)/s")
            defer { close(listener) }
            let authority = try store(authority.issued.certificatePEM, "ca.pem", in: directory)
            let caller = try TestCertificates.leaf(from: self.authority, dnsNames: ["caller.test"])
            let certificate = try store(caller.certificatePEM, "c.pem", in: directory)
            let key = try store(caller.privateKeyPEM.reveal(), "k.pem", in: directory)
            let expanded = arguments.map { $0 == "CERTIFICATE" ? certificate : $0 == "KEY" ? key : $0 }
            let peer = try OpenSSLPeer(
                ["s_client", "-unix", "\(directory)/s", "-CAfile", authority, "-servername", "agent.test"] + expanded)
            let socket = try OpenSSLPeer.accept(listener)
            defer { close(socket) }
            try body(peer, try TLSEngine(server: server, peer: "s_client"), socket)
        }
    }

    @Test(arguments: ["-tls1_3", "-tls1_2"])
    func `s_client verifies us and talks with us`(version: String) throws {
        let server = try TLSContext.server(leaf.identity, alpn: ["http/1.1"])
        try withClient(
            [version, "-quiet", "-verify_return_error", "-verify_hostname", "agent.test", "-alpn", "h2,http/1.1"], server: server
        ) { peer, engine, socket in
            peer.write("hello\n")
            let read = try OpenSSLPeer.drive(engine, over: socket, sending: Array("welcome\n".utf8)) { $0.contains(10) }
            #expect(read.bytes == Array("hello\n".utf8))
            #expect(engine.version == (version == "-tls1_3" ? "TLSv1.3" : "TLSv1.2"))
            #expect(engine.negotiatedALPN == "http/1.1")
            #expect(engine.requestedServerName == "agent.test")
            #expect(peer.output(until: "welcome\n").contains("welcome\n"))
        }
    }

    @Test(arguments: ["-tls1_3", "-tls1_2"])
    func `s_client presents its certificate when we require one`(version: String) throws {
        let server = try TLSContext.server(leaf.identity, clientAuthorities: authority.issued.certificatePEM)
        try withClient([version, "-quiet", "-cert", "CERTIFICATE", "-key", "KEY"], server: server) { peer, engine, socket in
            peer.write("hello\n")
            _ = try OpenSSLPeer.drive(engine, over: socket) { $0.contains(10) }
            #expect(engine.peerCertificate?.dnsNames == ["caller.test"])
        }
        try withClient([version, "-quiet"], server: server) { _, engine, socket in
            #expect(throws: TLSError(.certificateRejected, "")) {
                try OpenSSLPeer.drive(engine, over: socket) { $0.contains(10) }
            }
        }
    }

    @Test func `s_client without TLS 1.2 or forward secrecy gets nowhere`() throws {
        let server = try TLSContext.server(leaf.identity)
        for arguments in [
            ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
            ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"],
        ] {
            try withClient(["-quiet"] + arguments, server: server) { _, engine, socket in
                #expect(throws: TLSError(.handshakeFailed, "")) { try OpenSSLPeer.drive(engine, over: socket) { _ in false } }
            }
        }
    }

    @Test func `s_client that asks for renegotiation is refused it`() throws {
        let server = try TLSContext.server(leaf.identity)
        try withClient(["-tls1_2"], server: server) { peer, engine, socket in
            _ = try OpenSSLPeer.drive(engine, over: socket) { _ in true }
            peer.write("R\n")
            // It treats our refusal as the end of the connection.
            #expect(throws: TLSError.self) { try OpenSSLPeer.drive(engine, over: socket) { _ in false } }
        }
    }

    // MARK: We connect to it

    private func withServer(
        _ arguments: [String], client: TLSContext, _ body: (OpenSSLPeer, TLSEngine, Int32) throws -> Void
    ) throws {
        try withTemporaryDirectory { directory in
            let authority = try store(authority.issued.certificatePEM, "ca.pem", in: directory)
            let certificate = try store(leaf.certificatePEM, "c.pem", in: directory)
            let key = try store(leaf.privateKeyPEM.reveal(), "k.pem", in: directory)
            let peer = try OpenSSLPeer(
                ["s_server", "-unix", "\(directory)/s", "-cert", certificate, "-key", key, "-CAfile", authority, "-naccept", "1"]
                    + arguments)
            #expect(peer.output(until: "ACCEPT").contains("ACCEPT"))
            let socket = try OpenSSLPeer.connect(to: "\(directory)/s")
            defer { close(socket) }
            try body(peer, try TLSEngine(client: client, serverName: try Host("agent.test"), peer: "s_server"), socket)
        }
    }

    @Test(arguments: ["-tls1_3", "-tls1_2"])
    func `we verify s_server and talk with it`(version: String) throws {
        let client = try TLSContext.client(trust: .pem(authority.issued.certificatePEM), alpn: ["http/1.1"])
        try withServer([version, "-rev", "-alpn", "http/1.1"], client: client) { _, engine, socket in
            let read = try OpenSSLPeer.drive(engine, over: socket, sending: Array("desrever\n".utf8)) { $0.contains(10) }
            #expect(read.bytes == Array("reversed\n".utf8))
            #expect(engine.version == (version == "-tls1_3" ? "TLSv1.3" : "TLSv1.2"))
            #expect(engine.negotiatedALPN == "http/1.1")
            #expect(engine.peerCertificate == leaf.certificate)
        }
    }

    @Test func `s_server that asks for a certificate gets ours`() throws {
        let caller = try TestCertificates.leaf(from: authority, dnsNames: ["caller.test"])
        let client = try TLSContext.client(trust: .pem(authority.issued.certificatePEM), certificate: caller.identity)
        try withServer(["-rev", "-Verify", "1", "-verify_return_error"], client: client) { _, engine, socket in
            let read = try OpenSSLPeer.drive(engine, over: socket, sending: Array("ab\n".utf8)) { $0.contains(10) }
            #expect(read.bytes == Array("ba\n".utf8))
        }
        let nameless = try TLSContext.client(trust: .pem(authority.issued.certificatePEM))
        try withServer(["-rev", "-Verify", "1", "-verify_return_error"], client: nameless) { _, engine, socket in
            #expect(throws: TLSError(.rejectedByPeer, "")) {
                try OpenSSLPeer.drive(engine, over: socket, sending: Array("ab\n".utf8)) { $0.contains(10) }
            }
        }
    }

    @Test func `s_server with a certificate that we do not trust is refused`() throws {
        try withServer(["-rev"], client: try .client()) { _, engine, socket in
            #expect(throws: TLSError(.certificateRejected, "")) { try OpenSSLPeer.drive(engine, over: socket) { _ in false } }
        }
    }

    // MARK: Files

    @Test func `an encrypted key that it made is refused instead of asking for its password`() throws {
        let peer = try OpenSSLPeer(["genpkey", "-algorithm", "ED25519", "-aes-256-cbc", "-pass", "pass:1234"])
        let key = peer.output()
        #expect(key.contains("ENCRYPTED PRIVATE KEY"))
        #expect(throws: TLSError(.invalidCredentials, "")) {
            try TLSContext.server(
                .init(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: Secret(Array(key.utf8))))
        }
    }

    @Test func `its own check accepts what we issue`() throws {
        try withTemporaryDirectory { directory in
            let authority = try store(authority.issued.certificatePEM, "ca.pem", in: directory)
            let certificate = try store(leaf.certificatePEM, "c.pem", in: directory)
            let peer = try OpenSSLPeer([
                "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "agent.test", "-CAfile", authority,
                certificate,
            ])
            #expect(peer.output().hasSuffix(": OK\n"))
        }
    }
}
