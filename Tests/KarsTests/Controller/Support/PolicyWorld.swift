import KarsCore
import KarsTesting
import Synchronization

@testable import Kars

/// Routers that say what a test has them say.
final class FakeRouters: RouterProbe {
    private let answers = Mutex<[String: RouterAnswer]>([:])
    private let counts = Mutex<[String: Int]>([:])

    func ask(_ sandbox: String) async -> RouterAnswer {
        counts.withLock { $0[sandbox, default: 0] += 1 }
        return answers.withLock { $0[sandbox] } ?? .silent("nobody is there")
    }

    func forget(_ sandbox: String) {}

    /// From now on the router of `sandbox` enforces these.
    func set(_ sandbox: String, _ digests: [RouterReport.Kind: String]) {
        set(sandbox, .report(RouterReport(sandbox: sandbox, entries: digests.mapValues { RouterReport.Entry(digest: $0) })))
    }

    func set(_ sandbox: String, _ answer: RouterAnswer) { answers.withLock { $0[sandbox] = answer } }

    /// How often a router was asked.
    func count(_ sandbox: String) -> Int { counts.withLock { $0[sandbox] ?? 0 } }
}

/// No key set is ever asked for.
struct NoKeys: KeySetSource {
    func keys(of issuer: String) async -> Result<JSONWebKeySet, CompileFault> { .failure(.invalid("no issuer in this test")) }
}

/// The loops of the policy kinds over a cluster in memory and a clock that a test moves.
struct PolicyWorld {
    let cluster: FakeCluster
    let clock = ManualClock()
    let routers = FakeRouters()
    let loops: PolicyLoops
    let informers: SharedInformers

    init(cluster: FakeCluster = FakeCluster(), keys: any KeySetSource = NoKeys()) {
        self.cluster = cluster
        informers = SharedInformers(of: cluster, time: clock)
        loops = PolicyLoops(informers: informers, probe: routers, keys: keys)
    }

    /// Runs everything on one thread, so that what can run has run when time moves on.
    static func run(_ body: @escaping @Sendable (PolicyWorld) async throws -> Void) async throws {
        let group = try EventLoopGroup()
        try await Task(executorPreference: group.loops[0]) {
            let world = PolicyWorld()
            // Children, because those stay on the thread that is preferred.
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await world.informers.run() }
                tasks.addTask { await world.loops.run() }
                defer { tasks.cancelAll() }
                try await body(world)
            }
        }.value
        group.shutdown()
    }

    /// Lets everything that can run do so, then time pass, `rounds` times.
    func pass(_ rounds: Int = 10, _ step: Duration = .milliseconds(100)) async {
        for _ in 0..<rounds {
            for _ in 0..<150 { await Task.yield() }
            clock.advance(by: step)
        }
        for _ in 0..<150 { await Task.yield() }
    }

    /// Changes since the cluster was empty, those of events left out.
    var writes: [KubernetesRequest] {
        cluster.requests.filter { request in
            if case .object(let path) = request.target, path.resource.resource == "events" { return false }
            return request.verb != .get && request.verb != .list && request.verb != .watch
        }
    }

    // MARK: - Objects

    static let sandboxes = GroupVersionResource(group: KarsKind.group, version: KarsKind.version, resource: "karssandboxes")

    func sandbox(_ name: String, _ spec: JSONObject = [:], phase: String = "Running") async throws {
        var whole: JSONObject = [
            "inferenceRef": ["name": "models"], "governance": ["enabled": true, "toolPolicyRef": ["name": "tools"]],
        ]
        for member in spec { whole[member.key] = member.value.isNull ? nil : member.value }
        let object: JSONObject = [
            "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsSandbox",
            "metadata": ["name": .string(name), "namespace": "team"], "spec": .object(whole), "status": ["phase": .string(phase)],
        ]
        _ = try await cluster.send(.create(Self.sandboxes, object))
    }

    func create<Kind: KarsResource>(_ kind: Kind.Type, _ name: String, _ spec: JSON) async throws {
        let object: JSONObject = [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(Kind.definition.kind),
            "metadata": ["name": .string(name), "namespace": "team"], "spec": spec,
        ]
        _ = try await cluster.send(.create(Kind.kind.resource, object))
    }

    /// Replaces members of the specification.
    func edit<Kind: KarsResource>(_ kind: Kind.Type, _ name: String, _ spec: JSON) async throws {
        _ = try await cluster.send(.patch(.merge, Kind.kind.resource, namespace: "team", name: name, ["spec": spec]))
    }

    func object<Kind: KarsResource>(_ kind: Kind.Type, _ name: String) -> JSONObject? {
        cluster.object(Kind.kind.resource, ObjectKey(namespace: "team", name: name))
    }

    func status<Kind: KarsResource>(_ kind: Kind.Type, _ name: String) throws -> Kind.Status {
        try Kind.Status(reading: object(kind, name)?["status"] ?? [:], at: "status")
    }

    func configMap(_ name: String, namespace: String = "team") -> JSONObject? {
        cluster.object(.configMaps, ObjectKey(namespace: namespace, name: name))
    }

    // MARK: - Policies

    static func profile(_ pattern: String) -> String {
        "version: \"2\"\nagent: a\npolicies:\n  - name: r\n    type: capability\n    allowed_actions: [\"\(pattern)\"]\n"
    }

    static func tools(_ profile: String) -> JSON {
        ["appliesTo": ["sandboxMatchLabels": ["a": "b"]], "agtProfile": ["inline": .string(profile)]]
    }

    static func digest(_ profile: String) -> String {
        PolicyDigest(name: PolicyDigest.Name.agtProfile, body: Array(profile.utf8)).description
    }
}
