import KarsCore

/// The controllers of the embedded cluster, all in one process, over one set of watches.
///
/// What changes is known from watches that carry metadata only; what is, each round reads afresh. So nothing is decided on the basis
/// of what is no longer true, no controller has to remember what it did, and the copies in memory are small.
struct ControllerManager: Sendable {
    /// Who owns the fields that controllers write.
    static let fieldManager = "kube-controller-manager"
    static let writeOptions = WriteOptions(fieldManager: fieldManager)

    private let client: any KubernetesAPI
    private let certificate: String
    private let hasScheduler: Bool
    private let time: any TimeSource
    private let log: Log

    /// `client` may do everything; `clusterCertificate` is the PEM of the authority that `kube-root-ca.crt` tells pods of. Without a
    /// scheduler pods stay as they were made until somebody binds them.
    init(client: KubernetesClient, clusterCertificate: String, hasScheduler: Bool = true, log: Log) {
        self.client = client
        certificate = clusterCertificate
        self.hasScheduler = hasScheduler
        time = client.time
        self.log = log.with(["component": "controllers"])
    }

    /// Works until the task is cancelled; nothing that goes wrong with the cluster ends it.
    func run() async throws {
        let informers = SharedInformers(of: client, time: time, log: log)
        let recorders = ["replicaset-controller", "deployment-controller", "job-controller"].map(events)
        let replicaSets = loop(ReplicaSetReconciler(), informers, recorders[0])
        replicaSets.owns(.pods)
        let deployments = loop(DeploymentReconciler(), informers, recorders[1])
        deployments.owns(.replicaSets)
        let jobs = loop(JobReconciler(), informers, recorders[2])
        jobs.owns(.pods)
        // Services are few, and their selectors tell whom a pod concerns.
        let endpoints = loop(EndpointSliceReconciler(), informers, nil, view: .whole)
        EndpointSliceReconciler.watch(endpoints, informers)
        let jobPods = JobPodRelease(informers, log: log)
        let namespaces = NamespaceController(informers, certificate: certificate, log: log)
        let garbage = GarbageCollector(informers, log: log)
        let quotas = QuotaController(informers, log: log)
        let scheduler = hasScheduler ? Scheduler(informers, log: log) : nil
        await withDiscardingTaskGroup { group in
            for recorder in recorders { group.addTask { await recorder.run() } }
            group.addTask { await replicaSets.run() }
            group.addTask { await deployments.run() }
            group.addTask { await jobs.run() }
            group.addTask { await jobPods.run() }
            group.addTask { await endpoints.run() }
            group.addTask { await namespaces.run() }
            group.addTask { await garbage.run() }
            group.addTask { await quotas.run() }
            if let scheduler { group.addTask { await scheduler.run() } }
            group.addTask { await informers.run() }
        }
        try Task.checkCancellation()
    }

    private func loop<R: Reconciler>(
        _ reconciler: R, _ informers: SharedInformers, _ events: EventRecorder?, view: ObjectView = .metadata
    ) -> ReconcileLoop<R> {
        var config = ReconcileLoop<R>.Config()
        config.view = view
        // As Kubernetes' own controllers: the first retries come quickly, the last after a quarter of an hour.
        config.backoff = Backoff(initial: .milliseconds(10), maximum: .seconds(900))
        return ReconcileLoop(reconciler, informers: informers, events: events, config: config, log: log)
    }

    /// Kubernetes' own controllers write Events in the older form, and `kubectl describe` shows them by it.
    private func events(_ controller: String) -> EventRecorder {
        var config = EventAggregator.Config()
        config.form = .counted
        return EventRecorder(
            through: client, controller: controller, instance: "", fieldManager: Self.fieldManager, config: config, time: time,
            log: log)
    }
}
