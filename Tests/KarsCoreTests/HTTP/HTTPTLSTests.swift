import KarsCore
import KarsTesting
import Testing

@Suite struct `HTTP over TLS` {
    private struct Fixture {
        let server: HTTPServer
        let address: SocketAddress
        let authority: CertificateAuthority

        /// Named for the certificate, connected to where the server really is.
        func request(
            _ target: String = "/", host: String = "agent.test", body: HTTPClientRequest.Body = .none
        ) throws -> HTTPClientRequest {
            HTTPClientRequest(
                method: .post, url: try HTTPURL(parsing: "https://\(host):\(address.port)\(target)"), body: body,
                connectTo: address)
        }

        func client(trust: TLSContext.Trust? = nil, certificate: TLSContext.Identity? = nil) throws -> HTTPClient {
            HTTPClient(
                group: ServerFixture.group,
                tls: try .client(
                    trust: trust ?? .pem(authority.issued.certificatePEM), certificate: certificate, alpn: ["http/1.1"]))
        }
    }

    private func serve(
        requiringCertificates: Bool = false,
        _ handler: @escaping @Sendable (HTTPServerRequest, HTTPServerResponse) async throws -> Void = { request, response in
            try await response.send(status: 200, body: try await request.body(upTo: 1 << 24))
        },
        _ body: (Fixture) async throws -> Void
    ) async throws {
        let authority = try TestCertificates.authority()
        let context = try TLSContext.server(
            try TestCertificates.leaf(from: authority).identity,
            clientAuthorities: requiringCertificates ? authority.issued.certificatePEM : nil, alpn: ["http/1.1"])
        let server = HTTPServer(
            config: ServerFixture.patient, tls: context, handler: HTTPClosureHandler(handler), group: ServerFixture.group)
        let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
        let result: Result<Void, any Error>
        do { result = .success(try await body(Fixture(server: server, address: address, authority: authority))) } catch {
            result = .failure(error)
        }
        await server.drain(within: .milliseconds(200))
        #expect(server.connectionCount == 0)
        try result.get()
    }

    @Test(arguments: [0, 1, 16_384, 16_385, 3_000_000])
    func `a body of any size comes back as it went`(count: Int) async throws {
        try await serve { fixture in
            let client = try fixture.client()
            let bytes = SecureRandom.bytes(count)
            let response = try await client.send(try fixture.request(body: .bytes(bytes)))
            #expect(response.status == 200)
            #expect(try await response.body(upTo: 1 << 24) == bytes)
            await client.close()
        }
    }

    @Test func `a connection is kept and used again`() async throws {
        try await serve { request, response in
            #expect(request.isTLS)
            try await response.send(status: 200, body: Array(request.head.target.utf8))
        } _: { fixture in
            let client = try fixture.client()
            for number in 0..<20 {
                let response = try await client.send(try fixture.request("/\(number)"), on: ServerFixture.group.loops[0])
                #expect(try await response.body(upTo: 100) == Array("/\(number)".utf8))
            }
            #expect(await client.statistics().openedConnections == 1)
            await client.close()
        }
    }

    @Test func `parts of a streamed answer arrive as they are written`() async throws {
        let (parts, continuation) = AsyncStream<[UInt8]>.makeStream()
        try await serve { _, response in
            try await response.start(HTTPResponseHead(status: 200))
            for await part in parts { try await response.write(part) }
            try await response.finish()
        } _: { fixture in
            let client = try fixture.client()
            continuation.yield(Array("first".utf8))
            let response = try await client.send(try fixture.request())
            #expect(try await response.nextBodyPart() == Array("first".utf8))
            // Only what the client has read lets the server go on: nothing is held back for company.
            continuation.yield(Array("second".utf8))
            #expect(try await response.nextBodyPart() == Array("second".utf8))
            continuation.finish()
            #expect(try await response.nextBodyPart() == nil)
            await client.close()
        }
    }

