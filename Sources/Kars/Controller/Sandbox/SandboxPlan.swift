import KarsCore

/// What is decided for a sandbox, as a value: the changes, and everything that its status speaks of. Pure.
struct SandboxPlan: Sendable {
    static let fieldManager = Controller.fieldManagerPrefix + "karssandbox"

    /// Why the sandbox is not as asked.
    struct Problem: Equatable, Sendable {
        /// One of the stable reasons (crds 0.3).
        var reason: String
        var message: String
        /// It will come by itself: something is on its way.
        var isPending = false
    }

    var changes = ReconcilePlan()
    /// The first one is told; nil: everything is applied.
    var problem: Problem?
    var isOverlay = false
    var allowlist = SandboxAllowlist(rules: [], authority: .unset, faults: [])
    /// Variables of the user that were not taken.
    var droppedVariables: [UserEnvironmentFilter.Drop] = []
    /// Faults of an image of one's own that are only reported.
    var imageAdvice: String?
    /// Policies that are required and are nowhere, neither compiled nor as a mirror.
    var missingPolicies: [String] = []

    private let sandbox: KarsSandbox
    private let owner: SandboxOwnership
    private let seen: SandboxObserved
    private let settings: SandboxSettings

    init(_ sandbox: KarsSandbox, _ owner: SandboxOwnership, given seen: SandboxObserved, _ settings: SandboxSettings) {
        self.sandbox = sandbox
        self.owner = owner
        self.seen = seen
        self.settings = settings
        decide()
    }

    private mutating func decide() {
        if let fault = firstFault { return problem = fault }
        if let namespace = seen.namespace {
            guard owner.owns(namespace) else {
                return problem = Problem(
                    reason: "NameConflict",
                    message: "namespace \(owner.namespace) is not this sandbox's: another sandbox or somebody else made it")
            }
            guard !namespace.isBeingDeleted else {
                changes.requeue(after: .seconds(2))
                return problem = Problem(
                    reason: "Terminating", message: "namespace \(owner.namespace) is still being deleted", isPending: true)
            }
        }
        changes.ensure(.namespaces, SandboxAccess.namespace(owner), live: seen.namespace, fieldManager: Self.fieldManager)
        changes.ensure(
            .roleBindings, SandboxAccess.controllerBinding(owner, settings.controller), live: seen.controllerBinding,
            fieldManager: Self.fieldManager)
        // In a namespace that was there, what is in it could not be read without the rights that come only now.
        guard seen.namespace == nil || seen.hasAccess else { return changes.requeue(after: .milliseconds(100)) }
        allowlist = SandboxAllowlist.resolve(sandbox.spec.networkPolicy, requiresSigned: settings.requiresSignedAllowlist)
        var parts = ReconcilePlan()
        swap(&parts, &changes)
        planAccount()
        planNetwork()
        planPolicies()
        swap(&parts, &changes)
        // They need the namespace and the rights in it, and the pod needs them.
        changes.together { $0.append(parts) }
        planDeployment()
    }

    private mutating func planAccount() {
        ensure(.serviceAccounts, SandboxAccess.serviceAccount(owner, sandbox, settings), seen.serviceAccount)
        // Whether an agent may spawn is for its ToolPolicy to say; without one nobody says it.
        if isGoverned {
            ensure(.roleBindings, SandboxAccess.spawnerBinding(owner), seen.spawnerBinding)
        } else if let binding = seen.spawnerBinding, SandboxOwnership.owner(of: binding) == owner.key {
            changes.changes.append(
                .delete(.roleBindings, namespace: binding.namespace, name: binding.name, DeleteOptions(uid: binding.uid)))
        }
        if owner.isRepairAgent { ensure(.roleBindings, SandboxAccess.authorBinding(owner), seen.authorBinding) }
        if !seen.hasRouterSecret, let content = seen.freshSecret {
            changes.changes.append(
                .create(.secrets, SandboxAccess.routerSecret(owner, content), WriteOptions(fieldManager: Self.fieldManager)))
        }
    }

    private mutating func ensure(_ resource: GroupVersionResource, _ intent: JSONObject, _ live: JSONObject?) {
        changes.ensure(resource, intent, live: live, fieldManager: Self.fieldManager)
    }

    // MARK: - What must be right before anything is made

