import KarsCore

/// Keeps the record of each invitation true: its phase by the clock, its counts by what runs. It makes and removes nothing else.
struct KarsPairingReconciler: Reconciler {
    struct Observed: Sendable {
        var standing: PairingStanding
    }

    let kind = KarsPairing.kind
    let fieldManager = "kars-controller/pairing"
    /// A merge patch of what changed: who speaks with the agents writes here too.
    let statusWriting = StatusWriting.replace

    private static let sandboxes = KarsSandbox.kind.resource
    private static let offloads = "\(PairingStanding.originLabel)=\(PairingStanding.offload)"

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        guard let amid = PairingStanding.status(of: object).boundAmid else {
            return Observed(standing: PairingStanding(reading: object))
        }
        let found = try await api.list(
            Self.sandboxes, namespace: object.namespace, KarsCore.ListOptions(labelSelector: Self.offloads, limit: 500)
        ).items
        return Observed(
            standing: PairingStanding(reading: object, sandboxes: found.filter { PairingStanding.isWork($0, of: amid) }))
    }

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        ReconcilePlan(requeueAfter: observed.standing.requeueAfter(now))
    }

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        observed.standing.status(at: now).json
    }

    /// Its phase has changed: people are told once.
    func notes(on object: JSONObject, afterStatus status: JSON) -> [EventNote] {
        guard let phase = status["phase"]?.stringValue, phase != object["status"]?["phase"]?.stringValue else { return [] }
        let ready = status["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == "Ready" }
        let reason = ready?["reason"]?.stringValue ?? phase
        let isBad = reason == PairingStanding.invalidReason
        return [
            EventNote(
                isBad ? .warning : .normal, about: object, reason: reason, action: "Reconcile",
                "\(phase): \(ready?["message"]?.stringValue ?? "")")
        ]
    }

    /// Brings a pairing up when work of its agent comes or goes.
    static func addWatches(
        to loop: ReconcileLoop<KarsPairingReconciler>, _ informers: SharedInformers, watch: WatchMachine.Config
    ) {
        let index = "amid"
        let pairings = informers.informer(
            KarsPairing.kind.resource, config: watch,
            indexes: [index: { ["\($0.namespace ?? "")/\($0["status"]?["boundAmid"]?.stringValue ?? "")"] }])
        var offloads = watch
        offloads.labelSelector = Self.offloads
        informers.informer(sandboxes, config: offloads).addHandler { change in
            guard let amid = change.object.annotations[PairingStanding.requesterAnnotation] else { return }
            let key = "\(change.key.namespace ?? "")/\(amid)"
            for pairing in pairings.objects(with: key, in: index) { loop.enqueue(ObjectKey(pairing)) }
        }
    }
}
