import KarsCore
import KarsTesting

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A node's network of its own and pods in it, for tests that send packets.
struct NetworkRig {
    /// The kars built beside the tests: the test runner itself has no hidden stages.
    static let executable = HiddenStage.executable().split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/kars"

    static func isPossible() -> Bool {
        let obstacle =
            geteuid() != 0
            ? "needs root"
            : LocalPrerequisites.check().first?.description
                ?? (access(executable, X_OK) == 0 ? nil : "\(executable) is not built")
        if let obstacle { print("skipped: \(obstacle)") }
        return obstacle == nil
    }

    let directory: String
    let network: NodeNetwork
    let pods = Pods()

    /// What is to be stopped.
    actor Pods {
        private(set) var all: [TestPod] = []
        func add(_ pod: TestPod) { all.append(pod) }
    }

    /// Pods of namespace `default`, each with its name as uid and as label `app`.
    static func state(pods: [String]) -> NetworkState {
        var state = NetworkState()
        state.namespaces = ["default": ["kubernetes.io/metadata.name": "default"]]
        state.pods = pods.map { .init(uid: $0, namespace: "default", name: $0, labels: ["app": $0]) }
        return state
    }

    /// Starts a pod, once the network has taken it in.
    func add(_ name: String, to state: NetworkState) async throws -> TestPod {
        try await network.apply(state)
        let attachment = try await network.attach(podUID: name, namespace: "default")
        var pod = LocalPod(directory: "\(directory)/pods/\(name)")
        pod.executable = Self.executable
        var container = Container(name: "main", image: "host", command: ["sh", "-c", "while :; do sleep 0.2; done"])
        var context = ContainerSecurityContext()
        context.runAsUser = 1_000
        container.securityContext = context
        container.volumeMounts = [VolumeMount("tmp", at: "/tmp")]
        var spec = PodSpec(containers: [container])
        // With every right over its own network, as far as a pod can have it.
        var powerful = Container(name: "root", image: "host", command: container.command)
        var rights = ContainerSecurityContext()
        rights.runAsUser = 0
        rights.addedCapabilities = ["NET_ADMIN", "NET_RAW"]
        rights.seccompProfile = .unconfined
        powerful.securityContext = rights
        powerful.volumeMounts = [VolumeMount("root-tmp", at: "/tmp")]
        spec.containers.append(powerful)
        spec.volumes = ["tmp", "root-tmp"].map { Volume(name: $0, .emptyDirectory(inMemory: true, sizeLimit: nil)) }
        var launch = PodLaunch(directory: pod.directory, pod: Pod(metadata: ObjectMetadata(name: name), spec: spec))
        launch.network = .cluster(attachment)
        guard case .v4(let address) = attachment.address else { throw NetworkRigError("no IPv4 address") }
        let made = TestPod(name: name, pod: pod, address: address)
        await pods.add(made)
        try await pod.start(launch)
        return made
    }
}

struct NetworkRigError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// A running pod whose container has Python.
struct TestPod: Sendable {
    let name: String
    let pod: LocalPod
    let address: IPv4Address