    private var firstFault: Problem? {
        if let fault = sandbox.faults().first { return Problem(reason: "SpecInvalid", message: fault.description) }
        let runtime = sandbox.spec.runtime
        if runtime.kind == .semanticKernel {
            return Problem(
                reason: "AdapterMissing", message: "there is no adapter for SemanticKernel; bring your own image with kind BYO")
        }
        // Whoever asked for an identity is not made anonymous behind their back.
        if sandbox.spec.meshAuth?.mode == .agentID {
            return Problem(
                reason: "AgentIdentityProvisioningFailed",
                message: "this version makes no identities of agents: meshAuth.mode auto and anonymous do without")
        }
        if runtime.agentCodes.contains(where: { $0.code.git != nil }) {
            return Problem(
                reason: "AgentCodeUnsupported",
                message: "agentCode.git is not fetched: put the code into an image and use agentCode.oci")
        }
        if let mode = sandbox.spec.upstreamCompatibility?.sigsAgentSandbox, mode == .observe || mode == .translate {
            return Problem(
                reason: "SpecInvalid",
                message: "upstreamCompatibility.sigsAgentSandbox \(mode.rawValue) is not offered: use off or overlay")
        }
        if sandbox.spec.meshAuth?.mode == .agentID {
            return Problem(
                reason: "AgentIdentityProvisioningFailed",
                message: "meshAuth.mode agent-id: this controller makes no agent identities; use auto or anonymous")
        }
        if settings.isStrictAboutImages, let fault = ImageContract.fault(in: runtime) {
            return Problem(reason: "BYOContractInvalid", message: fault)
        }
        return nil
    }

    // MARK: - Parts

    private mutating func planNetwork() {
        let isA2AOpen = sandbox.spec.a2a?.enabled ?? false
        var ports = Set(allowlist.rules.map(\.port)).union(grantedPorts)
        // On a person's own machine hosts are also approved at the router while it runs, plain HTTP among them.
        if owner.isForDevelopment { ports.insert(80) }
        let facts = SandboxNetwork.Facts(
            dns: seen.dns, ports: ports, isA2AOpen: isA2AOpen, hasMesh: isGoverned && !owner.isRepairAgent,
            usesAzureIdentity: settings.workloadIdentity != nil, modelNetworks: settings.modelNetworks,
            modelPorts: settings.backends.ports)
        let policy = SandboxNetwork.policy(owner, facts, controllerNamespace: settings.controller.namespace ?? "kars-system")
        ensure(.networkPolicies, policy, seen.networkPolicy)
        ensure(
            .services, SandboxNetwork.service(owner, sandbox.spec.runtime.kind, isA2AOpen: isA2AOpen), seen.service)
        let map = allowlist.configMap(owner)
        // A list that cannot be verified leaves the one in force that was.
        if !allowlist.isClosed { ensure(.configMaps, map, seen.configMaps[map.name]) }
    }

    /// Ports of hosts that EgressApprovals add to the allow list now. A file that cannot be read grants nothing; the router says so.
    private var grantedPorts: Set<UInt16> {
        let files = seen.configMaps[SandboxObjectNames(sandbox: owner.name).approvals]?["data"]?.objectValue ?? JSONObject()
        let hosts = files.flatMap { file in
            file.value.stringValue.flatMap { try? JSON(parsing: Array($0.utf8)) }?["hosts"]?.arrayValue ?? []
        }
        return Set(hosts.compactMap { $0["port"]?.intValue.flatMap { UInt16(exactly: $0) } })
    }

    private var isGoverned: Bool { sandbox.spec.governance?.enabled ?? true }

    /// What is mounted: everything that is referred to and is for this sandbox.
    private var references: [SandboxReference] { asked.filter { seen.refused[$0] == nil } }
    private var asked: [SandboxReference] { SandboxReference.all(in: sandbox.spec, sandbox: owner.name) }

    private mutating func planPolicies() {
        if let reason = asked.compactMap({ seen.refused[$0] }).first {
            problem = Problem(reason: "ReferenceRefused", message: reason)
        }
        for reference in references {
            if let source = seen.sources[reference] {
                let mirror = SandboxMirrors.mirror(of: source, for: reference, owner)
                ensure(.configMaps, mirror, seen.configMaps[reference.configMap])
            } else if seen.configMaps[reference.configMap] == nil, reference.kind.isRequired {
                missingPolicies.append("\(reference.kind.rawValue) \(reference.name)")
            }
            guard problem == nil else { continue }
            let name = "\(reference.kind.rawValue) \(reference.name)"
            if !seen.existing.contains(reference) {
                problem = Problem(
                    reason: reference.kind.missingReason, message: "\(name) is not in namespace \(owner.homeNamespace)")
            } else if seen.sources[reference] == nil {
                problem = Problem(reason: "DependencyMissing", message: "\(name) is not compiled yet", isPending: true)
            }
        }
        for mirror in SandboxMirrors.stale(in: seen.configMaps.values.sorted { $0.name < $1.name }, wanted: references) {
            changes.changes.append(
                .delete(.configMaps, namespace: owner.namespace, name: mirror.name, DeleteOptions(uid: mirror.uid)))
        }
    }

