import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// Objects that a test names.
struct FixedObjects: NodeObjects {
    var configMaps: [String: JSONObject] = [:]
    var secrets: [String: JSONObject] = [:]
    var all: [JSONObject] = []

    func configMap(namespace: String, name: String) -> JSONObject? { configMaps[name] }
    func secret(namespace: String, name: String) -> JSONObject? { secrets[name] }
    func services(namespace: String) -> [JSONObject] { all.filter { $0.namespace == namespace } }
}

private func pod(_ spec: String, metadata: String = "") throws -> NodePod {
    let json = try JSON(parsing: #"{"metadata":{"name":"p","namespace":"ns","uid":"u"\#(metadata)},"spec":\#(spec)}"#)
    return NodePod(try #require(json.objectValue))
}

private func fields(_ pod: NodePod) -> DownwardFields {
    DownwardFields(
        pod: pod, nodeName: "n", hostAddress: "10.0.0.1", podAddress: "10.0.0.2", allocatable: ["cpu": Quantity(2)])
}

@Suite struct `Variable expansion` {
    @Test(arguments: [
        ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"), ("$(C)", "$(C)"), ("$A", "$A"),
        ("$(A", "$(A"),
        ("$", "$"), ("", ""), ("a$$", "a$"), ("$()", "$()"),
    ])
    func `names are replaced where they are known`(text: String, expected: String) {
        #expect(VariableExpansion.expand(text) { ["A": "1", "B": "2"][$0] } == expected)
    }

    @Test func `every prefix of a text can be expanded`() {
        let text = "a$(A)$$(B)$(C)$"
        for end in text.indices {
            #expect(VariableExpansion.expand(String(text[..<end])) { _ in "v" }.count <= text.count)
        }
    }
}

@Suite struct `Downward fields` {
    @Test func `a pod tells about itself`() throws {
        let pod = try pod(
            #"{"serviceAccountName":"sa","containers":[{"name":"c"}]}"#,
            metadata: #","labels":{"b":"x\"y","a":"1"},"annotations":{"k/z":"v"}"#)
        let fields = fields(pod)
        #expect(fields.field("metadata.name") == "p")
        #expect(fields.field("metadata.uid") == "u")
        #expect(fields.field("spec.nodeName") == "n")
        #expect(fields.field("spec.serviceAccountName") == "sa")
        #expect(fields.field("status.podIP") == "10.0.0.2")
        #expect(fields.field("metadata.labels") == "a=\"1\"\nb=\"x\\\"y\"")
        #expect(fields.field("metadata.labels['a']") == "1")
        #expect(fields.field("metadata.annotations['k/z']") == "v")
        #expect(fields.field("metadata.bogus") == nil)
    }

    @Test(
        arguments: [
            ("limits.cpu", nil, "1"), ("limits.cpu", "1m", "250"), ("requests.memory", nil, "67108864"),
            ("requests.memory", "1Mi", "64"), ("limits.memory", "1Mi", "0"), ("requests.cpu", "1m", "250"),
        ] as [(String, String?, String)])
    func `resources are counted in their divisor, rounded up`(resource: String, divisor: String?, expected: String) throws {
        let pod = try pod(
            #"{"containers":[{"name":"c","resources":{"limits":{"cpu":"250m"},"requests":{"memory":"64Mi"}}}]}"#)
        var reference: JSONObject = ["resource": .string(resource)]
        reference["divisor"] = divisor.map { .string($0) }
        #expect(fields(pod).resource(.object(reference), in: pod.containers[0]) == expected)
    }
}

@Suite struct `Container environment` {
    private static func variables(_ container: String, _ objects: FixedObjects = FixedObjects()) throws -> [String] {
        let pod = try pod(#"{"containers":[\#(container)]}"#)
        let environment = ContainerEnvironment(container: pod.containers[0], fields: fields(pod), objects: objects)
        return try environment.variables(base: [("PATH", "/bin")]).map { "\($0.name)=\($0.value)" }
    }

    @Test func `variables come from texts, fields, ConfigMaps and Secrets, later ones seeing earlier ones`() throws {
        var objects = FixedObjects()
        objects.configMaps["m"] = ["data": ["k": "v", "j": "w"]]
        objects.secrets["s"] = ["data": ["t": .string(Base64.encode(Array("hidden".utf8)))]]
        let found = try Self.variables(
            #"""
            {"name":"c","envFrom":[{"prefix":"M_","configMapRef":{"name":"m"}}],
             "env":[{"name":"A","value":"1"},{"name":"B","value":"$(A)-$(M_k)"},{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
              {"name":"T","valueFrom":{"secretKeyRef":{"name":"s","key":"t"}}},
              {"name":"O","valueFrom":{"configMapKeyRef":{"name":"none","key":"x","optional":true}}},{"name":"PATH","value":"/usr/bin"}]}
            """#, objects)
        #expect(found == ["PATH=/usr/bin", "M_j=w", "M_k=v", "A=1", "B=1-v", "N=p", "T=hidden"])
    }

    @Test(arguments: [
        (
            #"{"name":"c","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"absent","key":"a"}}}]}"#,
            "configmap \"absent\" not found"
        ),
        (
            #"{"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"absent","key":"a"}}}]}"#,
            "secret \"absent\" not found"
        ),
        (
            #"{"name":"c","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"m","key":"a"}}}]}"#,
            "couldn't find key a in ConfigMap ns/m"
        ),
        (#"{"name":"c","envFrom":[{"secretRef":{"name":"absent"}}]}"#, "secret \"absent\" not found"),
    ])
    func `what is missing is said as kubelets say it`(container: String, message: String) throws {
        var objects = FixedObjects()
        objects.configMaps["m"] = ["data": [:]]
        #expect(throws: ContainerConfigError(message)) { try Self.variables(container, objects) }
    }

    @Test func `Services of the namespace are told in variables, and the API server's always`() throws {
        func service(_ name: String, _ namespace: String, _ address: String) -> JSONObject {
            [
                "metadata": ["name": .string(name), "namespace": .string(namespace)],
                "spec": ["clusterIP": .string(address), "ports": [["port": 443, "name": "https", "protocol": "TCP"]]],
            ]
        }
        var objects = FixedObjects()
        objects.all = [
            service("kubernetes", "default", "10.96.0.1"), service("my-db", "ns", "10.96.0.7"), service("x", "ns", "None"),
        ]
        let found = try Self.variables(#"{"name":"c"}"#, objects)
        #expect(found.contains("KUBERNETES_SERVICE_HOST=10.96.0.1"))
        #expect(found.contains("KUBERNETES_SERVICE_PORT_HTTPS=443"))
        #expect(found.contains("MY_DB_PORT_443_TCP=tcp://10.96.0.7:443"))
        #expect(!found.contains { $0.hasPrefix("X_") })
    }
}

@Suite struct `Container setup of the node` {
    private static func setup(
        _ container: String, pod spec: String = "", volumes: [String: NodeContainerSetup.VolumePlace] = [:], isRoot: Bool = true
    ) throws -> ContainerSetup {
        let pod = try pod(#"{"containers":[\#(container)]\#(spec)}"#)
        let setup = NodeContainerSetup(
            pod: pod, container: pod.containers[0], image: .machine("host"), volumes: volumes, terminationLog: "/words",
            hostsFile: "/hosts", resolvers: "", isRoot: isRoot, hidden: ["/node"])
        return try setup.setup(variables: [("A", "1")])
    }

    @Test func `commands see variables, and users and capabilities are what is asked for`() throws {
        let setup = try Self.setup(
            #"{"name":"c","command":["echo","$(A)"],"args":["$(B)"],"workingDir":"/w","securityContext":{"runAsUser":7,"runAsGroup":8,"readOnlyRootFilesystem":true}}"#,
            pod: #","securityContext":{"fsGroup":9}"#)
        #expect(setup.command == ["echo", "1", "$(B)"])
        #expect((setup.user, setup.group) == (7, 8))
        #expect(setup.supplementalGroups == [9])
        #expect(setup.capabilities == 0 && setup.readOnlyRoot && setup.workingDirectory == "/w")
        #expect(setup.hasSystemCallFilter)
        let root = try Self.setup(
            #"{"name":"c","command":["x"],"securityContext":{"capabilities":{"drop":["ALL"],"add":["NET_BIND_SERVICE"]}}}"#)
        #expect(root.capabilities == 1 << 10)
        #expect(!root.readOnlyRoot)
    }

    @Test(arguments: [
        (#"{"name":"c"}"#, "no command specified"),
        (
            #"{"name":"c","command":["x"],"securityContext":{"runAsNonRoot":true}}"#,
            "container has runAsNonRoot and image will run as root (pod: \"p_ns(u)\", container: c)"
        ),
        (#"{"name":"c","command":["x"],"securityContext":{"runAsUser":70000}}"#, "runAsUser 70000: expected one below 65536"),
        (
            #"{"name":"c","command":["x"],"securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}"#,
            "capability SYS_ADMIN cannot be given on this node"
        ),
        (
            #"{"name":"c","command":["x"],"volumeMounts":[{"name":"v","mountPath":"/a/../b"}]}"#,
            "mountPath /a/../b: expected an absolute path without .."
        ),
        (
            #"{"name":"c","command":["x"],"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"x"}]}"#,
            "subPath of volume v: only config maps, secrets and projected volumes have parts here"
        ),
    ])
    func `what cannot be is refused in words`(container: String, message: String) throws {
        #expect(throws: ContainerConfigError(message)) {
            try Self.setup(container, volumes: ["v": .init(path: "/v")])
        }
    }

    @Test func `an ordinary user's cluster has the few users that its subordinate ids give`() throws {
        #expect(throws: ContainerConfigError.self) {
            try Self.setup(#"{"name":"c","command":["x"],"securityContext":{"runAsUser":7}}"#, isRoot: false)
        }
    }

    @Test func `a part of a volume does not lead out of it`() throws {
        try withTemporaryDirectory { directory in
            let volume = "\(directory)/v"
            try AtomicDirectory(path: volume, owner: nil).write(["key": .init(bytes: [1], mode: 0o644)], at: UTCTime(seconds: 1))
            let places = ["v": NodeContainerSetup.VolumePlace(path: volume, isReadOnly: true, isOwn: true)]
            func mount(_ part: String) throws -> ContainerSetup {
                try Self.setup(
                    #"{"name":"c","command":["x"],"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"\#(part)"}]}"#,
                    volumes: places)
            }
            let source = try #require(try mount("key").mounts.last)
            guard case .file(let path, readOnly: true) = source.kind else {
                Issue.record("expected a file, got \(source)")
                return
            }
            #expect(path.hasPrefix(try #require(RealPath.of(volume)).path + "/.."))
            #expect(throws: ContainerConfigError.self) { try mount("../x") }
            #expect(throws: ContainerConfigError.self) { try mount("absent") }
        }
    }
}

@Suite struct `Images of the node` {
    @Test(arguments: [
        ("kars", "kars"), ("ghcr.io/azure/kars:1.2", "kars"), ("localhost:5000/a/busybox", "busybox"),
        ("busybox@sha256:abc", "busybox"), ("a/b:1@sha256:abc", "b"), ("", ""),
    ])
    func `the last part of a reference names the image`(reference: String, name: String) {
        #expect(ImageStore.name(of: reference) == name)
    }

    @Test func `an image is kars, the machine, or files that somebody unpacked`() throws {
        try withTemporaryDirectory { directory in
            let store = ImageStore(directory: directory)
            #expect(store.image("x/kars:2") == .machine("kars"))
            #expect(store.image("host") == .machine("host"))
            #expect(store.image("x/busybox:1") == nil)
            try Files.createDirectories("\(directory)/busybox/rootfs", mode: 0o755)
            #expect(store.image("x/busybox:1") == .unpacked(path: "\(directory)/busybox/rootfs"))
            #expect(store.image("..") == nil)
            #expect(store.absence(of: "y").contains("there are: kars, host, busybox"))
        }
    }
}

@Suite struct `Resolvers of pods` {
    private static let cluster = "nameserver 10.96.0.10\nsearch a.b\noptions ndots:5\n"

    @Test(arguments: [
        (#"{}"#, cluster), (#"{"dnsPolicy":"Default"}"#, ""),
        (
            #"{"dnsConfig":{"searches":["c"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]}}"#,
            "nameserver 10.96.0.10\nsearch a.b c\noptions ndots:5 ndots:2 edns0\n"
        ),
        (#"{"dnsPolicy":"None","dnsConfig":{"nameservers":["1.1.1.1"]}}"#, "nameserver 1.1.1.1\n"),
    ])
    func `a pod's own settings are added to those of its policy`(spec: String, expected: String) throws {
        #expect(PodResolvers.text(for: try pod(spec), cluster: Self.cluster) == expected)
    }
}
