import KarsCore
import Testing

@testable import Kars

@Suite struct `Container setup` {
    static func pod(_ change: (inout Container) -> Void = { _ in }, volumes: [Volume] = []) -> Pod {
        var container = Container(name: "agent", image: "host", command: ["sh"], args: ["-c", "id"])
        change(&container)
        var spec = PodSpec(containers: [container])
        spec.volumes = volumes
        return Pod(metadata: ObjectMetadata(name: "dev"), spec: spec)
    }

    static func setup(_ pod: Pod) throws -> ContainerSetup {
        var launch = PodLaunch(directory: "/k/dev", pod: pod)
        launch.secrets = [SecretObject(metadata: ObjectMetadata(name: "s"), data: ["k": Secret([1, 2, 255])])]
        let context = SetupContext(
            launch: launch, executable: "/usr/bin/kars", resolvers: "", outsideBase: 200_000, configMapFile: { _, _ in nil })
        return try ContainerSetup(try #require(pod.spec.containers.first), in: context)
    }

    @Test func `a setup survives its way to the stage`() throws {
        let pod = Self.pod(
            {
                $0.volumeMounts = [
                    VolumeMount("w", at: "/sandbox"), VolumeMount("m", at: "/m", readOnly: true, subPath: "a"),
                    VolumeMount("t", at: "/tmp"),
                    VolumeMount("s", at: "/s"), VolumeMount("e", at: "/e"),
                ]
            },
            volumes: [
                Volume(name: "w", .hostPath(path: "/k/dev/workspace", create: true)),
                Volume(name: "m", .configMap(name: "c", optional: true)),
                Volume(name: "t", .emptyDirectory(inMemory: true, sizeLimit: Quantity("1Mi"))),
                Volume(name: "s", .secret(name: "s", optional: false, mode: nil)),
                Volume(name: "e", .emptyDirectory(inMemory: false, sizeLimit: nil)),
            ])
        let setup = try Self.setup(pod)
        #expect(ContainerSetup(json: try JSON(parsing: setup.json.encoded())) == setup)
        #expect(
            setup.mounts.map(\.kind) == [
                .bind(source: "/k/dev/workspace", readOnly: false, owner: 1_000),
                .bind(source: "/k/dev/config/c/a", readOnly: true, owner: nil),
                .memory(bytes: 1 << 20, owner: 1_000), .files(["k": [1, 2, 255]], mode: 0o400, owner: 1_000),
                .bind(source: "/k/dev/volumes/e", readOnly: false, owner: 1_000),
            ])
        #expect(setup.owner(1_000) == 201_000)
        #expect(setup.hasSystemCallFilter && setup.readOnlyRoot && setup.capabilities == 0)
    }

    @Test func `a directory of the person keeps its owner`() throws {
        let pod = Self.pod(
            { $0.volumeMounts = [VolumeMount("w", at: "/sandbox")] },
            volumes: [Volume(name: "w", .hostPath(path: "/home/me/project", create: false))])
        #expect(try Self.setup(pod).mounts.map(\.kind) == [.bind(source: "/home/me/project", readOnly: false, owner: nil)])
    }

    @Test func `what cannot be realised is refused by name`() {
        let refusals: [(Pod, String)] = [
            (Self.pod { $0.image = "ghcr.io/x:1" }, "there are no images here"),
            (
                Self.pod {
                    $0.command = []; $0.args = []
                }, "is required"
            ),
            (Self.pod { $0.securityContext = context { $0.runAsUser = 5 } }, "expected 0, 1000, 1001 or 1002"),
            (Self.pod { $0.securityContext = context { $0.addedCapabilities = ["SYS_ADMIN"] } }, "SYS_ADMIN cannot be given"),
            (Self.pod { $0.securityContext = context { $0.addedCapabilities = ["NET_ADMIN"] } }, "is for user 0 only"),
            (
                Self.pod {
                    $0.securityContext = context {
                        $0.runAsUser = 0; $0.runAsNonRoot = true
                    }
                }, "runAsNonRoot"
            ),
            (Self.pod { $0.securityContext = context { $0.seccompProfile = .localhost("x.json") } }, "x.json is not known here"),
            (
                Self.pod {
                    $0.environment = [EnvironmentVariable("A", from: .secretKey(name: "s", key: "none", optional: false))]
                }, "has no key none"
            ),
            (Self.pod { $0.environment = [EnvironmentVariable("A", from: .field("status.podIP"))] }, "is not known here"),
            (
                Self.pod(
                    { $0.volumeMounts = [VolumeMount("w", at: "/w", subPath: "a")] },
                    volumes: [Volume(name: "w", .hostPath(path: "/x", create: false))]),
                "subPath is for config maps only"
            ),
        ]
        for (pod, reason) in refusals {
            let error = #expect(throws: ResourceError.self) { try Self.setup(pod) }
            #expect(error?.description.contains(reason) == true, "\(error?.description ?? "none"): \(reason)")
        }
        func context(_ change: (inout ContainerSecurityContext) -> Void) -> ContainerSecurityContext {
            var context = ContainerSecurityContext()
            change(&context)
            return context
        }
    }

    @Test(arguments: [
        ("me:100000:65536\nyou:1:2\n", ["me"], 100_000), ("1000:5:9\nme:100:4\n", ["me", "1000"], 5),
        ("me:x:1\n#\nme:0:9\n", ["me"], nil),
    ])
    func `the largest subordinate range counts`(text: String, names: [String], start: Int?) {
        #expect(UserMapping.range(in: text, for: names)?.start == start)
    }

    @Test func `an ordinary user's router is the user`() {
        let mapping = UserMapping.user(uid: 1_234, gid: 1_235, subordinateUsers: 100_000, subordinateGroups: 200_000)
        #expect(mapping.lines(forGroups: false).contains([1_001, 1_234, 1]))
        #expect(mapping.lines(forGroups: true).contains([1_001, 1_235, 1]))
        #expect(Set(mapping.lines(forGroups: false).map { $0[1] }).count == 5)
    }

    @Test(arguments: [
        ("nameserver 10.0.0.1\nsearch x.y\n", "nameserver 10.0.0.1\nsearch x.y\n", false),
        ("nameserver 127.0.0.53\noptions edns0\n", "nameserver 169.254.1.53\noptions edns0\n", true),
        ("nameserver 127.0.0.1\nnameserver 9.9.9.9\n", "nameserver 9.9.9.9\n", false), ("", "nameserver 169.254.1.53\n", true),
    ])
    func `a resolver on the machine's loopback is reached through pasta`(machine: String, text: String, forwards: Bool) {
        let resolvers = PodNetwork.resolvers(machine: machine)
        #expect(resolvers.text == text && resolvers.forwardsNames == forwards)
    }

    @Test func `pasta forwards nothing inwards and only named ports outwards`() {
        let words = PodNetwork.arguments(network: "N", ready: "R", loopbackPorts: [11_434, 8_000], forwardsNames: false)
        func value(_ option: String) -> String? { words.firstIndex(of: option).map { words[$0 + 1] } }
        #expect(value("--tcp-ports") == "none" && value("--udp-ports") == "none" && value("--udp-ns") == "none")
        #expect(value("--tcp-ns") == "11434,8000")
        #expect(words.contains("--no-map-gw") && !words.contains("--dns-forward"))
    }
}
