import KarsCore

/// Compiles the objects of a kind into ConfigMaps, and says of each whether the routers that need it enforce it.
///
/// One reconciler for all kinds that are compiled; what differs is in `CompiledKind`. What it makes is owned by the object it is made
/// from, so the garbage collector takes it away. A specification that cannot be compiled changes nothing: what was published last stays in
/// force, and the condition says what is wrong, with the line where there is one.
struct CompiledReconciler<Kind: CompiledKind>: Reconciler {
    struct Observed: Sendable {
        var compiled: Result<CompiledFiles, CompileFault>
        /// The ConfigMap as it is.
        var live: JSONObject?
        var sandboxes: [SandboxView]
        var answers: [ObjectKey: RouterAnswer]
    }

    /// Where the files of cluster-wide objects go: the controller's own namespace.
    let controllerNamespace: String
    let sandboxes: SandboxView.Source
    let routers: RouterWatch
    let keys: any KeySetSource
    let time: any TimeSource
    /// The weakest content safety that there may be; nil: no floor.
    var safetyFloor: SafetySeverity?

    let kind = Kind.kind
    let fieldManager = "kars-controller/" + Kind.definition.kind.lowercased()
    let statusWriting = StatusWriting.replace

    /// While routers have not answered: what is expected of them is said again before they are given up.
    static var patience: Duration { .seconds(60) }
    /// Between two looks at the keys of an issuer, which changes them when it likes.
    static var keyLifetime: Duration { .seconds(3600) }

    // MARK: - Observe

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        var observed = Observed(compiled: await compile(object), live: nil, sandboxes: [], answers: [:])
        let namespace = namespace(of: object)
        do throws(APIStatus) {
            observed.live = try await api.objectIfPresent(
                .get(.configMaps, namespace: namespace, name: Kind.artifact.configMapName(object.name)))
        } catch {
            guard error.reason == .forbidden else { throw error }
            observed.compiled = .failure(Self.closed(namespace))
        }
        guard let reported = Kind.reported, let namespace = object.namespace else { return observed }
        let value = try? Kind(reading: object)
        observed.sandboxes = try await sandboxes(namespace).filter {
            Kind.name(in: $0) == object.name && value?.isMeant(for: $0) ?? true
        }
        let digest = published(observed)
        for sandbox in observed.sandboxes {
            if sandbox.isSuspended || sandbox.isBeingDeleted {
                routers.expect(nil, of: reported, from: sandbox.key)
            } else {
                routers.expect(digest, of: reported, from: sandbox.key)
            }
            observed.answers[sandbox.key] = routers.answer(of: sandbox.key)
        }
        return observed
    }

    private func compile(_ object: JSONObject) async -> Result<CompiledFiles, CompileFault> {
        let value: Kind
        do throws(ResourceError) { value = try Kind(reading: object) } catch { return .failure(.invalid("\(error)")) }
        var context = CompileContext(now: time.utc(), safetyFloor: safetyFloor)
        if let issuer = value.keyIssuer { context.keys = await keys.keys(of: issuer) }
        do throws(CompileFault) { return .success(try value.compiled(given: context)) } catch { return .failure(error) }
    }

    /// The namespace was not opened to the controller.
    static func closed(_ namespace: String) -> CompileFault {
        CompileFault(
            Kind.writeFailure,
            "the controller may not keep ConfigMaps in namespace \(namespace); open it with `kars install --home \(namespace)`")
    }

    private func namespace(of object: JSONObject) -> String { object.namespace ?? controllerNamespace }

    /// The digest that routers are to echo: of the new files, or of those that stay.
    private func published(_ observed: Observed) -> String? {
        switch observed.compiled {
        case .success(let compiled): compiled.digest?.description
        case .failure: Kind.artifact.digestAnnotation.flatMap { observed.live?.annotations[$0] }
        }
    }

    // MARK: - Plan

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        switch observed.compiled {
        case .failure(let fault):
            // Nothing but time may heal what depends on others.
            if fault.reason == JWKSFetcher.failure { plan.requeue(after: JWKSFetcher.Config().retry) }
            if fault.reason == Kind.writeFailure { plan.requeue(after: Self.patience) }
        case .success(let compiled):
            let namespace = namespace(of: object)
            let map = Kind.artifact.configMap(object.name, namespace: namespace, holding: compiled)
            var intent = map.json.objectValue ?? JSONObject()
            intent.metadata["ownerReferences"] = [object.controllerReference(kind)]
            plan.drop(namesBeside: compiled.files, in: observed.live, fieldManager: fieldManager)
            plan.ensure(.configMaps, intent, live: observed.live, fieldManager: fieldManager)
            if let turn = compiled.nextTurn { plan.requeue(after: max(turn.duration(since: now), .seconds(1))) }
            if compiled.dependsOnKeys { plan.requeue(after: Self.keyLifetime) }
        }
        if let confirmation = confirmation(observed), confirmation.state == .awaiting { plan.requeue(after: Self.patience) }
        return plan
    }

    /// Nil when nothing is published that could be confirmed.
    private func confirmation(_ observed: Observed) -> PolicyConfirmation? {
        guard let reported = Kind.reported else { return .notApplicable }
        guard let digest = published(observed) else {
            if case .success = observed.compiled { return .notApplicable }
            return nil
        }
        return .judge(digest, of: reported, in: observed.sandboxes) { observed.answers[$0] }
    }

    // MARK: - Status

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        // Read leniently: one that makes no sense is replaced.
        let previous = object["status"].flatMap { try? Kind.Status(reading: $0, at: "status") } ?? Kind.Status()
        var state = CompiledState(
            standing: .degraded, reason: "", message: "", digest: published(observed),
            versionHash: observed.live?.annotations[Kind.artifact.versionAnnotation],
            configMap: observed.live.map(\.name), generation: object.metadata["generation"]?.intValue, now: now)
        switch (outcome, observed.compiled) {
        case (.failed(let failure), _):
            // Somebody was faster; the next round sees it.
            if failure.reason == .conflict { return nil }
            (state.reason, state.message) = (Kind.writeFailure, failure.message)
        case (.carriedOut, .failure(let fault)):
            let kept = observed.live == nil ? "" : " (what was compiled before stays in force)"
            (state.reason, state.message) = (fault.reason, fault.message + kept)
        case (.carriedOut, .success(let compiled)):
            state.versionHash = compiled.versionHash
            state.configMap = Kind.artifact.configMapName(object.name)
            state.counts = compiled.counts
            state.settle(confirmation(observed) ?? .notApplicable, warnings: compiled.warnings)
        }
        state.message = state.message.cut(toBytes: 4096)
        return Kind.status(state, after: previous).json
    }

    func notes(on object: JSONObject, afterStatus status: JSON) -> [EventNote] {
        let ready = status["conditions"]?.arrayValue?.first { $0["type"] == "Ready" }
        guard ready?["reason"]?.stringValue == CompiledState.awaiting else { return [] }
        return [
            EventNote(
                .warning, about: object, reason: "PolicyNotEnforced", action: "Enforce", ready?["message"]?.stringValue ?? "")
        ]
    }
}

