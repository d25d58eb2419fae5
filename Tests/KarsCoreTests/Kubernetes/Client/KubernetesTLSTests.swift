import KarsCore
import KarsTesting
import Testing

@Suite struct `Kubernetes client over TLS` {
    /// A server that demands a client certificate when `demandsCertificate`, and answers with what it saw.
    private func served(
        demandsCertificate: Bool = false, dnsNames: [String] = ["kubernetes"],
        _ body: (KubernetesClientConfig, CertificateAuthority) async throws -> Void
    ) async throws {
        let authority = try TestCertificates.authority()
        let context = try TLSContext.server(
            try TestCertificates.leaf(from: authority, dnsNames: dnsNames, ipAddresses: []).identity,
            clientAuthorities: demandsCertificate ? authority.issued.certificatePEM : nil, alpn: ["http/1.1"])
        let handler = HTTPClosureHandler { request, response in
            let body: JSON = ["kind": "Seen", "isTLS": .bool(request.isTLS)]
            try await response.send(status: 200, headers: ["content-type": "application/json"], body: body.encoded())
        }
        let server = HTTPServer(
            config: ServerFixture.patient, tls: context, handler: handler, group: ServerFixture.group)
        let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
        var config = KubernetesClientConfig(server: HTTPURL(scheme: .https, host: "127.0.0.1", port: address.port))
        config.trust = .authorities(.text(authority.issued.certificatePEM))
        config.tlsServerName = "kubernetes"
        let result: Result<Void, any Error>
        do { result = .success(try await body(config, authority)) } catch { result = .failure(error) }
        await server.drain(within: .milliseconds(200))
        try result.get()
    }

    private func isAnswered(_ config: KubernetesClientConfig) async throws(APIStatus) -> Bool {
        let client = KubernetesClient(config, group: ServerFixture.group)
        let result: Result<JSON, APIStatus>
        do throws(APIStatus) { result = .success(try await client.send(.version)) } catch { result = .failure(error) }
        await client.close()
        return try result.get()["isTLS"] == true
    }

    private func failure(_ config: KubernetesClientConfig) async -> APIStatus.Reason? {
        do throws(APIStatus) {
            _ = try await isAnswered(config)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func `the certificate is for the name in the configuration`() async throws {
        try await served { config, _ async throws in
            #expect(try await isAnswered(config))
            var other = config
            other.tlsServerName = nil
            #expect(await failure(other) == .unreachable)
        }
    }

    @Test func `nobody is trusted unless configured, and everybody only when asked`() async throws {
        try await served(dnsNames: ["elsewhere"]) { config, _ async throws in
            #expect(await failure(config) == .unreachable)
            var unverified = config
            unverified.trust = .unverified
            unverified.tlsServerName = nil
            #expect(try await isAnswered(unverified))
        }
    }

    @Test func `a client certificate from files opens the door`() async throws {
        try await served(demandsCertificate: true) { config, authority async throws in
            #expect(await failure(config) == .unreachable)
            let leaf = try TestCertificates.leaf(from: authority)
            try await withTemporaryDirectory { directory async throws in
                try AtomicFile.write(leaf.certificatePEM, to: "\(directory)/crt", mode: 0o600)
                try AtomicFile.write(leaf.privateKeyPEM.reveal(), to: "\(directory)/key", mode: 0o600)
                var known = config
                known.certificate = .init(chain: .file("\(directory)/crt"), key: Secret(.file("\(directory)/key")))
                #expect(try await isAnswered(known))
                known.certificate = .init(chain: .file("\(directory)/crt"), key: Secret(.file("\(directory)/absent")))
                #expect(await failure(known) == .noCredentials)
            }
        }
    }

    @Test func `a proxy is asked for a tunnel, and TLS goes through it`() async throws {
        try await served { config, _ async throws in
            let seen = Watched<[String]>([])
            let proxy = HTTPClosureHandler { request, response in
                seen.change { $0.append("\(request.head.target) \(request.head.headers["proxy-authorization"] ?? "-")") }
                guard request.head.headers.contains("proxy-authorization") else {
                    return try await response.send(status: 407)
                }
                let near = try await response.upgrade(HTTPResponseHead(status: 200))
                let far = try await ByteStream.connect(
                    to: SocketAddress(.loopbackV4, port: config.server.port), on: ServerFixture.group.currentOrNext(),
                    within: .seconds(60))
                _ = await near.tunnel(to: far, limits: TunnelLimits())
            }
            let server = HTTPServer(config: ServerFixture.patient, handler: proxy, group: ServerFixture.group)
            let address = try await server.bind(SocketAddress(.loopbackV4, port: 0))
            var through = config
            through.proxy = HTTPProxy(host: "127.0.0.1", port: address.port, user: "me", password: Secret("pw"))
            #expect(try await isAnswered(through))
            through.proxy = HTTPProxy(host: "127.0.0.1", port: address.port)
            #expect(await failure(through) == .unreachable)
            let target = "127.0.0.1:\(config.server.port)"
            #expect(seen.value == ["\(target) Basic \(Base64.encode(Array("me:pw".utf8)))", "\(target) -"])
            await server.drain(within: .milliseconds(200))
        }
    }
}
