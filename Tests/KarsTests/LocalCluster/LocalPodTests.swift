import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Pods for real: namespaces, packet rules and processes of this machine.
private enum Rig {
    /// The kars built beside the tests: the test runner itself has no hidden stages.
    static let executable = HiddenStage.executable().split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/kars"

    /// nil when pods can run here.
    static let obstacle: String? = {
        if geteuid() != 0 { return "needs root" }
        if let problem = LocalPrerequisites.check().first { return problem.description }
        return access(executable, X_OK) == 0 ? nil : "\(executable) is not built"
    }()

    static func isPossible() -> Bool {
        if let obstacle { print("skipped: \(obstacle)") }
        return obstacle == nil
    }
}

/// One pod in a directory of its own; stopped and removed in the end.
private struct Sandbox {
    let pod: LocalPod

    static let waiting = ["sh", "-c", "while :; do sleep 0.2; done"]

    static func container(_ name: String, _ user: Int, _ command: [String], _ mounts: [VolumeMount] = []) -> Container {
        var container = Container(name: name, image: "host", command: command)
        var context = ContainerSecurityContext()
        context.runAsUser = user
        container.securityContext = context
        container.volumeMounts = mounts
        return container
    }

    static func guardContainer(_ command: [String], capabilities: [String] = ["NET_ADMIN"]) -> Container {
        var container = container("egress-guard", 0, command, [VolumeMount("run", at: "/run")])
        container.image = "kars"
        container.securityContext?.addedCapabilities = capabilities
        container.securityContext?.seccompProfile = .unconfined
        return container
    }

    static func launch(
        in directory: String, agent: [String] = waiting, router: [String] = waiting, guardCommand: [String] = ["true"]
    ) -> PodLaunch {
        var spec = PodSpec(containers: [
            container(
                "agent", 1_000, agent,
                [
                    VolumeMount("work", at: "/sandbox"), VolumeMount("tmp", at: "/tmp"),
                    VolumeMount("policy", at: "/etc/agt/policies", readOnly: true),
                ]),
            container(
                "router", 1_001, router,
                [VolumeMount("state", at: "/var/lib/kars"), VolumeMount("secret", at: "/etc/kars/secrets")]),
        ])
        spec.initContainers = [guardContainer(guardCommand)]
        spec.containers[0].workingDirectory = "/sandbox"
        spec.volumes = [
            Volume(name: "work", .hostPath(path: "\(directory)/workspace", create: true)),
            Volume(name: "state", .hostPath(path: "\(directory)/state", create: true)),
            Volume(name: "tmp", .emptyDirectory(inMemory: true, sizeLimit: nil)),
            Volume(name: "run", .emptyDirectory(inMemory: true, sizeLimit: nil)),
            Volume(name: "secret", .secret(name: "s", optional: false, mode: nil)),
            Volume(name: "policy", .configMap(name: "policy", optional: true)),
        ]
        var launch = PodLaunch(directory: directory, pod: Pod(metadata: ObjectMetadata(name: "test"), spec: spec))
        launch.secrets = [SecretObject(metadata: ObjectMetadata(name: "s"), data: ["token": Secret(Array("very-hidden".utf8))])]
        return launch
    }

    /// Exit code and what the command wrote.
    func run(_ script: String, in container: String = "agent") async throws -> (code: Int32, output: String) {
        let output = try Descriptors.memoryFile("output", []), null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer {
            close(output)
            close(null)
        }
        let code = try await pod.exec(["sh", "-c", script], container: container, streams: [null, output, output])
        lseek(output, 0, SEEK_SET)
        return (code, String(decoding: Descriptors.readAll(output, upTo: 1 << 20), as: UTF8.self))
    }

    /// Looks until it is so; the end of a supervisor is nothing that could be waited on from outside.
    func eventually(_ isSo: (PodStatus) -> Bool) async throws {
        try await lookUntil { try pod.status().map(isSo) ?? false }
    }
}

/// Looks again and again until `condition` holds; what never comes about is the time limit's failure.
private func lookUntil(_ condition: () throws -> Bool) async throws {
    while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
}

