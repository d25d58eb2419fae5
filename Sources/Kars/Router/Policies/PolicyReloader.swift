import Dispatch
import KarsCore
import Synchronization

/// Keeps the policies in force equal to the files: looks several times a second and loads what has changed.
///
/// A version that cannot be loaded leaves the last good one in force and shows in status. A profile that was never good, or
/// is gone, denies everything. Everything here runs on one queue of its own, because it reads files.
final class PolicyReloader: Sendable {
    /// Whose router this is.
    private let sandbox: String
    private let paths: RouterConfig.PolicyPaths
    private let store: PolicyStore
    private let egress: any EgressPolicySink
    private let metrics: RouterMetrics
    private let log: Log
    private let clock: @Sendable () -> UTCTime
    private let queue = DispatchQueue(label: "kars.policies")

    private struct State {
        /// What each kind's files looked like when they were last read.
        var seen: [PolicySource.Kind: [FileSignature]] = [:]
        var digests: [PolicySource.Kind: String] = [:]
        var blockList: FileSignature?
        /// When an approval in force begins or ends next.
        var approvalsTurn: UTCTime?
    }

    // Only `queue` works on it; the lock is what the compiler needs.
    private let state = Mutex(State())
    private let isStopped = Atomic<Bool>(false)

    init(
        sandbox: String, paths: RouterConfig.PolicyPaths, store: PolicyStore, egress: any EgressPolicySink,
        metrics: RouterMetrics, log: Log,
        clock: @escaping @Sendable () -> UTCTime = UTCTime.now
    ) {
        self.sandbox = sandbox
        self.paths = paths
        self.store = store
        self.egress = egress
        self.metrics = metrics
        self.log = log
        self.clock = clock
    }

    /// Loads everything once. Blocking: before the listeners open, so that no call is judged by nothing.
    func loadAll() { queue.sync { check() } }

    /// Goes on looking until `stop` or the end of this value.
    func start() { scheduleLook() }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func scheduleLook() {
        queue.asyncAfter(deadline: .now() + .nanoseconds(Int(paths.pollInterval.wholeNanoseconds))) { [weak self] in
            guard let self, !isStopped.load(ordering: .relaxed) else { return }
            check()
            scheduleLook()
        }
    }

    // MARK: - Looking

    private func check() {
        var changed: Set<PolicySource.Kind> = []
        for kind in PolicySource.Kind.allCases {
            let source = PolicySource(kind: kind, directory: directory(of: kind))
            let signature = source.signature()
            guard state.withLock({ $0.seen[kind] }) != signature else { continue }
            changed.insert(kind)
            reload(source)
            // The signature from before reading: what changes in between is seen at the next look.
            state.withLock { $0.seen[kind] = signature }
        }
        checkMergedList(changed)
        checkBlockList()
    }

    /// The digest of the approvals is over allow list and approvals together, and an approval has its times: it changes with the
    /// other file and with the clock too.
    private func checkMergedList(_ changed: Set<PolicySource.Kind>) {
        let now = clock()
        let isTurn = state.withLock { $0.approvalsTurn.map { $0 <= now } ?? false }
        guard isTurn || changed.contains(.allowlist) || changed.contains(.approvals) else { return }
        state.withLock { $0.approvalsTurn = egress.nextApprovalTurn(after: now) }
        guard store.board[.approvals] != nil else { return }
        store.board.changed(.approvals, digest: mergedDigest(at: now), path: paths.approvals, at: now)
    }

    private func mergedDigest(at now: UTCTime) -> String {
        PolicyDigest(name: PolicyDigest.Name.mergedAllowlist, body: egress.mergedDocument(at: now)).description
    }

    private func directory(of kind: PolicySource.Kind) -> String {
        switch kind {
        case .profile: paths.profiles
        case .inference: paths.inference
        case .memory: paths.memory
        case .allowlist: paths.allowlist
        case .approvals: paths.approvals
        }
    }

    private func reload(_ source: PolicySource) {
        let now = clock()
        do {
            let files = try source.read()
            let (digest, warnings) = try apply(files, of: source.kind, now: now)
            let isNew = state.withLock { state in
                defer { state.digests[source.kind] = digest }
                return state.digests[source.kind] != digest
            }
            guard let digest else {
                store.board.cleared(source.kind)
                if isNew { log.info("policy.cleared", ["kind": .string(source.kind.rawValue)]) }
                return
            }
            store.board.loaded(
                source.kind, digest: digest, path: files.first?.path ?? source.directory, at: now, warnings: warnings)
            for warning in warnings.prefix(PolicyStatusBoard.maxWarnings) {
                log.warn("policy.warning", ["kind": .string(source.kind.rawValue), "text": .string(warning)])
            }
            metrics.policyReloads[source.kind.metric, .success].increment()
            metrics.policyHealthy[source.kind.metric].set(1)
            metrics.policyLoadedAt[source.kind.metric].set(Double(now.seconds))
            if isNew { log.info("policy.loaded", ["kind": .string(source.kind.rawValue), "digest": .string(digest)]) }
        } catch {
            store.board.failed(source.kind, "\(error)", path: source.directory, at: now)
            metrics.policyReloads[source.kind.metric, .error].increment()
            metrics.policyHealthy[source.kind.metric].set(0)
            log.error("policy.rejected", ["kind": .string(source.kind.rawValue), "error": .error(error)])
        }
    }

