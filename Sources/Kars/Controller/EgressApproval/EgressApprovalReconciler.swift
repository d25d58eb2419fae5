import KarsCore

/// Puts grants where the router of their sandbox reads them, says when they count, and takes them away when they end.
///
/// All grants of a sandbox share one ConfigMap, a file each, each written under a name of its own so that they do not take each other's
/// away. The router ends a grant by itself (`EgressGrant.isActive`): the controller's part is to tidy up and to tell.
struct EgressApprovalReconciler: Reconciler {
    struct Observed: Sendable {
        /// Nil: the object makes no sense at all.
        var decision: GrantDecision?
        var fault: ResourceError?
        var grants: JSONObject?
        /// Connections that the router made by this grant; nil when it does not say.
        var uses: Int?
    }

    /// The most that may be granted, in seconds (`EGRESS_APPROVAL_MAX_TTL_SECONDS`).
    let longestTTL: Int
    /// For how long what is over stays for people to see (`EGRESS_APPROVAL_RETENTION_SECONDS`).
    let retention: Duration
    let sandboxes: SandboxView.Source
    let routers: RouterWatch
    let time: any TimeSource

    let kind = EgressApproval.kind
    let finalizer: KarsCore.Finalizer? = KarsCore.Finalizer("kars.azure.com/egress-approval-cleanup")
    let fieldManager = "kars-controller/egressapproval"
    let statusWriting = StatusWriting.replace

    /// While the router has not answered: how long until what is expected of it is said again.
    private static let patience = Duration.seconds(60)

    /// What is over holds nothing back, and gets no finalizer again.
    func holds(_ object: JSONObject) -> Bool {
        object["status"]?["phase"]?.stringValue != EgressApproval.Status.Phase.expired.rawValue
    }

    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed {
        let approval: EgressApproval
        do throws(ResourceError) { approval = try EgressApproval(reading: object) } catch { return Observed(fault: error) }
        var seen = GrantDecision.Surroundings()
        let home = approval.namespace, name = approval.spec.sandbox
        seen.sandbox = try await sandboxes(home).first { $0.key.name == name }
        // Only where a sandbox runs, or ran: elsewhere we have no rights and nothing to look for.
        if seen.sandbox?.phase == "Running" || approval.status.effectiveAt != nil || object.isBeingDeleted {
            let names = SandboxObjectNames(sandbox: name)
            seen.allowlist = try await Self.configMap(names.allowlist, of: name, through: api)
            seen.grants = try await Self.configMap(names.approvals, of: name, through: api)
        }
        let key = ObjectKey(namespace: home, name: name)
        seen.answer = routers.answer(of: key)
        let decision = GrantDecision.decide(
            approval.spec, name: approval.name, home: home, status: approval.status,
            created: object.metadata["creationTimestamp"]?.stringValue.flatMap { UTCTime(rfc3339: $0) }, seen,
            longest: longestTTL,
            now: time.utc())
        if seen.sandbox?.phase == "Running", let digest = decision.mergedDigest {
            routers.expect(digest, of: .approvals, from: key)
        }
        var uses: Int?
        if case .report(let report) = seen.answer { uses = report.approvalUses[approval.name] }
        return Observed(decision: decision, grants: seen.grants, uses: uses)
    }

    /// Nil also where we have no rights: in namespaces that are no sandbox's, or no longer.
    private static func configMap(
        _ name: String, of sandbox: String, through api: any KubernetesAPI
    ) async throws(APIStatus) -> JSONObject? {
        do throws(APIStatus) {
            return try await api.objectIfPresent(
                .get(.configMaps, namespace: RouterAddress(sandbox: sandbox).namespace, name: name))
        } catch {
            if error.reason == .forbidden { return nil }
            throw error
        }
    }

