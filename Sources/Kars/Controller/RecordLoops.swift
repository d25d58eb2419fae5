import KarsCore

/// The loops of kinds that are records more than wishes: invitations to agents elsewhere, and how this cluster's agents prove themselves.
struct RecordLoops: Sendable {
    /// Told of each round, for metrics.
    typealias Observer = @Sendable (Duration, APIStatus?) -> Void

    private let parts: [@Sendable () async -> Void]

    /// - Parameters:
    ///   - namespace: the operator's.
    ///   - instance: in whose name events are told.
    ///   - observers: of the rounds of a kind.
    init(
        informers: SharedInformers, namespace: String, instance: String, watch: WatchMachine.Config = WatchMachine.Config(),
        observers: (_ kind: String) -> Observer = { _ in { _, _ in } }, log: Log = .silent
    ) {
        func events(_ kind: String) -> EventRecorder {
            EventRecorder(
                through: informers.api, controller: "kars-controller/\(kind)", instance: instance, time: informers.time, log: log)
        }
        let pairingEvents = events("KarsPairing")
        // Whole objects: what comes from elsewhere is found by what they say.
        let pairings = ReconcileLoop(
            KarsPairingReconciler(), informers: informers, events: pairingEvents,
            config: Self.config(.whole, watch, observers("KarsPairing")), log: log)
        KarsPairingReconciler.addWatches(to: pairings, informers, watch: watch)
        let authentication = ReconcileLoop(
            KarsAuthConfigReconciler(namespace: namespace), informers: informers,
            config: Self.config(.metadata, watch, observers("KarsAuthConfig")), log: log)
        KarsAuthConfigReconciler.addWatches(to: authentication, informers, namespace: namespace, watch: watch)
        parts = [{ await pairingEvents.run() }, { await pairings.run() }, { await authentication.run() }]
    }

    private static func config<R: Reconciler>(
        _ view: ObjectView, _ watch: WatchMachine.Config, _ observer: @escaping Observer
    ) -> ReconcileLoop<R>.Config {
        var config = ReconcileLoop<R>.Config()
        config.workers = 1
        config.view = view
        config.watch = watch
        config.onRound = observer
        return config
    }

    /// Works until the task is cancelled; the informers are run by their owner.
    func run() async {
        await withDiscardingTaskGroup { group in
            for part in parts { group.addTask { await part() } }
        }
    }
}