    /// What the pod's template is made from; says what stands in the way otherwise.
    private mutating func planDeployment() {
        if case .refused(let reason, let message) = allowlist.authority, seen.configMaps[allowlistName] == nil {
            problem = problem ?? Problem(reason: reason == "Unsigned" ? "Unsigned" : "FailedClosed", message: message)
            return
        }
        if sandbox.spec.upstreamCompatibility?.sigsAgentSandbox == .overlay {
            isOverlay = true
            if let deployment = seen.deployment {
                changes.changes.append(
                    .delete(
                        .deployments, namespace: owner.namespace, name: deployment.name, DeleteOptions(uid: deployment.uid)))
            }
            return
        }
        imageAdvice = ImageContract.fault(in: sandbox.spec.runtime)
        guard missingPolicies.isEmpty else { return stop() }
        guard let policy = inferencePolicy else { return }
        do throws(MissingBackend) {
            let model = try SandboxModel(reading: policy, settings.backends)
            try deploy(model)
        } catch {
            problem = problem ?? Problem(reason: "SpecInvalid", message: error.description)
        }
    }

    private var allowlistName: String { SandboxObjectNames(sandbox: owner.name).allowlist }

    /// What is compiled, else the mirror of what was.
    private var inferencePolicy: JSONObject? {
        guard let reference = references.first(where: { $0.kind == .inferencePolicy }) else { return nil }
        return seen.sources[reference] ?? seen.configMaps[reference.configMap]
    }

    private mutating func deploy(_ model: SandboxModel) throws(MissingBackend) {
        let names = SandboxObjectNames(sandbox: owner.name)
        let policies =
            references.map(\.mount) + [
                MountedPolicy(volume: "egress-allowlist", configMap: names.allowlist, mountPath: "/etc/kars/egress"),
                MountedPolicy(volume: "egress-approvals", configMap: names.approvals, mountPath: "/etc/kars/egress-approvals"),
                MountedPolicy(volume: "blocklist", configMap: names.blockList, mountPath: "/etc/kars/blocklist"),
            ]
        do throws(ResourceError) {
            var spec = try SandboxSpecMaker.spec(sandbox, owner, model: model, policies: policies, settings)
            spec.governance.mcpServers = references.filter { $0.kind == .mcpServer }.map(\.name)
            let pod = SandboxPod.plan(spec)
            droppedVariables = pod.droppedVariables
            ensure(
                .deployments, SandboxDeployment.object(owner, pod.pod, isSuspended: sandbox.spec.suspended ?? false),
                seen.deployment)
        } catch {
            problem = problem ?? Problem(reason: "SpecInvalid", message: error.description)
        }
    }

    /// An agent without its policies does not run, also one that did.
    private mutating func stop() {
        guard let deployment = seen.deployment, deployment["spec"]?["replicas"]?.intValue != 0 else { return }
        changes.changes.append(
            .patch(
                .merge, .deployments, namespace: owner.namespace, name: owner.name, ["spec": ["replicas": 0]],
                WriteOptions(fieldManager: Self.fieldManager)))
    }
}

/// The Deployment of a sandbox: one pod, never two at a time.
enum SandboxDeployment {
    static func object(_ owner: SandboxOwnership, _ pod: Pod, isSuspended: Bool) -> JSONObject {
        var deployment = JSONObject.owned(by: owner, "apps/v1", "Deployment", name: owner.name)
        var template = JSONObject()
        template["labels"] = ResourceText.map(pod.metadata.labels)
        if !pod.metadata.annotations.isEmpty { template["annotations"] = ResourceText.map(pod.metadata.annotations) }
        deployment["spec"] = [
            "replicas": .int(isSuspended ? 0 : 1), "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600,
            // Two pods would spend the same budget and write the same chain.
            "strategy": ["type": "Recreate"],
            "selector": ["matchLabels": [SandboxOwnership.sandboxLabel: .string(owner.name)]],
            "template": ["metadata": .object(template), "spec": pod.spec.json],
        ]
        return deployment
    }
}

private enum ResourceText {
    static func map(_ texts: [String: String]) -> JSON {
        .object(JSONObject(texts.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
    }
}

/// What contract v1 asks of an image of one's own (spec/controller 3.2).
enum ImageContract {
    static func fault(in runtime: KarsSandbox.Runtime) -> String? {
        guard runtime.kind == .byo, let image = runtime.byo?.image else { return nil }
        if image.contains(where: \.isWhitespace) { return "byo.image: \(image) has blanks" }
        if let digest = image.split(separator: "@", maxSplits: 1).dropFirst().first, digest.hasPrefix("sha256:") {
            return digest.count > "sha256:".count + 8 ? nil : "byo.image: \(image) has a digest that is none"
        }
        let name = image.split(separator: "/").last ?? ""
        return name.contains(":") ? nil : "byo.image: \(image) has neither tag nor digest, so that nobody knows what runs"
    }
}
