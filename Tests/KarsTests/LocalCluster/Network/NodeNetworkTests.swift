import CLinux
import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The node's network for real: namespaces, cables and packet rules of this machine, and pods that send packets.
@Suite(.serialized, .enabled(if: NetworkRig.isPossible()), .timeLimit(.minutes(5))) struct `Node network` {
    private static func web(_ address: IPv4Address, to endpoints: [IPv4Address], named name: String = "web") -> (
        NetworkState.Service, NetworkState.Slice
    ) {
        (
            .init(
                namespace: "default", name: name, kind: .cluster(address),
                ports: [.init(name: "http", transport: .tcp, number: 80), .init(name: "echo", transport: .udp, number: 7)]),
            .init(
                namespace: "default", service: name,
                ports: [
                    .init(name: "http", transport: .tcp, number: 8_080), .init(name: "echo", transport: .udp, number: 8_081),
                ],
                endpoints: endpoints.map { .init(address: $0) })
        )
    }

    private static func policy(_ spec: JSON) throws -> NetworkPolicy {
        let object: JSON = ["metadata": ["namespace": "default", "name": "p"], "spec": spec]
        return NetworkPolicy(reading: try #require(object.objectValue))
    }

    @Test(arguments: [PacketTool.Choice.nft, .legacy])
    func `pods reach each other by address, by Service and by name`(backend: PacketTool.Choice) async throws {
        try await withNetwork(backend: backend) { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state)
            let (service, slice) = Self.web(IPv4Address(10, 96, 3, 4), to: [b.address])
            (state.services, state.slices) = ([service], [slice])
            try await rig.network.apply(state)
            try await b.listen(tcp: [8_080], udp: [8_081])
            #expect(try await a.connect("\(b.address)", 8_080) == "from \(a.address)")
            #expect(try await a.connect("10.96.3.4", 80) == "from \(a.address)")
            #expect(try await a.connect("10.96.3.4", 7, udp: true) == "from \(a.address)")
            for name in ["web", "web.default", "web.default.svc.cluster.local"] {
                #expect(try await a.connect(name, 80) == "from \(a.address)", "\(name)")
            }
            // Through its own Service a pod meets itself.
            #expect(try await b.connect("web", 80) == "from 10.244.0.1")
            // Without endpoints it is refused at once, and so is an address that nobody has.
            state.slices = []
            try await rig.network.apply(state)
            #expect(try await a.connect("10.96.3.4", 80) == "refused")
            #expect(try await a.connect("10.96.200.1", 80) == "refused")
            #expect(try await a.connect("10.244.0.200", 80) == "refused")
        }
    }

    @Test func `a Service's connections are spread, and with affinity they are not`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b", "c"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state),
                c = try await rig.add("c", to: state)
            for pod in [b, c] {
                let started = try await pod.run(
                    "cd /tmp && hostname > who && (setsid python3 -m http.server 8080 >log 2>&1 &) "
                        + "&& until python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8080))' 2>/dev/null; do sleep 0.05; done"
                )
                #expect(started.code == 0, "\(started.output)")
            }
            var (service, slice) = Self.web(IPv4Address(10, 96, 3, 4), to: [b.address, c.address])
            let ask = """
                import urllib.request
                print(' '.join(sorted({urllib.request.urlopen('http://web/who').read().decode().strip() for _ in range(40)})))
                """
            (state.services, state.slices) = ([service], [slice])
            try await rig.network.apply(state)
            #expect(try await a.python(ask) == "b c")
            service.affinitySeconds = 600
            state.services = [service]
            try await rig.network.apply(state)
            let chosen = try await a.python(ask)
            #expect(["b", "c"].contains(chosen))
            // What is remembered outlasts a change of the rules.
            slice.endpoints.append(.init(address: IPv4Address(10, 244, 0, 200)))
            state.slices = [slice]
            try await rig.network.apply(state)
            #expect(try await a.python(ask) == chosen)
        }
    }

    @Test(arguments: [PacketTool.Choice.nft, .legacy])
    func `packets pass as policies say, and a new policy counts at once`(backend: PacketTool.Choice) async throws {
        try await withNetwork(backend: backend) { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b", "c"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state),
                c = try await rig.add("c", to: state)
            try await b.listen(tcp: [8_080, 8_090], udp: [8_081])
            let address = "\(b.address)"
            #expect(try await c.connect(address, 8_080) == "from \(c.address)")
            state.policies = [
                try Self.policy([
                    "podSelector": ["matchLabels": ["app": "b"]],
                    "ingress": [
                        ["from": [["podSelector": ["matchLabels": ["app": "a"]]]], "ports": [["port": 8_080]]]
                    ],
                ])
            ]
            try await rig.network.apply(state)
            #expect(try await a.connect(address, 8_080) == "from \(a.address)")
            #expect(try await a.connect(address, 8_090) == "refused")
            #expect(try await a.connect(address, 8_081, udp: true).hasPrefix("failed"))
            #expect(try await c.connect(address, 8_080) == "refused")
            #expect(try await c.run("ping -c 1 -W 2 \(address)").code != 0)
            // Its own address is its own business, and its way out is not restricted.
            #expect(try await b.connect(address, 8_080) == "from \(b.address)")
            try await c.listen(tcp: [8_080])
            #expect(try await b.connect("\(c.address)", 8_080) == "from \(b.address)")
            // Nothing goes out any more, names included.
            state.policies.append(try Self.policy(["podSelector": ["matchLabels": ["app": "a"]], "policyTypes": ["Egress"]]))
            try await rig.network.apply(state)
            #expect(try await a.connect(address, 8_080) == "refused")
            #expect(try await a.connect("10.96.0.10", 53) == "refused")
            #expect(try await a.connect("10.96.0.1", 443) == "refused")
            // A block that holds b but not c.
            state.policies[1] = try Self.policy([
                "podSelector": ["matchLabels": ["app": "a"]],
                "egress": [["to": [["ipBlock": ["cidr": "10.244.0.0/24", "except": ["\(c.address)/32"]]]]]],
            ])
            state.policies[1].rules[.ingress] = nil
            try await rig.network.apply(state)
            #expect(try await a.connect(address, 8_080) == "from \(a.address)")
            #expect(try await a.connect("\(c.address)", 8_080) == "refused")
            #expect(try await c.connect("\(a.address)", 8_080) == "refused")
            state.policies = []
            try await rig.network.apply(state)
            #expect(try await c.connect(address, 8_080) == "from \(c.address)")
        }
    }

    @Test func `a pod cannot send as somebody else, whatever it does to its network`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b", "c"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state),
                c = try await rig.add("c", to: state)
            state.policies = [
                try Self.policy([
                    "podSelector": ["matchLabels": ["app": "b"]],
                    "ingress": [["from": [["podSelector": ["matchLabels": ["app": "a"]]]]]],
                ])
            ]
            try await rig.network.apply(state)
            try await b.listen(tcp: [8_080], udp: [8_081])
            let send = """
                import socket, sys
                s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                def packet(source, text):
                    data = text.encode()
                    udp = (9999).to_bytes(2, 'big') + (8081).to_bytes(2, 'big') + (8 + len(data)).to_bytes(2, 'big') + b'\\0\\0' + data
                    head = bytes([0x45, 0]) + (20 + len(udp)).to_bytes(2, 'big') + bytes([0, 0, 0, 0, 64, 17, 0, 0])
                    s.sendto(head + socket.inet_aton(source) + socket.inet_aton('\(b.address)') + udp, ('\(b.address)', 0))
                """
            let watch = """
                import socket
                s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP); s.settimeout(20)
                open('/tmp/watching', 'w').close()
                while True:
                    data, who = s.recvfrom(2048)
                    print(who[0], data[28:].decode(), flush=True)
                    if data.endswith(b'end'): break
                """
            let seen = Task { try await b.python(watch, asRoot: true) }
            #expect(try await b.run("until test -e /tmp/watching; do sleep 0.05; done", asRoot: true).code == 0)
            for source in ["\(a.address)", "\(b.address)", "10.244.0.1", "10.96.0.10", "192.0.2.77", "127.0.0.1"] {
                #expect(try await c.python("\(send)\npacket('\(source)', 'forged')", asRoot: true) == "")
            }
            // An address that it takes for its own.
            let stolen = try await c.run(
                "ip addr add \(a.address)/32 dev eth0 && ip route replace default via 10.244.0.1 dev eth0 onlink src \(a.address)",
                asRoot: true)
            #expect(stolen.code == 0, "\(stolen.output)")
            #expect(try await c.connect("\(b.address)", 8_080, within: 1) == "timeout")
            #expect(try await a.python("\(send)\npacket('\(a.address)', 'end')", asRoot: true) == "")
            #expect(try await seen.value == "\(a.address) end")
        }
    }

    @Test(.enabled(if: MachineRoutes.haveDefault(), "this machine is offline"))
    func `beyond the machine a pod's packets leave, when no policy keeps them`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a"])
            let a = try await rig.add("a", to: state)
            // A network for documentation: silence, or whatever a machine on the way has to say, and not the node's "unreachable".
            while try await a.connect("198.51.100.1", 9, within: 1).contains("Errno 101") {}
            state.policies = [try Self.policy(["podSelector": [:], "policyTypes": ["Egress"]])]
            try await rig.network.apply(state)
            let script = "import socket\ns = socket.socket(); s.settimeout(9)\nprint(s.connect_ex(('198.51.100.1', 9)))"
            #expect(try await a.python(script) == "\(ECONNREFUSED)")
        }
    }

    @Test func `of the machine a pod reaches the API server and nothing else`() async throws {
        let group = try EventLoopGroup()
        defer { group.shutdown() }
        let hello: @Sendable (ByteStream) async -> Void = { stream in
            // Who has gone away needs no answer.
            _ = try? await stream.write(Array("hello".utf8))
            _ = try? await stream.flush()
        }
        let apiServer = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: group, handler: hello)
        let other = try await TCPListener.bind(SocketAddress(.anyV4, port: 0), group: group, handler: hello)
        let server = try #require(apiServer.address), port = try #require(other.address).port
        try await withNetwork(apiServer: server) { (rig: NetworkRig) async throws in
            let a = try await rig.add("a", to: NetworkRig.state(pods: ["a"]))
            // As open as it gets.
            while MachineRoutes.haveDefault(), try await a.connect("198.51.100.1", 9, within: 1).contains("Errno 101") {}
            #expect(try await a.connect("10.96.0.1", 443) == "hello")
            let gateway = try await a.run("ip -4 route show default", asRoot: true).output
            #expect(gateway.contains("10.244.0.1"), "\(gateway)")
            for target in ["127.0.0.1", "10.244.0.1", "10.96.0.1", "10.96.0.10", "169.254.1.1"] + Self.machineAddresses() {
                for number in [port, server.port] {
                    let outcome = try await a.connect(target, number, within: 1)
                    #expect(outcome != "hello" && outcome != "", "\(target):\(number): \(outcome)")
                }
            }
            // No IPv6 but loopback's.
            #expect(try await a.run("cut -d ' ' -f 1,6- /proc/net/if_inet6 | grep -v ' lo$'").output == "")
            #expect(try await a.python("import socket; socket.create_connection(('2001:db8::1', 80), 2)").contains("unreachable"))
        }
        await apiServer.close()
        await other.close()
    }

    /// Where this machine has addresses of its own towards the world.
    private static func machineAddresses() -> [String] {
        let socket = kars_bind_inet(0, 0, 0)
        defer { close(socket) }
        var target = SocketAddress(.v4(IPv4Address(192, 0, 2, 1)), port: 9).storage, local = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let isRouted = withUnsafePointer(to: &target) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard isRouted == 0 else { return [] }
        let isNamed = withUnsafeMutablePointer(to: &local) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(socket, $0, &length) }
        }
        return isNamed == 0 ? SocketAddress(local).map { ["\($0.ip)"] } ?? [] : []
    }
}
