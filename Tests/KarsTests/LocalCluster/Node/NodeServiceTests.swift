import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// What a node does beyond running pods: it comes back, keeps volumes true, and lets people in.
@Suite(.enabled(if: NodeRig.isPossible()), .serialized) struct `Node agent` {
    private static let shell = `Pods of the node`.shell

    @Test func `the node registers, with a lease`() async throws {
        try await NodeRig.run { rig in
            let lines = try await rig.fixture.watch("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases?watch=true")
            let lease = try #require(try await lines.next())
            lines.response.cancel()
            #expect(lease["object"]?["spec"]?["holderIdentity"] == "node1")
            #expect(lease["object"]?["metadata"]?["ownerReferences"]?.arrayValue?.first?["kind"] == "Node")
            let node = try await rig.fixture.call(.get, "/api/v1/nodes/node1").json
            #expect(node["metadata"]?["labels"]?["kubernetes.io/hostname"] == "node1")
            let conditions = node["status"]?["conditions"]?.arrayValue ?? []
            #expect(conditions.last?["type"] == "Ready" && conditions.last?["status"] == "True")
            #expect(node["status"]?["nodeInfo"]?["operatingSystem"] == "linux")
        }
    }

    // Below a directory whose sockets have paths longer than a socket's address.
    @Test func `a node that comes back finds its pods, and ends what nobody wants any more`() async throws {
        try await NodeRig.run(below: "/" + String(repeating: "long", count: 20)) { rig in
            try await rig.create("stays", #"{"containers":[{"name":"c",\#(Self.shell),"echo begun; exec sleep 1000"]}]}"#)
            try await rig.create("goes", #"{"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"]}]}"#)
            let stays = try #require(try await rig.life(of: "stays") { $0.isReady }.last)
            let goes = try #require(try await rig.life(of: "goes") { $0.isReady }.last)
            let id = stays.container("c")["containerID"]
            await rig.stopNode()
            // Nobody sees it go.
            try await rig.fixture.call(.delete, "\(NodeRig.pods)/goes?gracePeriodSeconds=0")
            try await rig.withNode {
                try await rig.until { !Files.exists("\(rig.directory)/pods/\(goes.uid)") }
                #expect(try await rig.log("stays").text == "begun\n")
                #expect(try await rig.exec("stays", ["true"]).exit == .code(0))
                let now = try #require(try await rig.life(of: "stays") { $0.isReady }.last)
                #expect(now.container("c")["containerID"] == id)
                #expect(now.container("c")["restartCount"] == 0)
            }
        }
    }

    @Test func `a pod whose supervisor is killed begins again`() async throws {
        try await NodeRig.run { rig in
            try await rig.create("hit", #"{"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"]}]}"#)
            let before = try #require(try await rig.life(of: "hit") { $0.isReady }.last)
            let status = try LocalPod(directory: "\(rig.directory)/pods/\(before.uid)").status()
            kill(pid_t(try #require(status?.supervisorPid)), SIGKILL)
            let life = try await rig.life(of: "hit") { $0.container("c")["restartCount"] == 1 && $0.isReady }
            #expect(life.last?.container("c")["lastState"]?["terminated"]?["reason"] == "ContainerStatusUnknown")
        }
    }

    @Test func `a volume shows what its ConfigMap says, all at once, and a changed label`() async throws {
        try await NodeRig.run { rig in
            try await rig.fixture.createConfigMap("m")
            try await rig.create(
                "vol",
                #"""
                {"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"],"volumeMounts":[{"name":"v","mountPath":"/etc/v"},{"name":"d","mountPath":"/d"},
                  {"name":"v","mountPath":"/etc/one","subPath":"k"},{"name":"e","mountPath":"/e"}]}],
                 "volumes":[{"name":"v","configMap":{"name":"m"}},{"name":"e","emptyDir":{}},
                  {"name":"d","downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}
                """#, metadata: #","labels":{"a":"1"}"#)
            _ = try await rig.life(of: "vol") { $0.isReady }
            #expect(try await rig.exec("vol", ["cat", "/etc/v/k", "/etc/one", "/d/labels"]).out == "11a=\"1\"")
            #expect(try await rig.exec("vol", ["sh", "-c", "echo x > /e/f && cat /e/f; echo y > /etc/v/k"]).out == "x\n")
            try await rig.fixture.patch("\(APIServerFixture.configMaps)/m", "merge-patch+json", #"{"data":{"k":"2"}}"#)
            try await rig.fixture.patch("\(NodeRig.pods)/vol", "merge-patch+json", #"{"metadata":{"labels":{"a":"2"}}}"#)
            try await rig.untilExec("vol", ["cat", "/etc/v/k", "/d/labels"], says: "2a=\"2\"")
            #expect(try await rig.exec("vol", ["cat", "/etc/one"]).out == "1")
        }
    }

    @Test func `a token is mounted, bound to the pod, and fetched anew before it is old`() async throws {
        let tokens = FakeTokens()
        try await NodeRig.run(change: {
            $0.subresources[SubresourceName(group: "", resource: "serviceaccounts", subresource: "token")] = tokens
        }) { rig in
            try await rig.fixture.call(
                .post, "/api/v1/namespaces/default/serviceaccounts",
                #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}"#)
            let pod = try await rig.create(
                "tok",
                #"{"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"],"volumeMounts":[{"name":"t","mountPath":"/t"}]}],"volumes":[{"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token","expirationSeconds":3607}}]}}]}"#
            )
            _ = try await rig.life(of: "tok") { $0.isReady }
            try await rig.untilExec("tok", ["cat", "/t/token"], says: "token-3")
            let asked = try #require(tokens.requests.withLock { $0.first })
            #expect(asked["spec"]?["boundObjectRef"]?["uid"] == pod["metadata"]?["uid"])
            #expect(asked["spec"]?["expirationSeconds"] == 3_607)
        }
    }

    @Test func `a log is followed to its end`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "talk",
                #"{"restartPolicy":"Never","containers":[{"name":"c",\#(Self.shell),"for i in 1 2 3 4; do echo $i; sleep 0.1; done; printf end"]}]}"#
            )
            _ = try await rig.life(of: "talk") { $0.state("c") == "running" }
            let stream = try await rig.client.open(
                .log(namespace: "default", pod: "talk", LogOptions(container: "c", follows: true)))
            var text: [UInt8] = []
            while let part = try await stream.next() { text += part }
            #expect(String(decoding: text, as: UTF8.self) == "1\n2\n3\n4\nend")
            #expect(try await rig.log("talk", "tailLines=2").text == "4\nend")
            #expect(try await rig.log("talk", "limitBytes=3").text == "1\n2")
        }
    }

    @Test func `commands have input, a terminal, and an end`() async throws {
        try await NodeRig.run { rig in
            try await rig.create("box", #"{"containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"]}]}"#)
            _ = try await rig.life(of: "box") { $0.isReady }
            let cat = try await rig.client.run(
                .exec(namespace: "default", pod: "box", command: ["cat"], StreamOptions(stdin: true)))
            let long = [UInt8](repeating: UInt8(ascii: "x"), count: 200_000)
            try await cat.write(long)
            try await cat.endInput()
            let copied = try await cat.collect()
            #expect(copied.stdout == long && copied.exit == .code(0))

            // As on any node it is a pipe: read as it comes, and opened by name.
            let count = try await rig.client.run(
                .exec(namespace: "default", pod: "box", command: ["wc", "-c", "/dev/stdin"], StreamOptions(stdin: true)))
            for _ in 0..<20 { try await count.write(long) }
            try await count.endInput()
            let counted = try await count.collect()
            #expect(
                String(decoding: counted.stdout + counted.stderr, as: UTF8.self) == "4000000 /dev/stdin\n"
                    && counted.exit == .code(0))
            // A command that reads nothing holds nobody up.
            let deaf = try await rig.client.run(
                .exec(namespace: "default", pod: "box", command: ["true"], StreamOptions(stdin: true)))
            // It may have gone already, with the connection.
            for _ in 0..<20 { try? await deaf.write(long) }
            #expect(try await deaf.collect().exit == .code(0))

            let shell = try await rig.client.run(
                .exec(namespace: "default", pod: "box", command: ["sh"], StreamOptions(stdin: true, tty: true)))
            try await shell.resize(width: 77, height: 33)
            try await shell.write(Array("stty size; exit 5\n".utf8))
            let said = try await shell.collect()
            #expect(String(decoding: said.stdout, as: UTF8.self).contains("33 77"))
            #expect(said.exit == .code(5))

            let answer = try await rig.fixture.call(.get, "\(NodeRig.pods)/box/exec?command=true")
            #expect(answer.status == 400 && answer.message == "Upgrade request required")
            let other = try await rig.fixture.call(.post, "\(NodeRig.pods)/box/exec?command=true&container=nope")
            #expect(other.status == 400 && other.message == "container nope is not valid for pod box")
            await #expect(throws: APIStatus.self) { try await rig.exec("box", ["true"], container: "nope") }
            await #expect(throws: APIStatus.self) { try await rig.exec("absent", ["true"]) }
            let none = try await rig.exec("box", ["/nope"])
            #expect(none.exit != .code(0))
        }
    }

    @Test func `a port of a pod is reached`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "web",
                #"{"containers":[{"name":"c",\#(Self.shell),"cd /tmp; echo hi > f; exec python3 -m http.server 8080"],"readinessProbe":{"tcpSocket":{"port":8080}}}]}"#
            )
            _ = try await rig.life(of: "web") { $0.isReady }
            let connection = try await rig.client.forward(namespace: "default", pod: "web", port: 8080)
            try await connection.write(Array("GET /f HTTP/1.0\r\n\r\n".utf8))
            var answer: [UInt8] = []
            while let part = try await connection.read() { answer += part }
            #expect(String(decoding: answer, as: UTF8.self).hasSuffix("\r\n\r\nhi\n"))

            let closed = try await rig.client.forward(namespace: "default", pod: "web", port: 9)
            await #expect(throws: APIStatus.self) { while try await closed.read() != nil {} }
        }
    }

    @Test func `hooks run, and a pod past its deadline fails`() async throws {
        try await NodeRig.run { rig in
            try await rig.create(
                "hooks",
                #"""
                {"terminationGracePeriodSeconds":5,"activeDeadlineSeconds":1,"volumes":[{"name":"e","emptyDir":{}}],
                 "containers":[{"name":"c",\#(Self.shell),"exec sleep 1000"],"volumeMounts":[{"name":"e","mountPath":"/e"}],
                  "lifecycle":{"postStart":{"exec":{"command":["touch","/e/post"]}},"preStop":{"exec":{"command":["touch","/e/pre"]}}}}]}
                """#)
            let life = try await rig.life(of: "hooks") { $0.phase == "Failed" }
            let last = try #require(life.last)
            #expect(last.status["reason"] == "DeadlineExceeded")
            #expect(life.states(of: "c").contains("running"))
            for name in ["post", "pre"] { #expect(Files.exists("\(rig.directory)/pods/\(last.uid)/volumes/e/\(name)")) }
        }
    }

    @Test func `pods that would reach the machine are refused`() async throws {
        try await NodeRig.run { rig in
            for (name, spec) in [
                ("net", #"{"hostNetwork":true,"containers":[{"name":"c",\#(Self.shell),"true"]}]}"#),
                ("priv", #"{"containers":[{"name":"c",\#(Self.shell),"true"],"securityContext":{"privileged":true}}]}"#),
            ] {
                try await rig.create(name, spec)
                let last = try #require(try await rig.life(of: name) { $0.phase == "Failed" }.last)
                #expect(last.status["reason"] == "UnexpectedAdmissionError")
            }
            try await rig.create(
                "path",
                #"{"containers":[{"name":"c",\#(Self.shell),"true"],"volumeMounts":[{"name":"h","mountPath":"/h"}]}],"volumes":[{"name":"h","hostPath":{"path":"\#(rig.directory)"}}]}"#
            )
            let event = try #require(try await rig.events(about: "path", until: "FailedMount").last)
            #expect(event.message.contains("holds the cluster's own state"))
        }
    }
}

/// Grants tokens that are old almost at once.
private final class FakeTokens: SubresourceHandler {
    let requests = Mutex<[JSON]>([])
    let methods: Set<HTTPMethod> = [.post]

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        let asked = try JSON(parsing: try await request.body(upTo: 1 << 16))
        let count = requests.withLock { requests in
            requests.append(asked)
            return requests.count
        }
        let expiry = info.now.advanced(by: .seconds(2)).rfc3339Microseconds
        let answer: JSON = [
            "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "status": ["token": .string("token-\(count)"), "expirationTimestamp": .string(expiry)],
        ]
        try await response.send(status: 201, headers: ["content-type": "application/json"], body: answer.encoded())
    }
}
