import KarsCore

/// The status of a sandbox: what was decided, how it went, and what its pod really does.
struct SandboxStatus {
    let sandbox: KarsSandbox
    let owner: SandboxOwnership
    let plan: SandboxPlan
    let seen: SandboxObserved
    let outcome: PlanOutcome
    let now: UTCTime

    /// What was there and is somebody else's stays: conditions of other writers, tokens, identities.
    var status: KarsSandbox.Status {
        var status = sandbox.status
        status.observedGeneration = generation
        status.runtimeKind = sandbox.spec.runtime.kind
        status.phase = phase
        if plan.problem?.reason != "NameConflict" {
            status.namespace = owner.namespace
            status.inferenceEndpoint = SandboxNetwork.endpoint(owner)
            status.sandboxPod =
                plan.isOverlay
                ? "upstream/\(sandbox.spec.upstreamCompatibility?.upstreamSandboxRef?.name ?? "")" : "\(owner.name)-*"
        }
        status.conditions = conditions
        return status
    }

    private var generation: Int? { sandbox.metadata["generation"]?.intValue }
    private var isSuspended: Bool { sandbox.spec.suspended ?? false }

    /// What the last round's Deployment does; nil while there is none.
    private var workload: SandboxWorkload.State? { seen.deployment.map { SandboxWorkload($0).state } }

    var phase: KarsSandbox.Status.Phase {
        if case .failed = outcome { return seen.deployment == nil ? .pending : .degraded }
        if let problem = plan.problem { return problem.isPending ? .pending : .degraded }
        if plan.isOverlay { return .overlay }
        if isSuspended { return workload == .stopped ? .suspended : .terminating }
        return switch workload {
        case .available: .running
        case .failed: .degraded
        case .creating, .stopped, nil: .creating
        }
    }

    // MARK: - Conditions, a function each

    private typealias Verdict = (status: Condition.Status, reason: String, message: String)

    private var conditions: [Condition] {
        var conditions = sandbox.status.conditions
        func set(_ type: String, _ verdict: Verdict?) {
            guard let verdict else { return conditions.removeAll { $0.type == type } }
            conditions.set(type, verdict.status, verdict.reason, verdict.message, generation: generation, now: now)
        }
        set("Ready", ready)
        set("Progressing", progressing)
        set("Degraded", degraded)
        set("RuntimeReady", runtimeReady)
        set("Suspended", suspended)
        set("AllowlistVerified", allowlistVerified)
        set("AllowlistAuthoritative", allowlistAuthoritative)
        set("EgressEnforced", egressEnforced)
        set("EnvironmentAccepted", environmentAccepted)
        set("BYOContractAdvisory", imageAdvisory)
        set("PostureAccepted", postureAccepted)
        set("PoliciesMounted", policiesMounted)
        set("Sealed", sealed)
        return conditions
    }

    /// What stands in the way, in one word and a sentence; nil: nothing.
    private var obstacle: (reason: String, message: String, isPending: Bool)? {
        // Rights in a namespace that was just made reach every API server a moment later.
        if case .failed(let status) = outcome {
            return ("Failed", status.message, status.isTransient || (status.reason == .forbidden && !seen.hasAccess))
        }
        if let problem = plan.problem { return (problem.reason, problem.message, problem.isPending) }
        if case .failed(let message) = workload { return ("Failed", message, false) }
        return nil
    }

    private var ready: Verdict {
        if let obstacle { return (.false, obstacle.reason, obstacle.message) }
        if plan.isOverlay { return (.true, "OverlayMode", Self.overlayMessage) }
        if isSuspended { return (.false, "SuspendedBySpec", "spec.suspended is true") }
        if workload == .available { return (.true, "Reconciled", "the pod is available") }
        return (.false, "Creating", waiting)
    }

    private var progressing: Verdict {
        if let obstacle { return (obstacle.isPending ? .true : .false, obstacle.reason, obstacle.message) }
        if plan.isOverlay { return (.false, "OverlayMode", Self.overlayMessage) }
        if isSuspended { return (workload == .stopped ? .false : .true, "SuspendedBySpec", "spec.suspended is true") }
        return workload == .available ? (.false, "Reconciled", "") : (.true, "Creating", waiting)
    }

    private var degraded: Verdict? {
        if let obstacle, !obstacle.isPending { return (.true, obstacle.reason, obstacle.message) }
        return (.false, "Reconciled", "")
    }

