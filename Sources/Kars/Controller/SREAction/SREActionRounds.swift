import KarsCore

/// Carries out what `SREActionDecision` decides, one step of one action in a round; each step ends with a status that says how far it
/// came, so that a round that is cut off is mended by the next.
struct SREActionRounds: Sendable {
    /// The operator's namespace, where the repair accounts are.
    let namespace: String
    let api: any KubernetesAPI
    let identities: any SREIdentities
    var safety = SREActionSafety()
    let time: any TimeSource
    var events: EventRecorder?
    var log = Log.silent

    static let resource = KarsSREAction.kind.resource
    private var writer: ObjectKey { ObjectKey(namespace: namespace, name: SREManifests.writer) }

    /// One round for the action of that name; how long until the next.
    func round(_ key: ObjectKey) async throws(APIStatus) -> Duration? {
        guard let object = try await api.objectIfPresent(.get(Self.resource, namespace: key.namespace, name: key.name)),
            !object.isBeingDeleted
        else { return nil }
        let action = SREActionDecision.Action(reading: object)
        let effect = action.spec.map { SREActionEffect(action: $0.action) }
        var live: JSONObject?
        var seen = SREActionDecision.Seen()
        if let effect, action.status.phase == nil {
            seen.rival = try await rival(of: object, effect)
        } else if let effect, action.status.phase == .approved, action.status.startedAt == nil {
            live = try await self.live(effect)
            let place = effect.action.params.namespace
            let labels = try await api.objectIfPresent(.get(.namespaces, namespace: nil, name: place))?.labels ?? [:]
            seen.refusal = safety.refusal(in: place, labels: labels) ?? safety.refusal(of: effect, on: live)
        } else if let effect, let intent = action.intent, action.isWatched {
            seen.health = SRERecovery.health(of: effect, intent, try await surroundings(of: effect, intent), now: time.utc())
        }
        var decision = SREActionDecision.decide(action, seen, now: time.utc())
        switch (decision.step, effect) {
        case (.rest, _): break
        case (.remove, _):
            _ = try await api.send(
                .delete(Self.resource, namespace: key.namespace, name: key.name, DeleteOptions(uid: object.uid)))
            return nil
        case (.revoke, let effect):
            try await revoke(object, effect)
            decision.status.writerCrbName = nil
        case (.rehearse, let effect?), (.perform, let effect?):
            do throws(APIStatus) {
                decision =
                    decision.step == .perform
                    ? try await perform(object, effect, decision.status)
                    : try await rehearse(object, effect, live ?? JSONObject(), decision.status)
            } catch {
                try await write(SREActionDecision.retried(decision.status, error.message, now: time.utc()), of: object)
                throw error
            }
        case (.rehearse, nil), (.perform, nil): break
        }
        try await write(decision.status, of: object)
        return decision.requeueAfter
    }

    // MARK: - Steps

    private func rehearse(
        _ object: JSONObject, _ effect: SREActionEffect, _ live: JSONObject, _ status: KarsSREAction.Status
    ) async throws(APIStatus) -> SREActionDecision {
        let grant = grant(of: object, effect)
        try await give(grant, effect, object)
        let workloads = SRERecovery.workloads(
            of: effect, try await surroundings(of: effect, SREIntent()), all: try await workloads(in: effect))
        let intent = effect.intent(on: live, waiting: workloads)
        let trial = effect.request(uid: intent.uid, startedAt: time.utc().rfc3339, isDryRun: true)
        do throws(APIStatus) {
            let answer = try await identities.acting(as: SREManifests.writer) { (writer) async throws(APIStatus) in
                try await writer.send(trial)
            }
            return .rehearsed(
                status, intent, change: effect.change(from: live, to: answer), grant: grant.name, now: time.utc())
        } catch {
            return try await ended(object, effect, status, "DryRunRefused", error)
        }
    }

