import KarsCore

/// Runs corpora against sandboxes, when asked or by schedule, and says what they found (spec/controller 13).
struct KarsEvalReconciler: Reconciler {
    struct Observed: Sendable {
        /// Nil: the object makes no sense, for the reason in `fault`.
        var eval: KarsEval?
        var fault = ""
        var seen = EvalStanding.Seen()
        /// Of the corpus.
        var configMap: JSONObject?
        var sandbox: JSONObject?
        var now: UTCTime
    }

    let time: any TimeSource
    let kind = KarsEval.kind
    let finalizer: KarsCore.Finalizer? = KarsCore.Finalizer("kars.azure.com/karseval-cleanup")
    let fieldManager = "kars-controller/karseval"
    let statusWriting = StatusWriting.replace

    static let driftManager = "kars-controller/karseval-drift"
    static let driftCondition = "ConformanceDrift"

    // MARK: - Observe

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        var observed = Observed(now: time.utc())
        let eval: KarsEval
        do throws(ResourceError) { eval = try KarsEval(reading: object) } catch {
            observed.fault = error.description
            return observed
        }
        observed.eval = eval
        observed.seen.corpus = Self.corpus(of: eval)
        let sandbox = eval.spec.targetSandboxRef.name, place = EvalJob.namespace(of: eval)
        observed.sandbox = try await api.objectIfPresent(
            .get(KarsSandbox.kind.resource, namespace: eval.namespace, name: sandbox))
        observed.seen.isDeclared = observed.sandbox != nil
        // Without rights there: the namespace is no sandbox's, or not yet.
        do throws(APIStatus) {
            let deployment = try await api.objectIfPresent(.get(.deployments, namespace: place, name: sandbox))
            // Another namespace may have declared a sandbox of that name first.
            if let deployment, observed.sandbox != nil, deployment.labels[SandboxOwnership.homeLabel] == eval.namespace {
                observed.seen.deployment = deployment
            }
            observed.configMap = try await api.objectIfPresent(
                .get(.configMaps, namespace: place, name: EvalJob.configMap(of: eval.name)))
            observed.seen.jobs = try await api.list(
                .jobs, namespace: place, KarsCore.ListOptions(labelSelector: EvalJob.selector(of: eval), limit: 500)
            ).items
        } catch {
            guard error.reason == .forbidden else { throw error }
        }
        let known = Set(eval.status.history.map(\.jobName))
        for job in observed.seen.jobs where EvalJob.end(of: job) != nil && !known.contains(job.name) {
            observed.seen.reports[job.name] = .some(try await Self.report(of: job.name, in: place, through: api))
        }
        return observed
    }

    private static func corpus(of eval: KarsEval) -> EvalStanding.Corpus {
        guard let name = eval.spec.corpus.builtin else {
            return .missing("CorpusFetchFailed", "signed corpora are not fetched by this version")
        }
        guard let bytes = BuiltinCorpora.bytes(name) else {
            return .missing(
                "CorpusBuiltinMissing", "there is no corpus \(name); there are \(BuiltinCorpora.names.joined(separator: ", "))")
        }
        return .resolved(bytes: bytes, label: "builtin:\(name)")
    }

    /// From the pod's status, and where the node does not carry last words from the last line of its log.
    private static func report(
        of job: String, in namespace: String, through api: any KubernetesAPI
    ) async throws(APIStatus) -> String? {
        let selector = "\(EvalJob.jobNameLabel)=\(job)"
        let pods = try await api.list(.pods, namespace: namespace, KarsCore.ListOptions(labelSelector: selector, limit: 50)).items
        for pod in pods {
            if let words = EvalJob.lastWords(of: pod) { return words }
        }
        guard let pod = pods.first else { return nil }
        do throws(APIStatus) {
            let log = try await api.send(
                .log(namespace: namespace, pod: pod.name, LogOptions(container: EvalJob.container, tailLines: 1)))
            return log.stringValue
        } catch {
            // It never started, or its log is gone.
            guard error.code == 400 || error.code == 404 else { throw error }
            return nil
        }
    }

    // MARK: - Plan

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        guard let eval = observed.eval else { return plan }
        let decision = EvalStanding(eval: eval, object: object, seen: observed.seen, now: now)
        if observed.seen.deployment != nil, case .resolved(let bytes, _) = observed.seen.corpus {
            plan.ensure(.configMaps, Self.configMap(of: eval, bytes), live: observed.configMap, fieldManager: fieldManager)
        }
        switch decision.request {
        // First it gets a name, so that whatever happens it is one run.
        case .new(let id): mark(object, .string(id), in: &plan)
        case .noted where decision.isRequestAnswered: mark(object, .null, in: &plan)
        case .noted, nil: break
        }
        if let run = decision.run, let deployment = observed.seen.deployment, let job = EvalJob.object(run, besides: deployment) {
            plan.changes.append(.create(.jobs, job, WriteOptions(fieldManager: fieldManager)))
            plan.note(
                EventNote(
                    .normal, about: object, reason: "RunTriggered", action: "Run",
                    "\(run.corpusLabel) against \(eval.spec.targetSandboxRef.name): \(job.name)"))
            if case .byHand = run.trigger { mark(object, .null, in: &plan) }
        }
        if let due = decision.due, decision.run == nil {
            plan.requeue(after: max(due.duration(since: now), .seconds(1)))
        }
        drift(of: eval, decision, observed, in: &plan, now: now)
        return plan
    }

    /// What the request says from now on; only of the object that was read: whoever asks again meanwhile is heard.
    private func mark(_ object: JSONObject, _ value: JSON, in plan: inout ReconcilePlan) {
        var metadata: JSONObject = ["annotations": .object([KarsEval.runNowAnnotation: value])]
        metadata["resourceVersion"] = object.resourceVersion.map(JSON.string)
        plan.changes.append(
            .patch(
                .merge, kind.resource, namespace: object.namespace, name: object.name, ["metadata": .object(metadata)],
                WriteOptions(fieldManager: fieldManager)))
    }

    static func configMap(of eval: KarsEval, _ bytes: [UInt8]) -> JSONObject {
        let map = ConfigMap(
            metadata: ObjectMetadata(
                name: EvalJob.configMap(of: eval.name), namespace: EvalJob.namespace(of: eval),
                labels: EvalJob.labels(of: eval).merging(["kars.azure.com/artifact": "claw-eval-corpus"]) { own, _ in own },
                annotations: ["kars.azure.com/karseval-corpus-digest": EvalCorpus.digest(of: bytes)]),
            data: [EvalJob.corpusFile: String(decoding: bytes, as: UTF8.self)])
        return map.json.objectValue ?? JSONObject()
    }

    /// A condition of the sandbox's own, by another writer than its own loop, which leaves it alone.
    private func drift(
        of eval: KarsEval, _ decision: EvalStanding, _ observed: Observed, in plan: inout ReconcilePlan, now: UTCTime
    ) {
        guard eval.spec.failSandboxOnDrift, let sandbox = observed.sandbox,
            let wanted = decision.status(failure: nil).conditions[Self.driftCondition]
        else { return }
        let present = sandbox["status"]?["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == Self.driftCondition }
        guard present != nil || wanted.status == .true else { return }
        var conditions = present.flatMap { try? [Condition(reading: $0, at: "")] } ?? []
        conditions.set(
            Self.driftCondition, wanted.status, wanted.reason, "\(eval.name): \(wanted.message)",
            generation: sandbox.metadata["generation"]?.intValue, now: now)
        guard let condition = conditions.first?.json else { return }
        if let present, present.includes(condition) { return }
        let intent: JSONObject = [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(KarsSandbox.definition.kind),
            "metadata": ["name": .string(sandbox.name), "namespace": .string(sandbox.namespace ?? "")],
            "status": ["conditions": [condition]],
        ]
        plan.changes.append(
            .apply(KarsSandbox.kind.resource, intent, subresource: "status", fieldManager: Self.driftManager))
    }

    func cleanUp(_ object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        for job in observed.seen.jobs where !job.isBeingDeleted {
            var options = DeleteOptions(uid: job.uid)
            options.propagation = .background
            plan.changes.append(.delete(.jobs, namespace: job.namespace, name: job.name, options))
        }
        if let map = observed.configMap, EvalJob.owner(of: map) == ObjectKey(object) {
            plan.changes.append(.delete(.configMaps, namespace: map.namespace, name: map.name, DeleteOptions(uid: map.uid)))
        }
        return plan
    }

    // MARK: - Status

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        guard let eval = observed.eval else {
            var status = KarsEval.Status()
            status.phase = .degraded
            status.observedGeneration = object.metadata["generation"]?.intValue
            status.conditions = (object["status"].flatMap { try? KarsEval.Status(reading: $0, at: "") })?.conditions ?? []
            status.conditions.set(
                "Degraded", .true, "SpecInvalid", observed.fault, generation: status.observedGeneration, now: now)
            return status.json
        }
        var failure: APIStatus?
        if case .failed(let status) = outcome {
            if status.reason == .conflict { return nil }
            failure = status
        }
        return EvalStanding(eval: eval, object: object, seen: observed.seen, now: now).status(failure: failure).json
    }
}

extension KarsEvalReconciler {
    /// Brings evaluations up when one of their Jobs changes, or their sandbox does.
    static func addWatches(to loop: ReconcileLoop<KarsEvalReconciler>) {
        loop.watches(.jobs, labels: EvalJob.evalLabel) { EvalJob.owner(of: $0).map { [$0] } ?? [] }
    }
}