    // MARK: - Plan

    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        var plan = ReconcilePlan()
        guard let decision = observed.decision else { return plan }
        guard let file = decision.file else {
            plan.changes += removal(of: object, in: observed.grants)
            if let end = decision.expiresAt, !holds(object), !object.isBeingDeleted {
                let left = end.advanced(by: retention).duration(since: now)
                if left > .zero {
                    plan.requeue(after: left)
                } else if finalizer?.release(of: object, in: kind.resource) == nil {
                    plan.changes.append(
                        .delete(
                            kind.resource, namespace: object.namespace, name: object.name, DeleteOptions(uid: object.uid)))
                }
            }
            if case .expired = decision.standing, !holds(object), let release = finalizer?.release(of: object, in: kind.resource)
            {
                plan.changes.append(release)
            }
            return plan
        }
        let key = EgressApproval.fileName(object.name)
        // Only where the sandbox runs: elsewhere its namespace may be gone, and no router reads it.
        if decision.isWritten, observed.grants?["data"]?[key]?.stringValue != file,
            let sandbox = object["spec"]?["sandbox"]?.stringValue
        {
            plan.changes.append(
                .apply(
                    .configMaps, Self.configMap(of: sandbox, home: object.namespace ?? "", [key: file]),
                    fieldManager: "\(fieldManager)/\(object.name)"))
        }
        if let end = decision.expiresAt { plan.requeue(after: max(end.duration(since: now), .milliseconds(100))) }
        if case .awaiting = decision.standing { plan.requeue(after: Self.patience) }
        return plan
    }

    static func configMap(of sandbox: String, home: String, _ files: [String: String]) -> JSONObject {
        let map = ConfigMap(
            metadata: ObjectMetadata(
                name: SandboxObjectNames(sandbox: sandbox).approvals, namespace: RouterAddress(sandbox: sandbox).namespace,
                labels: [
                    "kars.azure.com/sandbox": sandbox, GrantDecision.homeLabel: home,
                    CompiledArtifact.artifactLabel: "egress-approvals", CompiledArtifact.managerLabel: CompiledArtifact.manager,
                ]),
            data: files)
        return map.json.objectValue ?? JSONObject()
    }

    /// Takes the grant's file away, if it is there and this grant's: the namespace may have become another sandbox's.
    private func removal(of object: JSONObject, in grants: JSONObject?) -> [KubernetesRequest] {
        let key = EgressApproval.fileName(object.name)
        guard let grants, grants.labels[GrantDecision.homeLabel] == object.namespace, grants["data"]?[key] != nil else {
            return []
        }
        let patch: JSON = ["data": .object([key: .null])]
        return [
            .patch(
                .merge, .configMaps, namespace: grants.namespace, name: grants.name, patch,
                WriteOptions(fieldManager: "\(fieldManager)/\(object.name)"))
        ]
    }

    func cleanUp(_ object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan {
        ReconcilePlan(removal(of: object, in: observed.grants))
    }

    // MARK: - Status

    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        let previous =
            object["status"].flatMap { try? EgressApproval.Status(reading: $0, at: "status") } ?? EgressApproval.Status()
        var status = EgressApproval.Status()
        status.observedGeneration = object.metadata["generation"]?.intValue
        status.hostCount = object["spec"]?["hosts"]?.arrayValue?.count
        status.conditions = previous.conditions.filter { ["Ready", "Progressing", "Degraded"].contains($0.type) }
        guard let decision = observed.decision else {
            status.say(.invalid(reason: "SpecInvalid", message: observed.fault.map { "\($0)" } ?? ""), now)
            return status.json
        }
        if case .failed(let failure) = outcome {
            if failure.reason == .conflict { return nil }
            // The times stay as they were: nothing has begun that was not written.
            (status.effectiveAt, status.expiresAt) = (previous.effectiveAt, previous.expiresAt)
            status.say(.awaiting("the grant cannot be written: \(failure.message)"), now)
            return status.json
        }
        status.effectiveAt = decision.effectiveAt?.rfc3339
        status.expiresAt = decision.expiresAt?.rfc3339
        // A router that was replaced counts from the beginning: what was told before is not taken back.
        status.usageCount = [previous.usageCount, observed.uses].compactMap(\.self).max()
        switch decision.standing {
        case .expired: status.mergedDigest = previous.mergedDigest
        case .invalid, .blocked: status.mergedDigest = nil
        case .awaiting, .active: status.mergedDigest = decision.mergedDigest
        }
        status.say(decision.standing, now)
        return status.json
    }
}

extension EgressApproval.Status {
    /// Phase and conditions (crds 6).
    fileprivate mutating func say(_ standing: GrantDecision.Standing, _ now: UTCTime) {
        let (phase, reason, message): (Phase, String, String) =
            switch standing {
            case .invalid(let reason, let message): (.pending, reason, message)
            case .blocked(let message): (.pending, "BlockedOnSandbox", message)
            case .awaiting(let message): (.pending, "AwaitingRouterEcho", message)
            case .active: (.active, "RouterConfirmed", "the router enforces it")
            case .expired: (.expired, "Expired", "it ended at \(expiresAt ?? "a time that is not known")")
            }
        var isInvalid = false
        if case .invalid = standing { isInvalid = true }
        self.phase = phase
        let generation = observedGeneration
        conditions.set("Ready", phase == .active ? .true : .false, reason, message, generation: generation, now: now)
        conditions.set("Progressing", phase == .pending ? .true : .false, reason, message, generation: generation, now: now)
        conditions.set("Degraded", isInvalid ? .true : .false, reason, isInvalid ? message : "", generation: generation, now: now)
    }
}
