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

/// Beginnings and ends of the node's network, and who may speak to it.
@Suite(.serialized, .enabled(if: NetworkRig.isPossible()), .timeLimit(.minutes(5))) struct `Node network life` {
    /// Processes of this machine: id, parent, command line.
    private static func processes() throws -> [(id: pid_t, parent: pid_t, words: String)] {
        try Files.entries(of: "/proc").compactMap { name in
            // One that has ended since is none.
            guard let id = pid_t(name), let stat = try? Files.read("/proc/\(id)/stat", upTo: 4_096),
                let words = try? Files.read("/proc/\(id)/cmdline", upTo: 65_536)
            else { return nil }
            let fields = String(decoding: stat, as: UTF8.self).split(separator: ")").last?.split(separator: " ") ?? []
            guard fields.count > 1, fields[0] != "Z", let parent = pid_t(fields[1]) else { return nil }
            return (id, parent, String(decoding: words.map { $0 == 0 ? 32 : $0 }, as: UTF8.self))
        }
    }

    private static func stage(of rig: NetworkRig) throws -> pid_t? {
        try processes().first { $0.words.contains(HiddenStage.nodeNetwork.rawValue) && $0.words.contains(rig.directory) }?.id
    }

    private static func family(of process: pid_t) throws -> Set<pid_t> {
        let all = try processes()
        var family: Set<pid_t> = [process]
        while case let more = all.filter({ family.contains($0.parent) && !family.contains($0.id) }), !more.isEmpty {
            family.formUnion(more.map(\.id))
        }
        return family
    }

    /// Looks again and again; what never comes about is the time limit's failure.
    private static func lookUntil(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func `after its end nothing of it is left`() async throws {
        var family: Set<pid_t> = []
        try await withNetwork { (rig: NetworkRig) async throws in
            _ = try await rig.add("a", to: NetworkRig.state(pods: ["a"]))
            let stage = try #require(try Self.stage(of: rig))
            // With pasta, where the machine has a way out.
            if MachineRoutes.haveDefault() {
                try await Self.lookUntil { try Self.family(of: stage).count >= 3 }
            }
            family = try Self.family(of: stage)
        }
        try await Self.lookUntil { try Self.processes().allSatisfy { !family.contains($0.id) } }
    }

    @Test func `killed, it comes back, and its pods with their addresses`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            let state = NetworkRig.state(pods: ["a", "b"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state)
            try await b.listen(tcp: [8_080])
            #expect(try await a.connect("\(b.address)", 8_080) == "from \(a.address)")
            let stage = try #require(try Self.stage(of: rig)), family = try Self.family(of: stage)
            kill(stage, SIGKILL)
            try await Self.lookUntil { try Self.processes().allSatisfy { !family.contains($0.id) } }
            try await Self.lookUntil { try Self.stage(of: rig) != nil }
            try await Self.lookUntil { try await a.connect("\(b.address)", 8_080, within: 1) == "from \(a.address)" }
        }
    }

    @Test func `a pod that has left has no cable, and its address is another one's later`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b"])
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state)
            try await b.listen(tcp: [8_080])
            #expect(try await a.connect("\(b.address)", 8_080) == "from \(a.address)")
            try await a.keep(tcp: 9_000)
            let held = Task { try await b.hold("\(a.address)", 9_000) }
            _ = try await b.run("until test -e /tmp/held; do sleep 0.05; done")
            // Gone from the cluster, though it still runs: its connections end, at both sides.
            state.pods.removeAll { $0.name == "a" }
            try await rig.network.apply(state)
            #expect(["ConnectionResetError", "ConnectionRefusedError", "BrokenPipeError"].contains(try await held.value))
            #expect(try await a.connect("\(b.address)", 8_080, within: 1) != "from \(a.address)")
            try await a.pod.stop(grace: .zero)
            await rig.network.detach(podUID: "a")
            state.pods.append(.init(uid: "c", namespace: "default", name: "c"))
            let c = try await rig.add("c", to: state)
            #expect(c.address != a.address)
            #expect(try await c.connect("\(b.address)", 8_080) == "from \(c.address)")
            await rig.network.detach(podUID: "a")
        }
    }

    @Test func `a launch carries its place in the network over`() throws {
        let attachment = ClusterNetworkAttachment(
            podUID: "u", address: .v4(IPv4Address(10, 244, 0, 9)), gateway: .v4(IPv4Address(10, 244, 0, 1)),
            nameServer: .v4(IPv4Address(10, 96, 0, 10)), searchDomains: ["n.svc.cluster.local", "cluster.local"], socket: "/s")
        #expect(
            attachment.resolverText == "nameserver 10.96.0.10\nsearch n.svc.cluster.local cluster.local\noptions ndots:5\n")
        for mode in [PodNetworkMode.isolated, .cluster(attachment)] { #expect(try PodNetworkMode(json: mode.json) == mode) }
        #expect(try PodNetworkMode(json: nil) == .isolated)
        for json: JSON in [
            [:], ["mode": "host"], ["mode": "cluster"], ["mode": "cluster", "podUID": "u", "socket": "s", "address": "x"],
        ] {
            #expect(throws: ResourceError.self, "\(json)") { try PodNetworkMode(json: json) }
        }
    }

    @Test func `addresses outlast the cluster's process, for pods that do`() async throws {
        try await withTemporaryDirectory { (directory: String) async throws in
            let group = try EventLoopGroup()
            defer { group.shutdown() }
            func network() throws -> NodeNetwork {
                try NodeNetwork(
                    directory: directory, executable: NetworkRig.executable, apiServer: SocketAddress(.loopbackV4, port: 1),
                    config: NodeNetwork.Config(addresses: try ClusterAddresses(pods: "10.244.0.0/29")), group: group, log: .silent
                )
            }
            func address(of pod: String, in network: NodeNetwork) async throws -> String {
                "\(try await network.attach(podUID: pod, namespace: "default").address)"
            }
            let before = try network()
            try await before.apply(NetworkRig.state(pods: ["a", "b"]))
            for (pod, last) in [("a", 2), ("b", 3)] { #expect(try await address(of: pod, in: before) == "10.244.0.\(last)") }
            let after = try network()
            // Attached, though what the cluster says of it has not come yet.
            #expect(try await address(of: "c", in: after) == "10.244.0.4")
            try await after.apply(NetworkRig.state(pods: ["b"]))
            #expect(try await address(of: "b", in: after) == "10.244.0.3")
            for (pod, last) in [("d", 5), ("e", 6), ("f", 2)] {
                #expect(try await address(of: pod, in: after) == "10.244.0.\(last)")
            }
            await #expect(throws: PodAddressBook.Problem.full(5)) { try await address(of: "g", in: after) }
        }
    }

    @Test func `a pod that the cluster does not know waits outside`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            let attachment = try await rig.network.attach(podUID: "stranger", namespace: "default")
            let socket = kars_connect_unix(attachment.socket)
            defer { close(socket) }
            let own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)
            defer { close(own) }
            try LocalPod.send(["verb": "join", "pod": "stranger"], to: socket, with: [own])
            // Whatever is asked later is answered; this one is not, and its pod has no cable.
            let other = kars_connect_unix(attachment.socket)
            defer { close(other) }
            try LocalPod.send(["verb": "admit", "pods": [:]], to: other)
            #expect(try LocalPod.receive(from: other).0["ok"] == true)
            var wait = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            #expect(poll(&wait, 1, 0) == 0)
        }
    }

    @Test func `nobody but root is heard, even with the socket wide open`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            let path = "\(rig.directory)/network/\(NodeNetworkStage.socketName)"
            for directory in [rig.directory, "\(rig.directory)/network"] { chmod(directory, 0o755) }
            var information = stat()
            #expect(stat(path, &information) == 0 && information.st_mode & 0o777 == 0o600)
            chmod(path, 0o666)
            let output = try Descriptors.memoryFile("output", []), null = open("/dev/null", O_RDWR | O_CLOEXEC)
            let script = """
                import os, socket
                os.setgid(65534); os.setuid(65534)
                s = socket.socket(socket.AF_UNIX); s.connect('\(path)'); s.settimeout(20)
                try:
                    s.send(b'{"verb":"sockets"}\\n')
                    print(s.recv(100))
                except (BrokenPipeError, ConnectionResetError): print(b'')
                """
            let words = CStrings(["python3", "-c", script]), environment = CStrings(["PATH=\(Programs.path)"])
            let process = kars_spawn(
                "/usr/bin/python3", words.pointers, environment.pointers, [null, output, output, null, null], 5)
            var status: Int32 = 0
            while waitpid(process, &status, 0) < 0, errno == EINTR {}
            lseek(output, 0, SEEK_SET)
            #expect(String(decoding: Descriptors.readAll(output, upTo: 4_096), as: UTF8.self) == "b''\n")
            close(output)
            close(null)
        }
    }

    @Test func `requests that make no sense are refused, and it lives on`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            let path = "\(rig.directory)/network/\(NodeNetworkStage.socketName)"
            for request: JSON in [
                [:], ["verb": "none"], ["verb": "join"], ["verb": "join", "pod": "x"], ["verb": "run", "program": "sh"],
                ["verb": "run", "program": "iptables-save"], ["verb": "admit", "pods": ["x": "10.244.0.1"]],
                ["verb": "admit", "pods": ["x": "10.244.0.255"]], ["verb": "admit", "pods": ["x": "10.245.0.5"]],
                ["verb": "admit", "pods": ["x": "y"]],
            ] {
                let socket = kars_connect_unix(path)
                defer { close(socket) }
                try LocalPod.send(request, to: socket)
                let (answer, descriptors) = try LocalPod.receive(from: socket)
                #expect(answer["error"]?["code"] == "BadRequest" && descriptors.isEmpty, "\(request)")
            }
            let a = try await rig.add("a", to: NetworkRig.state(pods: ["a"]))
            #expect(try await a.connect("10.96.0.10", 54) == "refused")
        }
    }

    @Test func `a second network in the same directory is refused`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            let directory = "\(rig.directory)/network", addresses = try ClusterAddresses()
            let error = await #expect(throws: LocalPodError.self) {
                try await LocalPod.blocking {
                    _ = try NodeNetworkProcess(directory: directory, executable: NetworkRig.executable, addresses: addresses)
                }
            }
            #expect(error?.message.contains("is up already") == true)
        }
    }
}
