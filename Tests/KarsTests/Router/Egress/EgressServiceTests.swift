import KarsCore
import Synchronization
import Testing

@testable import Kars

@Suite struct `Egress settings` {
    @Test func `are read whole, and what cannot be permitted is told`() throws {
        var reader = EnvironmentReader(values: [
            "EGRESS_PERMITTED_PREFIXES": "10.20.0.0/16,127.0.0.0/8", "EGRESS_REFUSED_PREFIXES": "20.0.0.0/8,x",
            "EGRESS_ALLOW_ENCRYPTED_HELLO": "true",
        ])
        let settings = EgressSettings(reading: &reader)
        #expect(settings.addresses.permitted.map(\.description) == ["10.20.0.0/16"])
        #expect(settings.addresses.refused.map(\.description) == ["20.0.0.0/8"])
        #expect(settings.toleratesEncryptedHello)
        #expect(reader.problems.count == 2)
        #expect(reader.problems.first?.contains("EGRESS_PERMITTED_PREFIXES") == true)
    }

    @Test func `search domains come from resolv.conf`() {
        let text =
            "# x\nnameserver 10.0.0.10\nsearch kars-a.svc.cluster.local  svc.cluster.local\noptions ndots:5\ndomain Example.com.\n"
        #expect(
            EgressSettings.searchDomains(parsing: Array(text.utf8)) == [
                "kars-a.svc.cluster.local", "svc.cluster.local", "example.com",
            ])
    }
}

@Suite struct `Egress service` {
    @Test func `it serves proxy and resolver until it is closed`() async throws {
        let group = try EventLoopGroup()
        let control = try EgressControl(.init(sandbox: "test"))
        control.replace(baseline: [])
        let judge = EgressFixture.Judge()
        let service = try await EgressService.start(
            control: control, judge: judge, settings: EgressSettings(), proxyPort: 0, dnsPort: 0, group: group, log: .silent)
        let loop = group.next()
        let client = try await ByteStream.connect(to: service.proxyAddress, on: loop, within: .seconds(60))
        try await client.write("CONNECT evil.example.com:443 HTTP/1.1\r\nhost: evil.example.com\r\n\r\n")
        #expect(String(decoding: try await client.readAll(), as: UTF8.self).hasPrefix("HTTP/1.1 403 Forbidden\r\n"))
        await client.close()
        let resolver = try await ByteStream.connect(to: service.dnsAddress, on: loop, within: .seconds(60))
        let query = `DNS stub`.query("evil.example.com")
        try await resolver.write([0, UInt8(query.count)] + query)
        await resolver.shutdownWrite()
        let answer = try await resolver.readAll()
        #expect(try DNSMessage(parsing: answer[2...]).code == 3)
        await resolver.close()
        #expect(judge.calls.map(\.attempt.edge) == [.connect, .dns])
        await service.close()
        await #expect(throws: StreamError.self) {
            let late = try await ByteStream.connect(to: service.proxyAddress, on: loop, within: .seconds(1))
            await late.close()
        }
        group.shutdown()
    }
}
