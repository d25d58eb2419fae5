import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

@Suite struct `Keys of issuers` {
    private static let keys = #"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"1"}]}"#

    /// What an issuer on this machine answers, by path.
    private final class Answers: Sendable {
        let byPath = Mutex<[String: (status: Int, headers: HTTPHeaders, body: String)]>([:])
    }

    private func withIssuer(
        refusal: @escaping JWKSFetcher.Refusal = { _ in nil }, lookup: @escaping JWKSFetcher.Lookup = { _ in [.loopbackV4] },
        _ body: (String, Answers, JWKSFetcher, Watched<[String]>, ManualClock) async throws -> Void
    ) async throws {
        let group = try EventLoopGroup()
        let issued = try SelfSigned.issue(
            CertificateRequest(commonName: "id.test", dnsNames: ["id.test"], now: .now(), validFor: .seconds(3600)))
        let answers = Answers(), asked = Watched<[String]>([])
        let context = try TLSContext.server(
            TLSContext.Identity(certificateChainPEM: issued.certificatePEM, privateKeyPEM: issued.privateKeyPEM))
        let server = HTTPServer(
            tls: context,
            handler: HTTPClosureHandler { request, response in
                let path = String(request.head.path)
                asked.change { $0.append(path) }
                let answer = answers.byPath.withLock { $0[path] } ?? (status: 404, headers: HTTPHeaders(), body: "")
                try await response.send(
                    HTTPResponseHead(status: answer.status, headers: answer.headers), body: Array(answer.body.utf8))
            }, group: group)
        let port = try await server.bind(SocketAddress(.loopbackV4, port: 0)).port
        let clock = ManualClock()
        let client = HTTPClient(group: group, tls: try .client(trust: .pem(issued.certificatePEM)))
        let fetcher = JWKSFetcher(client: client, time: clock, lookup: lookup, refusal: refusal)
        let url = "https://id.test:\(port)"
        answers.byPath.withLock {
            $0["/.well-known/openid-configuration"] = (200, HTTPHeaders(), #"{"issuer":"\#(url)","jwks_uri":"\#(url)/keys"}"#)
            $0["/keys"] = (200, HTTPHeaders(), Self.keys)
        }
        let result: Result<Void, any Error>
        do { result = .success(try await body(url, answers, fetcher, asked, clock)) } catch { result = .failure(error) }
        await client.close()
        await server.drain(within: .milliseconds(200))
        group.shutdown()
        try result.get()
    }

    private func fault(_ result: Result<JSONWebKeySet, CompileFault>) -> String {
        guard case .failure(let fault) = result else { return "no fault" }
        return fault.message
    }

    @Test func `an issuer's keys are found through its configuration, and kept for a while`() async throws {
        try await withIssuer { url, _, fetcher, asked, clock in
            let found = try await fetcher.keys(of: url).get()
            #expect(found.keys.count == 1)
            _ = await fetcher.keys(of: url)
            #expect(asked.value == ["/.well-known/openid-configuration", "/keys"])
            clock.advance(by: .seconds(3601))
            _ = await fetcher.keys(of: url)
            #expect(asked.value.count == 4)
        }
    }

    @Test(arguments: ["10.0.0.7", "127.0.0.1", "169.254.169.254", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1", "::1"])
    func `a name with an address inside is not connected to, whatever its other addresses`(address: String) async throws {
        let inside = try #require(IPAddress(address)), outside = try #require(IPAddress("93.184.216.34"))
        try await withIssuer(refusal: { AddressPolicy().refusal(of: $0) }, lookup: { _ in [outside, inside] }) {
            url, _, fetcher, asked, _ in
            #expect(fault(await fetcher.keys(of: url)).contains("not public"))
            #expect(asked.value == [])
        }
    }

    @Test(arguments: ["https://10.0.0.7", "https://[::1]:8443", "https://169.254.169.254/x"])
    func `nor is an address inside that is given as such`(issuer: String) async throws {
        try await withIssuer(refusal: { AddressPolicy().refusal(of: $0) }) { _, _, fetcher, _, _ in
            #expect(fault(await fetcher.keys(of: issuer)).contains("not public"))
        }
    }

    @Test func `the address of the keys is held to the same`() async throws {
        try await withIssuer { url, answers, fetcher, asked, _ in
            answers.byPath.withLock {
                $0["/.well-known/openid-configuration"] = (
                    200, HTTPHeaders(), #"{"issuer":"\#(url)","jwks_uri":"http://id.test/keys"}"#
                )
            }
            #expect(fault(await fetcher.keys(of: url)).hasPrefix("tls: "))
            #expect(asked.value == ["/.well-known/openid-configuration"])
        }
    }

    @Test func `a redirect is not followed`() async throws {
        try await withIssuer { url, answers, fetcher, asked, _ in
            answers.byPath.withLock { $0["/keys"] = (302, ["location": "https://id.test/other"], "") }
            #expect(fault(await fetcher.keys(of: url)) == "http_status: id.test: status 302")
            #expect(asked.value.count == 2)
        }
    }

    @Test func `a configuration for another issuer is not believed`() async throws {
        try await withIssuer { url, answers, fetcher, _, _ in
            answers.byPath.withLock {
                $0["/.well-known/openid-configuration"] = (
                    200, HTTPHeaders(), #"{"issuer":"https://else.test","jwks_uri":"\#(url)/keys"}"#
                )
            }
            #expect(fault(await fetcher.keys(of: url)).contains("another issuer"))
        }
    }

    @Test func `more than a key set is not read`() async throws {
        try await withIssuer { url, answers, fetcher, _, _ in
            answers.byPath.withLock { $0["/keys"] = (200, HTTPHeaders(), String(repeating: " ", count: 300_000) + Self.keys) }
            guard case .failure = await fetcher.keys(of: url) else {
                Issue.record("it was read")
                return
            }
        }
    }
}
