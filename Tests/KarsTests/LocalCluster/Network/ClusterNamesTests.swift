import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Cluster names` {
    static let state: NetworkState = {
        var state = NetworkState()
        state.namespaces = ["default": [:], "other": [:]]
        state.pods = [.init(uid: "u", namespace: "default", name: "a")]
        state.services = [
            .init(
                namespace: "default", name: "web", kind: .cluster(IPv4Address(10, 96, 3, 4)),
                ports: [.init(name: "http", transport: .tcp, number: 80), .init(name: "", transport: .udp, number: 9)]),
            .init(namespace: "other", name: "db", kind: .headless, ports: [.init(name: "sql", transport: .tcp, number: 5_432)]),
            .init(namespace: "other", name: "empty", kind: .headless),
            .init(namespace: "default", name: "outside", kind: .external("example.com")),
            .init(namespace: "default", name: "loop", kind: .external("loop.default.svc.cluster.local")),
            .init(namespace: "default", name: "inside", kind: .external("web.default.svc.cluster.local")),
        ]
        state.slices = [
            .init(
                namespace: "other", service: "db", ports: [.init(name: "sql", transport: .tcp, number: 5_433)],
                endpoints: [
                    .init(address: IPv4Address(10, 244, 0, 2), hostname: "db-0"), .init(address: IPv4Address(10, 244, 0, 3)),
                    .init(address: IPv4Address(10, 244, 0, 4), isReady: false),
                ])
        ]
        return state
    }()

    let names = ClusterNames(Self.state, pods: ["u": IPv4Address(10, 244, 0, 2)], domain: "cluster.local")

    private func ask(_ name: String, _ type: DNSType = .a) throws -> ClusterNames.Answer {
        names.answer(try HostName(name), type)
    }
    private func address(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) -> DNSAnswer.Data {
        .address(.v4(IPv4Address(a, b, c, d)))
    }

    @Test func `a Service is its address`() throws {
        #expect(try ask("web.default.svc.cluster.local") == .records([address(10, 96, 3, 4)]))
        #expect(try ask("WEB.Default.svc.Cluster.Local.") == .records([address(10, 96, 3, 4)]))
        #expect(try ask("web.default.svc.cluster.local", .aaaa) == .records([]))
        #expect(
            try ask("4.3.96.10.in-addr.arpa", .pointer) == .records([.pointer(try HostName("web.default.svc.cluster.local"))]))
    }

    @Test func `a headless Service is its ready endpoints, each with a name`() throws {
        #expect(try ask("db.other.svc.cluster.local") == .records([address(10, 244, 0, 2), address(10, 244, 0, 3)]))
        #expect(try ask("db-0.db.other.svc.cluster.local") == .records([address(10, 244, 0, 2)]))
        #expect(try ask("10-244-0-3.db.other.svc.cluster.local") == .records([address(10, 244, 0, 3)]))
        #expect(try ask("10-244-0-4.db.other.svc.cluster.local") == .absent)
        #expect(try ask("empty.other.svc.cluster.local") == .records([]))
    }

    @Test func `named ports have their numbers`() throws {
        let web = try HostName("web.default.svc.cluster.local")
        #expect(
            try ask("_http._tcp.web.default.svc.cluster.local", .service)
                == .records([.service(priority: 0, weight: 100, port: 80, target: web)]))
        #expect(
            try ask("_sql._tcp.db.other.svc.cluster.local", .service)
                == .records([
                    .service(priority: 0, weight: 100, port: 5_433, target: try HostName("db-0.db.other.svc.cluster.local")),
                    .service(
                        priority: 0, weight: 100, port: 5_433, target: try HostName("10-244-0-3.db.other.svc.cluster.local")),
                ]))
        #expect(try ask("_http._udp.web.default.svc.cluster.local", .service) == .absent)
        #expect(try ask("_tcp.web.default.svc.cluster.local", .service) == .records([]))
    }

    @Test func `pods have names of their addresses`() throws {
        #expect(try ask("10-244-0-2.default.pod.cluster.local") == .records([address(10, 244, 0, 2)]))
        #expect(try ask("10-244-0-2.other.pod.cluster.local") == .absent)
        #expect(try ask("10-244-0-9.default.pod.cluster.local") == .absent)
    }

    @Test func `what is above names exists, what is not does not, and the world is elsewhere`() throws {
        for name in ["cluster.local", "svc.cluster.local", "default.svc.cluster.local"] { #expect(try ask(name) == .records([])) }
        for name in ["none.default.svc.cluster.local", "none.svc.cluster.local", "x.cluster.local", "example.com.cluster.local"] {
            #expect(try ask(name) == .absent, "\(name)")
        }
        for name in ["example.com", "local", "xcluster.local", "9.9.9.9.in-addr.arpa"] { #expect(try ask(name) == .elsewhere) }
    }

    @Test func `messages carry what the names say`() async throws {
        let group = try EventLoopGroup()
        defer { group.shutdown() }
        let server = ClusterNameServer(
            domain: "cluster.local", forwarder: DNSForwarder(group: group, servers: { [] }), group: group)
        server.update(names)
        func ask(_ name: String, _ type: DNSType = .a) async throws -> DNSMessage {
            let answer = await server.answer(Question.bytes(name, type), overUDP: true, client: .loopbackV4)
            return try DNSMessage(parsing: try #require(answer)[...])
        }
        let web = try await ask("web.default.svc.cluster.local")
        #expect(web.id == 7 && web.code == 0 && web.addresses == [.v4(IPv4Address(10, 96, 3, 4))])
        #expect(try await ask("none.default.svc.cluster.local").code == 3)
        // Nobody to ask.
        #expect(try await ask("example.com").code == 2)
        // An alias comes with what is behind it; one of itself ends.
        let inside = try await ask("inside.default.svc.cluster.local")
        #expect(inside.answers.map(\.type) == [.alias, .a] && inside.addresses == web.addresses)
        #expect(try await ask("loop.default.svc.cluster.local").code == 3)
        let service = try await ask("_http._tcp.web.default.svc.cluster.local", .service)
        // Priority, weight, port, target in the clear (RFC 2782).
        let target = Question.name("web.default.svc.cluster.local")
        #expect(service.answers.map(\.data) == [[0, 0, 0, 100, 0, 80] + target])
        let turned = try await ask("db.other.svc.cluster.local")
        #expect(Set(turned.addresses) == [.v4(IPv4Address(10, 244, 0, 2)), .v4(IPv4Address(10, 244, 0, 3))])
    }

    @Test func `other questions go to the machine's name servers and their answers come back`() async throws {
        let group = try EventLoopGroup()
        defer { group.shutdown() }
        // It answers under the id it was asked with, or under another one first.
        let upstream = DNSServer { message, _, _ in
            let query = try? DNSQuery(parsing: message[...])
            return query.map { DNSResponse(.noError, addresses: [.v4(IPv4Address(192, 0, 2, 7))], ttl: 9).encoded(answering: $0) }
        }
        let listeners = try await upstream.bind(SocketAddress(.loopbackV4, port: 0), on: group)
        let forwarder = DNSForwarder(group: group, servers: { [listeners.address] })
        for overUDP in [true, false] {
            let question = Question.bytes("example.com", .a)
            let answer = try #require(await forwarder.forward(question, overUDP: overUDP, client: .loopbackV4))
            let message = try DNSMessage(parsing: answer[...])
            #expect(message.id == 7 && message.addresses == [.v4(IPv4Address(192, 0, 2, 7))])
        }
        await listeners.close()
    }

    @Test func `one pod does not take all the questions that may be under way`() async throws {
        let group = try EventLoopGroup()
        defer { group.shutdown() }
        let (asked, counter) = AsyncStream.makeStream(of: Void.self), (gate, opener) = AsyncStream.makeStream(of: Void.self)
        let upstream = DNSServer { message, _, _ in
            counter.yield()
            for await _ in gate {}
            return (try? DNSQuery(parsing: message[...])).map { DNSResponse(.nameError).encoded(answering: $0) }
        }
        let listeners = try await upstream.bind(SocketAddress(.loopbackV4, port: 0), on: group)
        var config = DNSForwarder.Config()
        (config.limit, config.maxPerClient) = (.seconds(60), 1)
        let forwarder = DNSForwarder(config: config, group: group, servers: { [listeners.address] })
        let first = Task { await forwarder.forward(Question.bytes("a.example", .a), overUDP: true, client: .loopbackV4) }
        for await _ in asked { break }
        #expect(await forwarder.forward(Question.bytes("b.example", .a), overUDP: true, client: .loopbackV4) == nil)
        opener.finish()
        #expect(await first.value != nil)
        await listeners.close()
    }

    @Test func `name servers are read from resolv.conf`() {
        let text = "# c\nnameserver 192.0.2.1\nsearch x\n nameserver\t::1\nnameserver x\nnameserver\noptions edns0\n"
        #expect(DNSForwarder.servers(in: text).map(\.description) == ["192.0.2.1:53", "[::1]:53"])
    }
}

private enum Question {
    static func name(_ text: String) -> [UInt8] {
        text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    static func bytes(_ text: String, _ type: DNSType) -> [UInt8] {
        [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + name(text) + [UInt8(type.rawValue >> 8), UInt8(type.rawValue & 255), 0, 1]
    }
}
