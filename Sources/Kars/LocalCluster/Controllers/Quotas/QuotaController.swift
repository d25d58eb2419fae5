import KarsCore
import Synchronization

/// Tells in the status of each ResourceQuota how much of it is used. Admission does not go by it: it counts for itself.
struct QuotaController: Sendable {
    /// Changes come in bursts; one count does for all that come within this time.
    private static let pause = Duration.milliseconds(100)

    private let loop: RoundLoop<ObjectKey>

    init(_ informers: SharedInformers, log: Log) {
        let quotas = informers.informer(
            .resourceQuotas, view: .metadata, indexes: ["namespace": { [$0.namespace ?? ""] }])
        let triggers = QuotaTriggers(informers: informers, quotas: quotas)
        let api = informers.api
        let loop = RoundLoop<ObjectKey>(workers: 1, time: informers.time, log: log.with(["controller": "quota"])) {
            (key) async throws(APIStatus) in
            guard let quota = try await api.objectIfPresent(.get(.resourceQuotas, namespace: key.namespace, name: key.name)),
                !quota.isBeingDeleted
            else { return nil }
            let served = try await api.discover().resources
            let counted = QuotaPlan.counted(by: quota["spec"]?["hard"]?.objectValue?.keys ?? [], of: served)
            triggers.watch(counted)
            var objects: [GroupVersionResource: [JSONObject]] = [:]
            for resource in counted { objects[resource] = try await api.list(resource, namespace: key.namespace).items }
            let status = QuotaPlan.status(of: quota, objects: objects)
            guard status != quota["status"] else { return nil }
            let patch: JSON = [
                "metadata": ["uid": .string(quota.uid ?? "")],
                "status": MergePatch.difference(from: quota["status"] ?? [:], to: status),
            ]
            _ = try await api.send(
                .patch(
                    .merge, .resourceQuotas, namespace: key.namespace, name: key.name, subresource: "status", patch,
                    ControllerManager.writeOptions))
            return nil
        }
        self.loop = loop
        triggers.onChange = { loop.add($0, after: Self.pause) }
        quotas.addHandler { loop.add($0.key) }
    }

    func run() async { await loop.run() }
}

/// Brings up the quotas of a namespace when something that they count changes there.
private final class QuotaTriggers: Sendable {
    private let informers: SharedInformers
    private let quotas: Informer
    private let state = Mutex<(watched: Set<GroupVersionResource>, onChange: @Sendable (ObjectKey) -> Void)>(([], { _ in }))

    init(informers: SharedInformers, quotas: Informer) {
        self.informers = informers
        self.quotas = quotas
    }

    var onChange: @Sendable (ObjectKey) -> Void {
        get { state.withLock { $0.onChange } }
        set { state.withLock { $0.onChange = newValue } }
    }

    func watch(_ resources: [GroupVersionResource]) {
        for resource in resources where state.withLock({ $0.watched.insert(resource).inserted }) {
            informers.informer(resource, view: .metadata).addHandler { [self] change in
                for quota in quotas.objects(with: change.key.namespace ?? "", in: "namespace") { onChange(ObjectKey(quota)) }
            }
        }
    }
}