    @Test func `a certificate that is not for the host, not trusted or not pinned fails the request before it is sent`()
        async throws
    {
        try await serve { fixture in
            let stranger = try TestCertificates.authority(named: "stranger")
            let cases: [(TLSContext.Trust?, String)] = [
                (nil, "other.test"), (.pem(stranger.issued.certificatePEM), "agent.test"), (.system, "agent.test"),
                (.pinned(fingerprint: [UInt8](repeating: 0, count: 32)), "agent.test"),
            ]
            for (trust, host) in cases {
                let client = try fixture.client(trust: trust)
                await #expect(throws: HTTPClientError(.tlsFailed, reason: "", origin: "", mayHaveBeenProcessed: false)) {
                    try await client.send(try fixture.request(host: host))
                }
                await client.close()
            }
        }
    }

    @Test func `a required client certificate lets in who has one`() async throws {
        try await serve(requiringCertificates: true) { fixture in
            let caller = try TestCertificates.leaf(from: fixture.authority, dnsNames: ["caller.test"])
            let known = try fixture.client(certificate: caller.identity)
            #expect(try await known.send(try fixture.request()).status == 200)
            await known.close()
            let unknown = try fixture.client()
            await #expect(throws: HTTPClientError.self) { try await unknown.send(try fixture.request()) }
            await unknown.close()
        }
    }

    /// A client certificate as an operator would make one, by the `openssl` command.
    private struct OpenSSLCertificate {
        let authorityPEM: [UInt8]
        let identity: TLSContext.Identity
        let der: [UInt8]
        let publicKeyDER: [UInt8]

        init(in directory: String) throws {
            func openssl(_ line: String) throws {
                let words = line.split(separator: " ").map {
                    String($0.replacing("_", with: " ").replacing("@", with: directory))
                }
                _ = try OpenSSLPeer(words).output()
            }
            func file(_ name: String) throws -> [UInt8] { try Files.read("\(directory)/\(name)", upTo: 1 << 16) }
            let key = "-newkey rsa:2048 -nodes -days 2"
            try openssl("req -x509 \(key) -subj /CN=client_authority -keyout @/ca.key -out @/ca.crt")
            try openssl(
                "req -x509 -CA @/ca.crt -CAkey @/ca.key \(key) -subj /O=Kars,_Ltd/CN=gateway -keyout @/own.key -out @/own.crt"
                    + " -addext subjectAltName=DNS:gw.test,URI:spiffe://kars/gw,IP:10.1.2.3")
            try openssl("x509 -in @/own.crt -outform DER -out @/own.der")
            try openssl("pkey -in @/own.key -pubout -outform DER -out @/spki.der")
            authorityPEM = try file("ca.crt")
            identity = TLSContext.Identity(
                certificateChainPEM: try file("own.crt"), privateKeyPEM: Secret(try file("own.key")))
            der = try file("own.der")
            publicKeyDER = try file("spki.der")
        }
    }

    @Test func `a handler learns whom the client's verified certificate names`() async throws {
        try await withTemporaryDirectory { directory in
            let made = try OpenSSLCertificate(in: directory)
            let own = try TestCertificates.authority()
            let context = try TLSContext.server(
                try TestCertificates.leaf(from: own).identity, clientAuthorities: made.authorityPEM)
            let (seen, report) = AsyncStream<TLSCertificate?>.makeStream()
            let handler = HTTPClosureHandler { request, response in
                report.yield(await request.peerCertificate)
                try await response.send(status: 200)
            }
            let server = HTTPServer(config: ServerFixture.patient, tls: context, handler: handler, group: ServerFixture.group)
            let fixture = Fixture(
                server: server, address: try await server.bind(SocketAddress(.loopbackV4, port: 0)), authority: own)
            let client = try fixture.client(certificate: made.identity)
            var certificates = seen.makeAsyncIterator()
            for _ in 0..<2 {
                #expect(try await client.send(try fixture.request(), on: ServerFixture.group.loops[0]).body(upTo: 10) == [])
                let certificate = try #require(await certificates.next() ?? nil)
                #expect(certificate.subject == #"CN=gateway,O=Kars\, Ltd"#)
                #expect(certificate.commonName == "gateway")
                #expect(certificate.dnsNames == ["gw.test"])
                #expect(certificate.uris == ["spiffe://kars/gw"])
                #expect(certificate.ipAddresses == [try #require(IPAddress("10.1.2.3"))])
                #expect(certificate.der == made.der)
                #expect(certificate.publicKeyDER == made.publicKeyDER)
                #expect(certificate.publicKeyDigest == SHA256.hash(made.publicKeyDER))
            }
            await client.close()
            let stranger = try fixture.client(certificate: try TestCertificates.leaf(from: own).identity)
            await #expect(throws: HTTPClientError.self) { try await stranger.send(try fixture.request()) }
            await stranger.close()
            await server.drain(within: .milliseconds(200))
            report.finish()
            #expect(await certificates.next() == nil)
        }
    }

    @Test func `without mutual TLS a client has no certificate, whatever it would present`() async throws {
        let (seen, report) = AsyncStream<Bool>.makeStream()
        try await serve { request, response in
            report.yield(await request.peerCertificate == nil)
            try await response.send(status: 200)
        } _: { fixture in
            let client = try fixture.client(certificate: try TestCertificates.leaf(from: fixture.authority).identity)
            #expect(try await client.send(try fixture.request()).status == 200)
            await client.close()
        }
        report.finish()
        for await isAbsent in seen { #expect(isAbsent) }
    }

    @Test func `a replaced certificate serves the next connection and spares the open one`() async throws {
        try await serve { fixture in
            let old = try fixture.client()
            let loop = ServerFixture.group.loops[0]
            #expect(try await old.send(try fixture.request(), on: loop).body(upTo: 10) == [])
            let successor = try TestCertificates.authority(named: "successor")
            fixture.server.replaceTLS(try .server(try TestCertificates.leaf(from: successor).identity))
            #expect(try await old.send(try fixture.request(), on: loop).body(upTo: 10) == [])
            #expect(await old.statistics().openedConnections == 1)
            await old.close()
            let new = try fixture.client(trust: .pem(successor.issued.certificatePEM))
            #expect(try await new.send(try fixture.request()).status == 200)
            await new.close()
            let late = try fixture.client()
            await #expect(throws: HTTPClientError(.tlsFailed, reason: "", origin: "", mayHaveBeenProcessed: false)) {
                try await late.send(try fixture.request())
            }
            await late.close()
        }
    }

    @Test func `a client without TLS gets no answer, and the next one is served`() async throws {
        try await serve { fixture in
            let plain = try await ByteStream.connect(
                to: fixture.address, on: ServerFixture.group.next(), within: .seconds(60))
            try await plain.write(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
            let answer = try? await plain.readToEnd()
            #expect(answer?.contains("HTTP") != true)
            await plain.close()
            let client = try fixture.client()
            #expect(try await client.send(try fixture.request()).status == 200)
            await client.close()
        }
    }
}
