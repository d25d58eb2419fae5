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

/// A node on an API server of its own, with real pods: namespaces, packet rules and processes of this machine.
struct NodeRig: Sendable {
    static let nodeName = "node1"

    let fixture: APIServerFixture
    let client: KubernetesClient
    let directory: String
    private let late: LateNode
    private let machine: PodMachine.Config
    private let network: NodeNetwork?

    /// nil when pods can run here.
    static let obstacle: String? = {
        if geteuid() != 0 { return "needs root" }
        if let problem = LocalPrerequisites.check().first { return problem.description }
        return access(BuiltProduct.kars, X_OK) == 0 ? nil : "\(BuiltProduct.kars) is not built"
    }()

    static func isPossible() -> Bool {
        if let obstacle { print("skipped: \(obstacle)") }
        return obstacle == nil
    }

    static func run(
        machine: PodMachine.Config = PodMachine.Config(), isNetworked: Bool = false, below subdirectory: String = "",
        change: @escaping (inout APIServerParts) -> Void = { _ in },
        _ body: (NodeRig) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { base in
            let directory = base + subdirectory
            try Files.createDirectories(directory, mode: 0o700)
            let late = LateNode()
            try await APIServerFixture.run(
                change: { parts in
                    parts.builtIn = BuiltInKinds.all
                    for name in ["log", "exec", "attach", "portforward"] {
                        let name = SubresourceName(group: "", resource: "pods", subresource: name)
                        parts.subresources[name] = LateHandler(name: name, node: late)
                    }
                    change(&parts)
                }
            ) { fixture in
                let config = KubernetesClientConfig(
                    server: HTTPURL(scheme: .http, host: "127.0.0.1", port: fixture.port, target: "/"))
                let client = KubernetesClient(config, group: APIServerFixture.group)
                let rig = NodeRig(
                    fixture: fixture, client: client, directory: directory, late: late, machine: machine,
                    network: isNetworked ? try NodeNetwork.forTests(directory, fixture.port) : nil)
                let result: Result<Void, any Error>
                do { result = .success(try await rig.withNode { try await body(rig) }) } catch { result = .failure(error) }
                await rig.endEverything()
                await client.close()
                try result.get()
            }
        }
    }

    /// A node that runs as long as `body`, unless it is stopped before.
    func withNode(_ body: () async throws -> Void) async throws {
        let node = try NodeAgent(
            client: client, group: APIServerFixture.group, nodeName: Self.nodeName, directory: directory,
            executable: BuiltProduct.kars, network: network, machine: machine, log: .silent)
        late.subresources.withLock { $0 = node.serving.subresources }
        // Bridges to what is stopped from within `body`.
        let running = Task { [network, client] in
            guard let network else { return try await node.run() }
            try await network.start()
            let sync = NodeNetworkSync(api: client, time: LoopTime(APIServerFixture.group.next())) { try await network.apply($0) }
            async let following: Void = sync.run()
            try await node.run()
            // Cancelled as this is.
            try? await following
            await network.stop()
        }
        late.running.withLock { $0 = running }
        let result: Result<Void, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        await stopNode()
        try result.get()
    }

    /// The node ends as its process would; its pods go on.
    func stopNode() async {
        let running = late.running.withLock { $0.take() }
        running?.cancel()
        _ = await running?.result
    }

    /// Nothing of a test may go on.
    private func endEverything() async {
        for uid in (try? Files.entries(of: "\(directory)/pods")) ?? [] {
            _ = try? await LocalPod(directory: "\(directory)/pods/\(uid)", executable: BuiltProduct.kars).stop(grace: .zero)
        }
        if let memory = try? NodeMemory.open(for: directory) { _ = try? Files.remove(memory) }
    }

    // MARK: - Pods

    static let pods = "/api/v1/namespaces/default/pods"