private func withSandbox(_ change: (inout PodLaunch) -> Void = { _ in }, _ body: (Sandbox) async throws -> Void) async throws {
    try await withTemporaryDirectory { (directory: String) async throws in
        var pod = LocalPod(directory: directory)
        pod.executable = Rig.executable
        var launch = Sandbox.launch(in: directory)
        change(&launch)
        do {
            try await pod.start(launch)
            try await body(Sandbox(pod: pod))
            try await pod.stop(grace: .zero)
        } catch {
            try await pod.stop(grace: .zero)
            throw error
        }
    }
}

@Suite(.serialized, .enabled(if: Rig.isPossible()), .timeLimit(.minutes(3))) struct `Local pod` {
    @Test func `the agent is user 1000 without any right`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            #expect(try await sandbox.run("id -u").output == "1000\n")
            let status = try await sandbox.run("cat /proc/self/status").output
            #expect(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"))
            for line in status.split(separator: "\n") where line.hasPrefix("Cap") {
                #expect(line.hasSuffix("\t0000000000000000"), "\(line)")
            }
            #expect(try await sandbox.run("id -u", in: "router").output == "1001\n")
        }
    }

    @Test func `exit codes and streams come back`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            #expect(try await sandbox.run("exit 7").code == 7)
            #expect(try await sandbox.run("kill -9 $$").code == 137)
            #expect(try await sandbox.run("echo out; echo err >&2").output == "out\nerr\n")
            await #expect(throws: LocalPodError.self) { try await sandbox.pod.exec(["no-such-program"], streams: [0, 1, 2]) }
            await #expect(throws: LocalPodError.self) {
                try await sandbox.pod.exec(["id"], container: "none", streams: [0, 1, 2])
            }
        }
    }

    @Test func `the router's processes, files and secrets are out of the agent's sight`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            #expect(try await sandbox.run("cat /etc/kars/secrets/token", in: "router").output == "very-hidden")
            let all = try await sandbox.run(
                "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /etc/kars/secrets/* /var/lib/kars/*; mount; env"
            ).output
            #expect(!all.contains("very-hidden") && !all.contains("router"))
            #expect(try await sandbox.run("cat /proc/1/environ || cat /proc/1/mem").code != 0)
            for path in ["/etc/shadow", "/root", "/proc/kcore", "/.kars/root/etc/shadow", "/.kars/none", sandbox.pod.directory] {
                #expect(try await sandbox.run("cat \(path) || ls \(path)/").code != 0, "\(path)")
            }
            // On no disk either.
            let status = try await sandbox.run(
                "grep -rl very-hidden / 2>/dev/null --exclude-dir=proc --exclude-dir=usr --exclude-dir=opt"
            ).output
            #expect(status == "")
            for file in ["pod.json", "status.json", "logs/supervisor.log"] {
                let bytes = try Files.read("\(sandbox.pod.directory)/\(file)", upTo: 1 << 20)
                #expect(!String(decoding: bytes, as: UTF8.self).contains("very-hidden"))
            }
        }
    }

    @Test func `only the workspace and scratch can be written`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            for path in [
                "/x", "/etc/x", "/usr/x", "/var/x", "/var/lib/x", "/dev/x", "/proc/sys/kernel/hostname", "/run/x", "/.kars/kars",
                "/etc/agt/policies/x",
            ] {
                #expect(try await sandbox.run("echo x > \(path)").code != 0, "\(path)")
            }
            #expect(try await sandbox.run("echo x > /sandbox/x && echo x > /tmp/x && echo x > /dev/shm/x").code == 0)
            #expect(Files.exists("\(sandbox.pod.directory)/workspace/x"))
        }
    }

    @Test func `no way to more rights`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            for attempt in [
                "su -c id root </dev/null", "unshare -Ur true", "unshare -n true", "mount -t tmpfs x /tmp", "chroot / true",
                "nsenter -t 1 -m true",
            ] {
                #expect(try await sandbox.run(attempt).code != 0, "\(attempt)")
            }
            // Whatever is set-user-id on this machine stays its caller's.
            #expect(
                try await sandbox.run(
                    "for f in $(find /usr/bin -perm -4000); do $f --version </dev/null; done 2>&1 | grep -c uid=0"
                ).output == "0\n")
        }
    }

    @Test func `the guard comes before any network but loopback, and its failure is the pod's`() async throws {
        try await withTemporaryDirectory { (directory: String) async throws in
            var pod = LocalPod(directory: directory)
            pod.executable = Rig.executable
            let launch = Sandbox.launch(
                in: directory, guardCommand: ["sh", "-c", "grep -c : /proc/net/dev; echo no rules; exit 3"])
            let error = await #expect(throws: LocalPodError.self) { try await pod.start(launch) }
            #expect(error?.code == .initContainerFailed)
            #expect(error?.message == "egress-guard exited with 3: 1\nno rules")
            #expect(try pod.status()?.phase == .failed)
        }
    }

    @Test(arguments: ["auto", "nft", "legacy"])
    func `behind the guard the agent reaches nothing but loopback, with either iptables`(backend: String) async throws {
        try await withSandbox({
            $0.pod.spec.initContainers = [
                // The legacy programs speak through a raw socket, the others through netlink.
                Sandbox.guardContainer(
                    ["kars", "egress-guard", "--backend", backend, "--protect-port", "7001"],
                    capabilities: backend == "legacy" ? ["NET_ADMIN", "NET_RAW"] : ["NET_ADMIN"])
            ]
        }) { (sandbox: Sandbox) async throws in
            let script = """
                import socket
                def attempt(name, family, kind, target, protocol=0):
                    try:
                        s = socket.socket(family, kind, protocol); s.settimeout(1)
                        if kind == socket.SOCK_STREAM: s.connect(target)
                        else:
                            s.sendto(b'x', target); s.recv(1)
                        print('REACHED', name)
                    except OSError as e: print('closed', name)
                for port in (22, 25, 8080): attempt('tcp', socket.AF_INET, socket.SOCK_STREAM, ('192.0.2.1', port))
                attempt('metadata', socket.AF_INET, socket.SOCK_STREAM, ('169.254.169.254', 80))
                attempt('udp', socket.AF_INET, socket.SOCK_DGRAM, ('192.0.2.1', 123))
                attempt('icmp', socket.AF_INET, socket.SOCK_DGRAM, ('192.0.2.1', 0), socket.IPPROTO_ICMP)
                attempt('tcp6', socket.AF_INET6, socket.SOCK_STREAM, ('2001:db8::1', 22))
                attempt('udp6', socket.AF_INET6, socket.SOCK_DGRAM, ('2001:db8::1', 123))
                for port in (8446, 9090, 7001): attempt('operator', socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', port))
                try: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP); print('REACHED raw')
                except OSError: pass
                try: socket.socket(40, socket.SOCK_STREAM); print('REACHED vsock')
                except OSError: pass
                """
            let server = """
                import socket, time
                sockets = [socket.create_server(('127.0.0.1', port)) for port in (8446, 9090, 7001)]
                open('/var/lib/kars/listening', 'w').close()
                time.sleep(600)
                """
            let wait = "until test -e /var/lib/kars/listening; do sleep 0.05; done"
            #expect(try await sandbox.run("python3 - <<'P' &\n\(server)\nP\n\(wait)", in: "router").code == 0)
            let result = try await sandbox.run("/usr/bin/python3 - <<'P'\n\(script)\nP")
            #expect(!result.output.contains("REACHED"), "\(result.output)")
            #expect(result.output.split(separator: "\n").count == 11, "\(result.output)")
            // The operator's side goes round the guard, as the router's user.
            let connection = try await sandbox.pod.dial(port: 7_001)
            close(connection)
        }
    }

    @Test func `the legacy back end without its capability fails the pod and says what it needs`() async throws {
        try await withTemporaryDirectory { (directory: String) async throws in
            var pod = LocalPod(directory: directory)
            pod.executable = Rig.executable
            let launch = Sandbox.launch(in: directory, guardCommand: ["kars", "egress-guard", "--backend", "legacy"])
            let error = await #expect(throws: LocalPodError.self) { try await pod.start(launch) }
            #expect(error?.code == .initContainerFailed)
            #expect(error?.message.contains("the legacy back end needs CAP_NET_RAW beside CAP_NET_ADMIN") == true)
        }
    }

    @Test func `dial reaches the pod's loopback and says when nobody listens`() async throws {
        try await withSandbox({ launch in
            launch.pod.spec.containers[1].command = [
                "/usr/bin/python3", "-m", "http.server", "9099", "--bind", "127.0.0.1", "--directory", "/tmp",
            ]
            launch.pod.spec.containers[1].readinessProbe = Probe(.http(path: "/", port: 9_099, secure: false), periodSeconds: 1)
        }) { (sandbox: Sandbox) async throws in
            try await sandbox.eventually { $0.isReady }
            let connection = try await sandbox.pod.dial(port: 9_099)
            defer { close(connection) }
            _ = fcntl(connection, F_SETFL, 0)
            Descriptors.writeAll("GET / HTTP/1.0\r\n\r\n".utf8, to: connection)
            #expect(String(decoding: Descriptors.readAll(connection, upTo: 12), as: UTF8.self) == "HTTP/1.0 200")
            let error = await #expect(throws: LocalPodError.self) { try await sandbox.pod.dial(port: 9_098) }
            #expect(error?.code == .connectFailed)
        }
    }

    @Test func `a crash starts the container again and again, more and more slowly`() async throws {
        try await withSandbox({ $0.pod.spec.containers[0].command = ["sh", "-c", "sleep 0.02; exit 3"] }) {
            (sandbox: Sandbox) async throws in
            try await sandbox.eventually {
                $0.phase == .crashLoopBackOff && ($0.container("agent")?.restartCount ?? 0) > 3
            }
            #expect(try sandbox.pod.status()?.container("agent")?.exitCode == 3)
            #expect(try sandbox.pod.status()?.container("router")?.state == .running)
        }
    }

    @Test func `a liveness check that fails starts the container again`() async throws {
        try await withSandbox({
            var probe = Probe(.command(["sh", "-c", "test ! -e /tmp/sick"]), periodSeconds: 1, failureThreshold: 1)
            probe.timeoutSeconds = 5
            $0.pod.spec.containers[0].livenessProbe = probe
        }) { (sandbox: Sandbox) async throws in
            #expect(try await sandbox.run("touch /tmp/sick").code == 0)
            // Scratch memory goes with the container, and the sickness with it.
            try await sandbox.eventually {
                $0.container("agent")?.restartCount == 1 && $0.container("agent")?.state == .running
            }
            #expect(try sandbox.pod.status()?.container("agent")?.exitCode == 143)
            #expect(try await sandbox.run("test ! -e /tmp/sick").code == 0)
            #expect(try sandbox.pod.status()?.container("router")?.restartCount == 0)
        }
    }

    @Test func `readiness follows its command, which runs as the container's user`() async throws {
        try await withSandbox({
            let check = Probe.Check.command(["sh", "-c", "test -e /tmp/ready && test $(id -u) = 1000"])
            $0.pod.spec.containers[0].readinessProbe = Probe(check, periodSeconds: 1, failureThreshold: 1)
        }) { (sandbox: Sandbox) async throws in
            #expect(try sandbox.pod.status()?.isReady == false)
            _ = try await sandbox.run("touch /tmp/ready")
            try await sandbox.eventually { $0.isReady }
            _ = try await sandbox.run("rm /tmp/ready")
            try await sandbox.eventually { !$0.isReady }
            #expect(try sandbox.pod.status()?.container("agent")?.restartCount == 0)
        }
    }

    @Test func `a check that hangs fails, and leaves nothing running`() async throws {
        try await withSandbox({
            let hang = ["sh", "-c", "echo >> /sandbox/checks; sleep 3607 & wait"]
            $0.pod.spec.containers[0].readinessProbe = Probe(.command(hang), periodSeconds: 1, failureThreshold: 1)
        }) { (sandbox: Sandbox) async throws in
            // Two checks have begun: the first is over.
            let checks = "\(sandbox.pod.directory)/workspace/checks"
            try await sandbox.eventually { _ in (Files.size(of: checks) ?? 0) >= 2 }
            #expect(try sandbox.pod.status()?.container("agent")?.isReady == false)
            // Of the check that runs now, if one does; an argument that is just that, so that nothing here finds itself.
            let sleeping = try await sandbox.run("grep -zxl '360[7]' /proc/[0-9]*/cmdline").output.split(separator: "\n")
            #expect(sleeping.count <= 1, "\(sleeping)")
        }
    }

    @Test func `memory beyond the limit ends the container, and only it`() async throws {
        try await withSandbox({
            let fill = "import time; b = []\nwhile True: b.append(bytearray(8 << 20))"
            $0.pod.spec.containers[0].command = ["/usr/bin/python3", "-c", fill]
            $0.pod.spec.containers[0].resources = ResourceRequirements(
                requests: [:], limits: ["memory": Quantity("96Mi")].compactMapValues { $0 })
        }) { (sandbox: Sandbox) async throws in
            guard try sandbox.pod.status()?.notes.contains(where: { $0.contains("memory limits") }) == false else {
                return print("skipped: this machine has no memory controller that may be used")
            }
            try await sandbox.eventually { $0.container("agent")?.exitCode == 137 }
            #expect(try sandbox.pod.status()?.container("router")?.restartCount == 0)
        }
    }

    @Test func `two pods have no user in common`() async throws {
        try await withSandbox { (one: Sandbox) async throws in
            try await withSandbox { (two: Sandbox) async throws in
                let map = { (sandbox: Sandbox) in
                    try await sandbox.run("cat /proc/self/uid_map").output.split(whereSeparator: \.isWhitespace).compactMap {
                        Int($0)
                    }
                }
                let first = try await map(one), second = try await map(two)
                #expect(first.count == 3 && first[2] == PodIdentities.count && second[2] == PodIdentities.count)
                #expect(abs(first[1] - second[1]) >= PodIdentities.count)
            }
        }
    }

    @Test func `a second start is refused while the first runs`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            let error = await #expect(throws: LocalPodError.self) {
                try await sandbox.pod.start(Sandbox.launch(in: sandbox.pod.directory))
            }
            #expect(error?.code == .alreadyRunning)
            #expect(try await sandbox.run("true").code == 0)
        }
    }

    @Test func `policy files changed outside are changed inside at once`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            let path = "\(sandbox.pod.directory)/config/policy/p.yaml"
            for text in ["one", "two"] {
                try AtomicFile.write(Array(text.utf8), to: path, mode: 0o644)
                #expect(try await sandbox.run("cat /etc/agt/policies/p.yaml").output == text)
            }
        }
    }

    @Test func `a killed supervisor leaves no process, rule or group behind`() async throws {
        try await withSandbox { (sandbox: Sandbox) async throws in
            let supervisor = try #require(try sandbox.pod.status()?.supervisorPid)
            let mark = "mark-\(supervisor)"
            _ = try await sandbox.run("setsid sh -c ': \(mark); while :; do sleep 0.2; done' >/dev/null 2>&1 &")
            #expect(Self.processes(containing: mark) == 1)
            let groups = Self.groups(of: supervisor)
            kill(pid_t(supervisor), SIGKILL)
            try await sandbox.eventually { $0.phase == .stopped }
            try await lookUntil {
                Self.processes(containing: mark) == 0 && Self.processes(containing: sandbox.pod.directory) == 0
                    && Self.groups(of: supervisor) == 0
            }
            #expect(groups > 0)
            let mounts = try Files.read("/proc/self/mounts", upTo: 1 << 20)
            #expect(!String(decoding: mounts, as: UTF8.self).contains(sandbox.pod.directory))
            // And the sandbox starts again.
            try await sandbox.pod.start(Sandbox.launch(in: sandbox.pod.directory))
            #expect(try await sandbox.run("true").code == 0)
        }
    }

    private static func processes(containing text: String) -> Int {
        let own = "\(getpid())"
        return ((try? Files.entries(of: "/proc")) ?? []).filter { name in
            guard name != own, name.allSatisfy(\.isNumber), let bytes = try? Files.read("/proc/\(name)/cmdline", upTo: 1 << 20)
            else { return false }
            return String(decoding: bytes, as: UTF8.self).contains(text)
        }.count
    }

    private static func groups(of supervisor: Int) -> Int {
        let v2 = ((try? Files.entries(of: "/sys/fs/cgroup/kars")) ?? []).filter { $0.contains("test-\(supervisor)-") }.count
        let own = ((try? Files.read("/proc/self/cgroup", upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? "").split(
            separator: "\n")
        return own.reduce(v2) { count, line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3, fields[1] == "memory" || fields[1] == "pids" else { return count }
            let path = "/sys/fs/cgroup/\(fields[1])\(fields[2] == "/" ? "" : fields[2])"
            return count + ((try? Files.entries(of: path)) ?? []).filter { $0.contains("kars-test-\(supervisor)-") }.count
        }
    }
}
