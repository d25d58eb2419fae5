import KarsCore
import KarsTesting
import Synchronization

@testable import Kars

/// An API server that is killed and comes back on its port and over its state, and a witness of what controllers do to it.
actor MortalServer {
    /// What was committed and by whom it was asked for, over all lives.
    final class Witness: Sendable {
        /// Writes of somebody who did not hold the lease when they came.
        let trespasses = Watched<[String]>([])
        /// `name: text` each time a ConfigMap got another text.
        let acts = Watched<[String]>([])
        let replicas: Set<String>
        let lease: ObjectKey

        init(replicas: Set<String>, lease: ObjectKey) {
            self.replicas = replicas
            self.lease = lease
        }
    }

    private struct Life {
        var server: APIServer
        var store: ObjectStore
        var watch: StoreWatch
        var observation: Task<Void, Never>
    }

    let witness: Witness
    private let directory: String
    private(set) var port: UInt16 = 0
    private var life: Life?

    init(directory: String, witness: Witness) {
        self.directory = directory
        self.witness = witness
    }

    func start() async throws {
        let store = try ObjectStore(StoreConfig(directory: directory))
        var parts = APIServerParts(
            builtIn: BuiltInKinds.all, authenticator: HeaderAuthenticator(), authorizer: EverybodyMay())
        parts.admission = [LeaderOnly(witness: witness)]
        let server = APIServer(parts, store: store, log: .silent)
        let watch = StoreWatch(store, ConfigMapKind.resource.collection, after: store.revision)
        let witness = witness
        let observation = Task {
            while true {
                guard case .events(let events, _) = await watch.next() else { return }
                for event in events where event.kind != .deleted {
                    let text = event.object.json["data"]?["text"]
                    guard let text, text != event.previous?.json["data"]?["text"] else { continue }
                    witness.acts.change { $0.append("\(event.object.json.name): \(text.stringValue ?? "")") }
                }
            }
        }
        let address = try await server.start(
            at: SocketAddress(.loopbackV4, port: port), tls: nil, group: APIServerFixture.group)
        port = address.port
        life = Life(server: server, store: store, watch: watch, observation: observation)
    }

    /// Every connection breaks; what was acknowledged is kept.
    func kill() async {
        guard let life else { return }
        self.life = nil
        await life.server.stop(within: .zero)
        life.watch.interrupt()
        await life.observation.value
        await life.store.close()
    }
}

private struct EverybodyMay: Authorizer {
    func decide(_ user: UserInfo, _ attributes: AccessAttributes) -> AccessDecision { .allowed(reason: "") }
}

/// Notes writes of replicas that do not lead. It lets them through: what then happens is for the test to see.
private struct LeaderOnly: AdmissionStep {
    let witness: MortalServer.Witness
    var phase: AdmissionPhase { .validating }

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard witness.replicas.contains(request.user.name), request.resource != .leases else { return [] }
        let lease = reader.get(.leases, namespace: witness.lease.namespace, name: witness.lease.name)
        let holder = lease?["spec"]?["holderIdentity"]?.stringValue ?? "nobody"
        if holder != request.user.name {
            witness.trespasses.change { $0.append("\(request.user.name): \(request.verb) \(object.name) while \(holder) leads") }
        }
        return []
    }
}

/// A way to the server on which every tenth request fails, in one of the ways there are, and watches can be cut.
final class UnreliableWay: KubernetesAPI {
    private let client: KubernetesClient
    private let state = Mutex<(count: Int, watches: [any WatchStream])>((0, []))

    init(_ client: KubernetesClient) { self.client = client }

    func cutWatches() {
        let watches = state.withLock { state in
            defer { state.watches = [] }
            return state.watches
        }
        for watch in watches { watch.cancel() }
    }

    private func count() -> Int {
        state.withLock {
            $0.count += 1
            return $0.count
        }
    }

    func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        switch count() % 40 {
        case 7: throw .conflict(.configMaps, name: "every-tenth")
        case 17:
            var status = APIStatus(code: 429, reason: .tooManyRequests, message: "every tenth")
            status.retryAfterSeconds = 1
            throw status
        case 27: throw .internalError("every tenth")
        case 37:
            _ = try await client.send(request)
            throw .unreachable("the answer was lost")
        default: return try await client.send(request)
        }
    }

    func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream {
        if count() % 10 == 0 { throw .internalError("every tenth") }
        let stream = try await client.watch(request)
        state.withLock { $0.watches.append(stream) }
        return stream
    }
}

/// Time that passes so many times as fast as on the wall.
struct HurriedTime: TimeSource {
    let speed: Int64
    private let loop = APIServerFixture.group.loops[0]
    private let start = (instant: Instant.now(), utc: UTCTime.now())

    init(speed: Int64) { self.speed = speed }

    private var passed: Duration { Instant.now().duration(since: start.instant) * Int(speed) }

    func now() -> Instant { start.instant.advanced(by: passed) }
    func utc() -> UTCTime { start.utc.advanced(by: passed) }

    func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> any ScheduledWork {
        loop.schedule(after: deadline.duration(since: now()) / Int(speed), body)
    }
}