    private var runtimeReady: Verdict {
        if plan.isOverlay { return (.false, "OverlayMode", Self.overlayMessage) }
        if plan.problem?.reason == "AdapterMissing", let problem = plan.problem {
            return (.false, problem.reason, problem.message)
        }
        if let obstacle, seen.deployment == nil { return (.false, obstacle.reason, obstacle.message) }
        if isSuspended { return (.false, "SuspendedBySpec", "spec.suspended is true") }
        return workload == .available ? (.true, "Reconciled", "") : (.false, "Creating", waiting)
    }

    /// Kept for good once it was said.
    private var suspended: Verdict? {
        if plan.isOverlay { return (.true, "OverlayMode", Self.overlayMessage) }
        if isSuspended { return (.true, "SuspendedBySpec", "spec.suspended is true") }
        return sandbox.status.conditions["Suspended"] == nil ? nil : (.false, "Active", "")
    }

    private var allowlistVerified: Verdict? {
        switch plan.allowlist.authority {
        case .unset: nil
        case .inline: (.false, "Unsigned", "allowedEndpoints are the object's own word")
        case .refused(let reason, let message): (.false, reason, message)
        }
    }

    private var allowlistAuthoritative: Verdict? {
        switch plan.allowlist.authority {
        case .unset: nil
        case .inline:
            plan.allowlist.faults.isEmpty
                ? (.false, "Inline", "allowedEndpoints are in force")
                : (.false, "Inline", "not in force: " + plan.allowlist.faults.joined(separator: "; "))
        case .refused(_, let message):
            seen.configMaps[SandboxObjectNames(sandbox: owner.name).allowlist] == nil
                ? (.false, "FailedClosed", message) : (.false, "StaleLKG", "the list before stays in force: \(message)")
        }
    }

    /// Whether the router has the allow list that is meant; unsaid while nothing runs.
    private var egressEnforced: Verdict? {
        guard let expected = seen.expectedAllowlist, plan.problem?.reason != "NameConflict" else { return nil }
        switch seen.router {
        case .report(let report) where report.entries[.allowlist]?.digest == expected:
            return (.true, "RouterEnforcing", "the router enforces \(expected.prefix(19))…")
        case .report(let report):
            let entry = report.entries[.allowlist]
            let error = entry?.lastError.map { ", and refuses the newest: \($0.prefix(256))" } ?? ""
            return (
                .false, CompiledState.awaiting,
                "the router enforces \(entry?.digest.map { $0.prefix(19) + "…" } ?? "no list")\(error)"
            )
        case .silent(let reason): return (.false, CompiledState.awaiting, "no answer from the router: \(reason)")
        case .disbelieved(let reason): return (.false, CompiledState.awaiting, "the router is not believed: \(reason)")
        case nil: return (.false, CompiledState.awaiting, "the router was not asked yet")
        }
    }

    /// Variables that were not taken; gone when there are none.
    private var environmentAccepted: Verdict? {
        plan.droppedVariables.isEmpty
            ? nil
            : (.false, "VariablesDropped", plan.droppedVariables.map(\.description).joined(separator: "; ").cut(toBytes: 4_096))
    }

    /// Said when something is asked for that no sandbox gets; it runs without.
    private var postureAccepted: Verdict? {
        guard sandbox.spec.sandbox.allowPrivilegeEscalation else { return nil }
        return (
            .false, "EscalationRefused",
            "allowPrivilegeEscalation is not given: a program that becomes another user would pass the packet rules"
        )
    }

    private var imageAdvisory: Verdict? { plan.imageAdvice.map { (.true, "BYOContractInvalid", $0) } }

    private var policiesMounted: Verdict {
        plan.missingPolicies.isEmpty
            ? (.true, "Reconciled", "")
            : (.false, "DependencyMissing", "the agent does not run without: " + plan.missingPolicies.joined(separator: ", "))
    }

    /// Whether people are kept out of the pod.
    private var sealed: Verdict {
        owner.isForDevelopment
            ? (
                .false, "DevelopmentOnly",
                "labelled \(SandboxOwnership.developmentLabel)=true: people with the right to exec may enter the pod"
            )
            : (.true, "Reconciled", "nobody enters the pod")
    }

    private var waiting: String {
        seen.podProblems.isEmpty ? "the pod is not available yet" : seen.podProblems.joined(separator: "; ").cut(toBytes: 4_096)
    }

    private static let overlayMessage =
        "somebody else runs the pod: it has neither the router nor the packet rules of kars unless its own template brings them"
}