extension CompiledState {
    static let awaiting = "AwaitingRouterEnforcement"

    /// Takes over what routers say (spec/controller 4.2).
    fileprivate mutating func settle(_ confirmation: PolicyConfirmation, warnings: [String]) {
        let shown = warnings.prefix(5).joined(separator: "; ")
        let notes = warnings.isEmpty ? "" : "; routers read past: \(shown)\(warnings.count > 5 ? "; …" : "")"
        message = confirmation.message + notes
        switch confirmation.state {
        case .notApplicable: (standing, reason) = (.ready, "Reconciled")
        case .confirmed: (standing, reason) = (.ready, "RouterEnforcing")
        case .unreferenced: (standing, reason) = (.compiled, "NoSandboxesReferencing")
        case .awaiting: (standing, reason) = (.compiled, Self.awaiting)
        case .hindered(let why, _): (standing, reason) = (.hindered, why)
        }
    }
}

extension ReconcilePlan {
    /// Removes files from `live` that are not among `files`: whatever lies beside a policy in its ConfigMap is mounted with it.
    fileprivate mutating func drop(namesBeside files: [String: String], in live: JSONObject?, fieldManager: String) {
        guard let live else { return }
        var patch = JSONObject()
        for member in ["data", "binaryData"] {
            let names = (live[member]?.objectValue ?? JSONObject()).members.map(\.key).filter {
                member != "data" || files[$0] == nil
            }
            if !names.isEmpty { patch[member] = .object(JSONObject(names.map { ($0, JSON.null) })) }
        }
        guard !patch.isEmpty else { return }
        changes.append(
            .patch(
                .merge, .configMaps, namespace: live.namespace, name: live.name, .object(patch),
                WriteOptions(fieldManager: fieldManager)))
    }
}

extension String {
    fileprivate func cut(toBytes limit: Int) -> String { utf8.count <= limit ? self : scalars(upToBytes: limit) + "…" }
}