    /// A pod that is bound to the node; `spec` without `nodeName`.
    @discardableResult
    func create(_ name: String, _ spec: String, metadata: String = "") async throws -> JSON {
        var object = try JSON(
            parsing: #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"\#(name)"\#(metadata)},"spec":\#(spec)}"#)
        object.setMember("spec", merged(object["spec"] ?? [:]))
        let answer = try await fixture.call(.post, Self.pods, String(decoding: object.encoded(), as: UTF8.self))
        try #require(answer.status == 201, "\(answer.text)")
        return answer.json
    }

    private func merged(_ spec: JSON) -> JSON {
        var spec = spec.objectValue ?? JSONObject()
        spec["nodeName"] = .string(Self.nodeName)
        return .object(spec)
    }

    /// The pod's states from its creation on, until one of them is `last`, or it is gone.
    func life(of name: String, until last: (PodState) -> Bool = { _ in false }) async throws -> [PodState] {
        let lines = try await fixture.watch("\(Self.pods)?fieldSelector=metadata.name%3D\(name)&watch=true")
        var states: [PodState] = []
        while let line = try await lines.next() {
            let state = PodState(line["object"] ?? [:], isGone: line["type"] == "DELETED")
            states.append(state)
            if state.isGone || last(state) { break }
        }
        lines.response.cancel()
        return states
    }

    /// Reasons of the pod's Events, in the order in which they came, once `last` is among them.
    func events(about name: String, until last: String) async throws -> [(reason: String, message: String, type: String)] {
        let path = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D\(name)&watch=true"
        let lines = try await fixture.watch(path)
        var events: [(reason: String, message: String, type: String)] = []
        while let line = try await lines.next() {
            let event = line["object"] ?? [:]
            let reason = event["reason"]?.stringValue ?? ""
            events.append((reason, event["message"]?.stringValue ?? "", event["type"]?.stringValue ?? ""))
            if reason == last { break }
        }
        lines.response.cancel()
        return events
    }

    func log(_ name: String, _ query: String = "") async throws -> APIServerFixture.Answer {
        try await fixture.call(.get, "\(Self.pods)/\(name)/log\(query.isEmpty ? "" : "?" + query)")
    }

    func exec(_ name: String, _ command: [String], container: String? = nil) async throws -> (
        out: String, err: String, exit: RemoteExit
    ) {
        let process = try await client.run(
            .exec(namespace: "default", pod: name, command: command, StreamOptions(container: container)))
        let end = try await process.collect()
        return (String(decoding: end.stdout, as: UTF8.self), String(decoding: end.stderr, as: UTF8.self), end.exit)
    }

    func delete(_ name: String) async throws { try await fixture.call(.delete, "\(Self.pods)/\(name)") }
}

extension NodeNetwork {
    fileprivate static func forTests(_ directory: String, _ port: UInt16) throws -> NodeNetwork {
        try NodeNetwork(
            directory: "\(directory)/network", executable: BuiltProduct.kars,
            apiServer: SocketAddress(.loopbackV4, port: port), config: Config(addresses: try ClusterAddresses()),
            group: APIServerFixture.group, log: .silent)
    }
}

/// What a test looks at in a pod's status.
struct PodState: CustomStringConvertible {
    let json: JSON
    let isGone: Bool

    init(_ json: JSON, isGone: Bool) {
        self.json = json
        self.isGone = isGone
    }

    var status: JSON { json["status"] ?? [:] }
    var phase: String { status["phase"]?.stringValue ?? "" }
    var uid: String { json["metadata"]?["uid"]?.stringValue ?? "" }

    func condition(_ type: String) -> (status: String, reason: String?) {
        let condition = (status["conditions"]?.arrayValue ?? []).first { $0["type"]?.stringValue == type }
        return (condition?["status"]?.stringValue ?? "", condition?["reason"]?.stringValue)
    }

    var isReady: Bool { condition("Ready").status == "True" }

    func container(_ name: String) -> JSON {
        let all = (status["initContainerStatuses"]?.arrayValue ?? []) + (status["containerStatuses"]?.arrayValue ?? [])
        return all.first { $0["name"]?.stringValue == name } ?? [:]
    }

    /// `waiting ContainerCreating`, `running`, `terminated Error 3`.
    func state(_ name: String) -> String {
        let state = container(name)["state"]
        if let waiting = state?["waiting"] { return "waiting \(waiting["reason"]?.stringValue ?? "")" }
        if let end = state?["terminated"] {
            return "terminated \(end["reason"]?.stringValue ?? "") \(end["exitCode"]?.intValue ?? -1)"
        }
        return state?["running"] == nil ? "" : "running"
    }

    var description: String {
        let names = ((status["initContainerStatuses"]?.arrayValue ?? []) + (status["containerStatuses"]?.arrayValue ?? []))
            .compactMap { $0["name"]?.stringValue }
        let conditions = ["PodReadyToStartContainers", "Initialized", "Ready"].map { type in
            "\(condition(type).status.prefix(1))\(condition(type).reason.map { "/" + $0 } ?? "")"
        }
        return "\(phase) [\(conditions.joined(separator: " "))] \(names.map { "\($0): \(state($0))" }.joined(separator: ", "))"
    }
}

extension [PodState] {
    /// The states that a container passes through, each once.
    func states(of name: String) -> [String] {
        reduce(into: []) { states, state in
            let text = state.state(name)
            if !text.isEmpty, states.last != text { states.append(text) }
        }
    }

    var phases: [String] { reduce(into: []) { if $0.last != $1.phase { $0.append($1.phase) } } }

    /// `True` or `False/Reason` of a condition, each once.
    func conditions(_ type: String) -> [String] {
        reduce(into: []) { texts, state in
            let condition = state.condition(type)
            let text = condition.status + (condition.reason.map { "/" + $0 } ?? "")
            if !text.isEmpty, texts.last != text { texts.append(text) }
        }
    }
}

/// The API server is there before the node whose subresources it serves.
final class LateNode: Sendable {
    let subresources = Mutex<[SubresourceName: any SubresourceHandler]>([:])
    let running = Mutex<Task<Void, any Error>?>(nil)
}

struct LateHandler: SubresourceHandler {
    let name: SubresourceName
    let node: LateNode

    let methods: Set<HTTPMethod> = [.get, .post]

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        guard let handler = node.subresources.withLock({ $0[name] }) else { throw APIStatus.unknownResource() }
        try await handler.handle(request, response, info: info)
    }
}