    private func perform(
        _ object: JSONObject, _ effect: SREActionEffect, _ status: KarsSREAction.Status
    ) async throws(APIStatus) -> SREActionDecision {
        guard let intent = SREActionDecision.Action(reading: object).intent, let startedAt = status.startedAt else {
            return .failed(status, "StatusInvalid", "what was intended is not known", isRevoked: false, now: time.utc())
        }
        // The grant may be gone: swept away by another, or by a person.
        try await give(grant(of: object, effect), effect, object)
        let request = effect.request(uid: intent.uid, startedAt: startedAt, isDryRun: false)
        do throws(APIStatus) {
            _ = try await identities.acting(as: SREManifests.writer) { (writer) async throws(APIStatus) in
                try await writer.send(request)
            }
        } catch {
            // Of a deletion these say that this very object is gone.
            let isGone = request.verb == .delete && (error.reason == .notFound || error.reason == .conflict)
            guard isGone else { return try await ended(object, effect, status, "ExecutionFailed", error) }
        }
        return .performed(status, isRevoked: await tryToRevoke(object, effect), now: time.utc())
    }

    /// After a failure of the writer's own request: what is refused for good is over, everything else is tried again.
    private func ended(
        _ object: JSONObject, _ effect: SREActionEffect, _ status: KarsSREAction.Status, _ reason: String, _ failure: APIStatus
    ) async throws(APIStatus) -> SREActionDecision {
        guard [400, 404, 405, 413, 422].contains(failure.code) else { throw failure }
        var status = status
        status.writerCrbName = grant(of: object, effect).name
        return .failed(
            status, reason, failure.message, isRevoked: await tryToRevoke(object, effect), now: time.utc())
    }

    // MARK: - The right to do it

    private func grant(of object: JSONObject, _ effect: SREActionEffect) -> SREGrant {
        SREGrant(of: object.uid ?? "", in: effect.action.params.namespace)
    }

    private func give(_ grant: SREGrant, _ effect: SREActionEffect, _ object: JSONObject) async throws(APIStatus) {
        let writer = writer
        try await identities.acting(as: SREManifests.granter) { (granter) async throws(APIStatus) in
            try await grant.give(effect, for: object, to: writer, through: granter)
        }
    }

    private func revoke(_ object: JSONObject, _ effect: SREActionEffect?) async throws(APIStatus) {
        // Without a readable action the place is not known: the sweep finds it by its label.
        guard let effect else { return try await sweep() }
        let grant = grant(of: object, effect)
        try await identities.acting(as: SREManifests.granter) { (granter) async throws(APIStatus) in
            try await grant.take(through: granter)
        }
    }

    /// False: a later round tries again.
    private func tryToRevoke(_ object: JSONObject, _ effect: SREActionEffect) async -> Bool {
        do throws(APIStatus) {
            try await revoke(object, effect)
            return true
        } catch {
            log.warn("sre.grant.left", ["action": .string("\(ObjectKey(object))"), "reason": .string(error.message)])
            return false
        }
    }

    /// Takes back every right whose action is not being done: those that a crash or a deletion left behind.
    func sweep() async throws(APIStatus) {
        let (api, log) = (api, log)
        try await identities.acting(as: SREManifests.granter) { (granter) async throws(APIStatus) in
            var grants: [ObjectKey] = []
            for resource in [SREGrant.bindings, SREGrant.roles] {
                let found = try await granter.list(resource, KarsCore.ListOptions(labelSelector: SREGrant.selector, limit: 500))
                grants += found.items.map { ObjectKey($0) }
            }
            // Read after the grants: one that is given meanwhile is not among them.
            let actions = try await api.list(Self.resource).items
            let lent = Set(
                actions.filter { SREActionDecision.Action(reading: $0).status.phase == .approved }
                    .map { SREManifests.grantPrefix + ($0.uid ?? "") })
            for grant in Set(grants).sorted()
            where grant.name.hasPrefix(SREManifests.grantPrefix) && !lent.contains(grant.name) {
                try await SREGrant(namespace: grant.namespace ?? "", name: grant.name).take(through: granter)
                log.info("sre.grant.swept", ["grant": .string(grant.description)])
            }
        }
    }

    // MARK: - Looking

    /// Another open action about the same object. Asked of the server and not of a copy, and by one round at a time: two that are proposed
    /// together are not both taken.
    private func rival(of object: JSONObject, _ effect: SREActionEffect) async throws(APIStatus) -> String? {
        try await api.list(Self.resource).items
            .first { $0.uid != object.uid && SREActionDecision.Action(reading: $0).isOpen(about: effect.target) }
            .map { "\(ObjectKey($0))" }
    }

    private func live(_ effect: SREActionEffect) async throws(APIStatus) -> JSONObject? {
        let target = effect.target
        return try await api.objectIfPresent(.get(target.resource, namespace: target.namespace, name: target.name ?? ""))
    }