    /// Exit code and what was written. `asRoot`: with every right over the pod's network.
    func run(_ script: String, asRoot: Bool = false) async throws -> (code: Int32, output: String) {
        let output = try Descriptors.memoryFile("output", []), null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(output)
            close(null)
        }
        let code = try await pod.exec(
            ["sh", "-c", script], container: asRoot ? "root" : "main", streams: [null, output, output])
        lseek(output, 0, SEEK_SET)
        return (code, String(decoding: Descriptors.readAll(output, upTo: 1 << 20), as: UTF8.self).trimmingWhitespace())
    }

    func python(_ script: String, asRoot: Bool = false) async throws -> String {
        try await run("/usr/bin/python3 - 2>&1 <<'END'\n\(script)\nEND", asRoot: asRoot).output
    }

    /// Listens in the background, on every address, and answers each client with who it is. Returns once it listens.
    func listen(tcp: [UInt16] = [], udp: [UInt16] = []) async throws {
        let server = """
            import socket, threading
            def stream(port):
                s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(('0.0.0.0', port)); s.listen(64)
                def serve():
                    while True:
                        c, who = s.accept(); c.sendall(('from ' + who[0]).encode()); c.close()
                threading.Thread(target=serve).start()
            def datagrams(port):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', port))
                def serve():
                    while True:
                        b, who = s.recvfrom(2048); s.sendto(('from ' + who[0]).encode(), who)
                threading.Thread(target=serve).start()
            for port in \(tcp): stream(port)
            for port in \(udp): datagrams(port)
            open('/tmp/listening', 'w').close()
            """
        let started = try await run(
            "rm -f /tmp/listening; setsid /usr/bin/python3 - >/tmp/log 2>&1 <<'END' &\n\(server)\nEND\n"
                + "until test -e /tmp/listening; do sleep 0.05; done")
        guard started.code == 0 else { throw NetworkRigError(started.output) }
    }

    /// Takes one connection, and takes what comes on it until its end. Returns once it listens.
    func keep(tcp port: UInt16) async throws {
        let server = """
            import socket
            s = socket.create_server(('', \(port)))
            open('/tmp/keeping', 'w').close()
            c, _ = s.accept(); c.send(b'x')
            while c.recv(9): pass
            """
        let started = try await run(
            "setsid /usr/bin/python3 - >/tmp/log 2>&1 <<'END' &\n\(server)\nEND\n"
                + "until test -e /tmp/keeping; do sleep 0.05; done")
        guard started.code == 0 else { throw NetworkRigError(started.output) }
    }

    /// Holds a connection to one who keeps it, and says how it ended. `/tmp/held` is there once it is up.
    func hold(_ host: String, _ port: UInt16) async throws -> String {
        try await python(
            """
            import socket, time
            s = socket.create_connection(('\(host)', \(port)))
            s.recv(1); open('/tmp/held', 'w').close()
            try:
                while True: s.send(b'x'); time.sleep(0.05)
            except OSError as e: print(type(e).__name__)
            """)
    }

    /// What the server says, or `refused`, `timeout` or another failure.
    func connect(_ host: String, _ port: UInt16, udp: Bool = false, within seconds: Double = 5) async throws -> String {
        try await python(
            """
            import socket
            try:
                kind = socket.SOCK_DGRAM if \(udp ? "True" : "False") else socket.SOCK_STREAM
                target = socket.getaddrinfo('\(host)', \(port), socket.AF_INET, kind)[0]
                s = socket.socket(*target[:3]); s.settimeout(\(seconds)); s.connect(target[4])
                if kind == socket.SOCK_DGRAM: s.send(b'x')
                print(s.recv(100).decode())
            except ConnectionRefusedError: print('refused')
            except socket.timeout: print('timeout')
            except OSError as e: print('failed:', e)
            """)
    }
}

/// Runs `body` with a network that is up, and takes everything down in the end.
func withNetwork(
    backend: PacketTool.Choice = .auto, apiServer: SocketAddress = SocketAddress(.loopbackV4, port: 1),
    _ body: (NetworkRig) async throws -> Void
) async throws {
    try await withTemporaryDirectory { (directory: String) async throws in
        let group = try EventLoopGroup()
        var config = NodeNetwork.Config(addresses: try ClusterAddresses())
        config.backend = backend
        let network = try NodeNetwork(
            directory: "\(directory)/network", executable: NetworkRig.executable, apiServer: apiServer,
            config: config, group: group, log: Log(level: .warn, descriptor: 2))
        let rig = NetworkRig(directory: directory, network: network)
        let outcome: Result<Void, any Error>
        do {
            try await network.start()
            try await body(rig)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        for pod in await rig.pods.all { try await pod.pod.stop(grace: .zero) }
        await network.stop()
        group.shutdown()
        try outcome.get()
    }
}