    /// Compiles the files and puts them in force. Returns their digest, nil when there is nothing of this kind, and what was read
    /// past.
    private func apply(
        _ files: [PolicyFile], of kind: PolicySource.Kind, now: UTCTime
    ) throws -> (digest: String?, warnings: [String]) {
        switch kind {
        case .profile:
            guard !files.isEmpty else {
                store.replace(engine: .denyingAll(because: "no profile is mounted in \(paths.profiles)"), digest: nil)
                return (nil, [])
            }
            let profile = try PolicyProfile.load(files: files.map { ($0.name, $0.bytes) })
            let digest = PolicyDigest(files: files.map { ($0.name, $0.bytes) }).description
            let engine = PolicyEngine(profile)
            store.replace(engine: engine, digest: digest)
            metrics.policyRules.set(Double(engine.ruleCount))
            return (digest, profile.warnings.map(\.description))
        case .inference:
            guard let file = files.first else {
                store.replace(inference: InferenceRules(), digest: nil)
                return (nil, [])
            }
            let policy = try InferenceRules(parsing: file.bytes, file: file.name)
            let digest = PolicyDigest(name: PolicyDigest.Name.inferencePolicy, body: file.bytes).description
            store.replace(inference: policy, digest: digest)
            return (digest, policy.warnings)
        case .memory:
            guard let file = files.first else {
                store.replace(memory: nil)
                return (nil, [])
            }
            let binding = try MemoryBinding(parsing: file.bytes, file: file.name)
            // One that was mounted by mistake would show this agent what another remembers.
            guard binding.sandbox == sandbox else {
                throw PolicyFileError(
                    file: file.name, reason: "sandboxRef.name: it is for \(binding.sandbox), not for \(sandbox)")
            }
            store.replace(memory: binding)
            return (PolicyDigest(name: PolicyDigest.Name.memory, body: file.bytes).description, [])
        case .allowlist:
            guard let file = files.first else {
                egress.replace(baseline: nil)
                return (nil, [])
            }
            egress.replace(baseline: try EgressAllowlist.rules(parsing: file.bytes, file: file.name))
            return (PolicyDigest(name: PolicyDigest.Name.egressAllowlist, body: file.bytes).description, [])
        case .approvals:
            // One approval that cannot be read does not take the others away, but it is told.
            var approvals: [EgressGrant] = []
            var problems: [String] = []
            for file in files {
                do {
                    approvals.append(try EgressGrant(parsing: file.bytes, file: file.name))
                } catch {
                    problems.append("\(error)")
                }
            }
            egress.replace(approvals: approvals)
            if !problems.isEmpty { throw PolicyFileError(file: paths.approvals, reason: problems.joined(separator: "; ")) }
            return (Files.exists(paths.approvals) ? mergedDigest(at: now) : nil, [])
        }
    }

    private func checkBlockList() {
        guard paths.blockListEnabled else { return }
        let signature = FileSignature(name: "blocklist", path: paths.blockList)
        guard state.withLock({ $0.blockList }) != signature else { return }
        state.withLock { $0.blockList = signature }
        var list = BlockList()
        do {
            if let bytes = try Files.readIfPresent(paths.blockList, upTo: 64 << 20) {
                let parsed = list.add(list: bytes)
                log.info(
                    "blocklist.loaded",
                    ["domains": .int(list.count), "invalid": .int(parsed.invalid), "over_limit": .int(parsed.overLimit)])
            }
            egress.replace(blockList: list)
        } catch {
            log.error("blocklist.rejected", ["error": .error(error)])
        }
    }
}

/// Where the parts of the egress policy go; the owner of egress state puts them together.
protocol EgressPolicySink: Sendable {
    /// nil: no allow list is mounted.
    func replace(baseline: [EgressRule]?)
    func replace(approvals: [EgressGrant])
    func replace(blockList: BlockList)
    /// Allow list and approvals in force at `now`, in canonical form.
    func mergedDocument(at now: UTCTime) -> [UInt8]
    /// When, after `now`, an approval begins or ends next; nil when none does.
    func nextApprovalTurn(after now: UTCTime) -> UTCTime?
}

extension PolicySource.Kind {
    var metric: RouterMetrics.PolicyKind {
        switch self {
        case .profile: .agtProfile
        case .inference: .inferencePolicy
        case .memory: .memory
        case .allowlist: .egress
        case .approvals: .egressApproval
        }
    }
}