    private func surroundings(of effect: SREActionEffect, _ intent: SREIntent) async throws(APIStatus) -> SRERecovery.Seen {
        let namespace = effect.action.params.namespace
        var seen = SRERecovery.Seen()
        seen.target = try await live(effect)
        for workload in intent.workloads.compactMap(SREWorkload.init) {
            seen.workloads[workload] = try await api.objectIfPresent(
                .get(workload.resource, namespace: namespace, name: workload.name))
        }
        seen.replicaSets = try await all(.replicaSets, in: namespace)
        seen.pods = try await all(.pods, in: namespace)
        seen.events = try await all(.coreEvents, in: namespace)
        return seen
    }

    private func workloads(in effect: SREActionEffect) async throws(APIStatus) -> [SREWorkload: JSONObject] {
        guard effect.action.type == .deleteResourceQuota else { return [:] }
        var workloads: [SREWorkload: JSONObject] = [:]
        for kind in SREWorkload.kinds {
            guard let resource = SREWorkload.resource(kind) else { continue }
            for object in try await all(resource, in: effect.action.params.namespace) {
                workloads[SREWorkload(kind: kind, name: object.name)] = object
            }
        }
        return workloads
    }

    /// Empty also where the cluster has no such kind.
    private func all(_ resource: GroupVersionResource, in namespace: String) async throws(APIStatus) -> [JSONObject] {
        do throws(APIStatus) { return try await api.list(resource, namespace: namespace).items } catch {
            if error.code == 404 { return [] }
            throw error
        }
    }

    // MARK: - Telling

    /// The whole status, and only to the object that was decided about.
    private func write(_ status: KarsSREAction.Status, of object: JSONObject) async throws(APIStatus) {
        let before = object["status"] ?? [:]
        guard status.json != before else { return }
        var metadata = JSONObject()
        metadata["uid"] = object.uid.map(JSON.string)
        metadata["resourceVersion"] = object.resourceVersion.map(JSON.string)
        let patch: JSON = [
            "metadata": .object(metadata), "status": MergePatch.difference(from: before, to: status.json),
        ]
        _ = try await api.send(
            .patch(
                .merge, Self.resource, namespace: object.namespace, name: object.name, subresource: "status", patch,
                WriteOptions(fieldManager: SREActionEffect.fieldManager)))
        guard let phase = status.phase, phase.rawValue != before["phase"]?.stringValue else { return }
        tell(phase, status, of: object)
    }

    /// The record of what was decided, by whom, and what came of it: an Event for people, a log line for auditors.
    private func tell(_ phase: KarsSREAction.Status.Phase, _ status: KarsSREAction.Status, of object: JSONObject) {
        let spec = object["spec"]
        let condition =
            status.conditions["Degraded"]?.status == .true ? status.conditions["Degraded"] : status.conditions["Available"]
        let params = spec?["action"]?["params"]
        let target = "\(params?["namespace"]?.stringValue ?? "")/\(params?["name"]?.stringValue ?? "")"
        let type = spec?["action"]?["type"]?.stringValue ?? ""
        log.info(
            "sre.action",
            [
                "action": .string("\(ObjectKey(object))"), "uid": .optional(object.uid), "type": .string(type),
                "target": .string(target), "phase": .string(phase.rawValue), "reason": .optional(condition?.reason),
                "decided_by": .optional(spec?["approval"]?["by"]?.stringValue), "change": .optional(status.change),
            ])
        let isBad = [.failed, .expired, .rejected].contains(phase)
        let by = phase == .approved ? " by \(status.approvedBy ?? "")" : ""
        events?.tell(
            EventNote(
                isBad ? .warning : .normal, about: object, reason: condition?.reason ?? phase.rawValue, action: type,
                "\(phase.rawValue)\(by): \(type) \(target): \(condition?.message ?? "")"))
    }
}

extension SREActionDecision.Action {
    /// What was noted before the action was done.
    var intent: SREIntent? { status.previous.flatMap { try? SREIntent(reading: $0, at: "status.previous") } }

    /// Whether it was taken up and may still change `target`, or is waiting for that to help.
    func isOpen(about target: ObjectPath) -> Bool {
        guard [.proposed, .approved, .applied].contains(status.phase), let spec else { return false }
        return SREActionEffect(action: spec.action).target == target
    }

    /// Whether its target is still looked at.
    var isWatched: Bool { status.phase == .applied || (status.phase == .failed && status.appliedAt != nil) }
}
