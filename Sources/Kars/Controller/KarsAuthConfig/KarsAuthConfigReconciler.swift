import KarsCore

/// Turns the one KarsAuthConfig into what the token sidecar is told, and says how it stands. Where there is none, nothing of Azure is
/// anywhere; what cannot be used leaves in force what was written last.
struct KarsAuthConfigReconciler: Reconciler {
    struct Observed: Sendable {
        var spec: Result<KarsAuthConfig.Spec, Refusal>
        var configMap: JSONObject?
    }

    /// Why a specification is not used: a condition's reason, and words.
    struct Refusal: Error, Equatable {
        var reason: String
        var message: String
    }

    static let isOther = "NotDefault"
    static let materialized = "SidecarConfigMaterialized"
    /// What is wrong is looked at again, although only an edit can mend it: admission may have been changed meanwhile.
    private static let pauseWhenRefused = Duration.seconds(60)

    /// The operator's, where the sidecar runs.
    let namespace: String
    let kind = KarsAuthConfig.kind
    let fieldManager = "kars-auth-config-reconciler"
    let statusWriting = StatusWriting.replace

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        let live = try await api.objectIfPresent(
            .get(.configMaps, namespace: namespace, name: AuthSidecarSettings.configMap))
        return Observed(spec: Self.spec(of: object), configMap: live)
    }

    static func spec(of object: JSONObject) -> Result<KarsAuthConfig.Spec, Refusal> {
        guard object.name == KarsAuthConfig.singletonName else {
            return .failure(
                Refusal(
                    reason: isOther,
                    message: "there is one KarsAuthConfig, named \(KarsAuthConfig.singletonName): this one does nothing"))
        }
        do throws(ResourceError) {
            let spec = try KarsAuthConfig.Spec(reading: object["spec"] ?? [:], at: "spec")
            let faults = spec.faults()
            return faults.isEmpty ? .success(spec) : .failure(refusal(for: faults))
        } catch { return .failure(refusal(for: [error])) }
    }

    /// The mode, or what the mode needs and has not: the one mistake with a reason of its own.
    private static func refusal(for faults: [ResourceError]) -> Refusal {
        let isAboutMode = faults.contains { ["spec.controller", "spec.controller.credentialMode"].contains($0.path) }
        return Refusal(
            reason: isAboutMode ? "InvalidCredentialMode" : "SpecInvalid",
            message: faults.map(\.description).joined(separator: "; "))
    }

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        switch observed.spec {
        case .success(let spec):
            plan.ensure(
                .configMaps, AuthSidecarSettings.object(of: object, spec, in: namespace), live: observed.configMap,
                fieldManager: fieldManager)
        case .failure(let refusal):
            if refusal.reason != Self.isOther { plan.requeue(after: Self.pauseWhenRefused) }
        }
        return plan
    }

    // MARK: - Status

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        var status =
            object["status"].flatMap { try? KarsAuthConfig.Status(reading: $0, at: "status") } ?? KarsAuthConfig.Status()
        let generation = object.metadata["generation"]?.intValue
        status.observedGeneration = generation
        func set(_ type: String, _ holds: Bool, _ reason: String, _ message: String = "") {
            status.conditions.set(
                type, holds ? .true : .false, reason, message.cut(toBytes: 2_048), generation: generation, now: now)
        }
        let isOurs = observed.configMap?.controller(of: KarsAuthConfig.kind)?.name == object.name
        switch (observed.spec, outcome) {
        case (.failure(let refusal), _) where refusal.reason == Self.isOther:
            status.phase = .notDefault
            set("Ready", false, refusal.reason, refusal.message)
            set("Degraded", false, refusal.reason)
            set(Self.materialized, false, refusal.reason)
        case (.failure(let refusal), _):
            status.phase = .degraded
            set("Ready", false, refusal.reason, refusal.message)
            set("Degraded", true, refusal.reason, refusal.message)
            set(
                Self.materialized, isOurs, isOurs ? "StaleLKG" : refusal.reason,
                isOurs ? "what was written before stays in force" : "")
        case (.success, .failed(let failure)):
            if failure.reason == .conflict { return nil }
            status.phase = .degraded
            set("Ready", false, "Failed", failure.message)
            set("Degraded", true, "Failed", failure.message)
            set(Self.materialized, false, "Failed", failure.message)
        case (.success, .carriedOut):
            status.phase = .ready
            set("Ready", true, "Reconciled")
            set("Degraded", false, "Reconciled")
            set(Self.materialized, true, "Reconciled", "\(namespace)/\(AuthSidecarSettings.configMap)")
        }
        return status.json
    }

    /// Brings the configuration up when somebody touches what was made of it.
    static func addWatches(
        to loop: ReconcileLoop<KarsAuthConfigReconciler>, _ informers: SharedInformers, namespace: String,
        watch: WatchMachine.Config
    ) {
        var ours = watch
        ours.labelSelector = "\(CompiledArtifact.artifactLabel)=\(AuthSidecarSettings.artifact)"
        informers.informer(.configMaps, namespace: namespace, view: .metadata, config: ours).addHandler { change in
            if let key = change.object.controller(of: KarsAuthConfig.kind) { loop.enqueue(key) }
        }
    }
}
