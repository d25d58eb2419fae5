import KarsCore
import Synchronization

/// The egress policy in force, put together from its sources, and what an operator may do about it.
///
/// Owns the compiled policy, what learn mode saw and what was refused. Sources that live elsewhere (files, block list)
/// are replaced from outside; the operator's own decisions survive a restart in one small file. Thread-safe; every operation
/// takes microseconds but those that save, which also write that file.
final class EgressControl: Sendable {
    struct Config: Sendable {
        /// Name of the sandbox: the source under which refused destinations are kept.
        var sandbox: String
        /// The mode while no operator has chosen one.
        var mode = EgressPolicy.Mode.strict
        /// Where the operator's decisions are kept; nil keeps them in memory.
        var statePath: String?
        var blocked = BlockedBuffer.Config()
        var maxLearned = 4096
        /// Rules that an operator may grant at run time, and hosts that may be denied.
        var maxOperatorRules = 4096
    }

    private struct State {
        var policy: EgressPolicy
        var chosenMode: EgressPolicy.Mode?
        var blocked: BlockedBuffer
        var learned: LearnedHosts
        var hasUnsavedHosts = false
        /// Connections by the name of their approval; as many names as approvals are mounted.
        var uses: [String: Int] = [:]

        mutating func replaceSources(_ body: (inout EgressPolicy.Sources) -> Void) {
            var sources = policy.sources
            body(&sources)
            policy = EgressPolicy(sources)
        }
    }

    private let config: Config
    private let state: Mutex<State>
    /// Held while the file is written, before `state`: saves happen in the order of what they save.
    private let saving = Mutex(())

    /// Reads the saved state; a file that cannot be read is an error, not an empty state, because a denial could be lost.
    init(_ config: Config) throws(EgressStateError) {
        self.config = config
        var saved = EgressState()
        if let path = config.statePath {
            do {
                if let bytes = try Files.readIfPresent(path, upTo: EgressState.maxFileBytes) {
                    saved = try EgressState(parsing: bytes)
                }
            } catch let error as EgressStateError {
                throw EgressStateError(reason: "\(path): \(error.reason)")
            } catch {
                throw EgressStateError(reason: "\(error)")
            }
        }
        var learned = LearnedHosts(capacity: config.maxLearned)
        for entry in saved.learned { learned.restore(entry) }
        let sources = EgressPolicy.Sources(
            mode: saved.mode ?? config.mode, baseline: nil, granted: saved.granted, denied: saved.denied)
        state = Mutex(
            State(
                policy: EgressPolicy(sources), chosenMode: saved.mode, blocked: BlockedBuffer(config: config.blocked),
                learned: learned))
    }

    // MARK: - Deciding

    func decide(_ host: Host, port: UInt16, now: UTCTime) -> EgressPolicy.Decision {
        policy.decide(host, port: port, now: now)
    }

    func decideName(_ name: HostName, now: UTCTime) -> EgressPolicy.Decision { policy.decideName(name, now: now) }

    private var policy: EgressPolicy { state.withLock { $0.policy } }

    /// Keeps a refused destination for the operator. Port 0 is a name that was only looked up.
    func noteRefused(_ host: Host, port: UInt16, rule: String, now: UTCTime) {
        state.withLock {
            $0.blocked.record(.init(source: config.sandbox, host: host, port: port), rule: rule, now: now)
        }
    }

    /// Counts a connection that was permitted by `rule`, if it is one of an approval.
    func noteUse(of rule: String) {
        guard let approval = EgressPolicy.approval(in: rule) else { return }
        state.withLock { $0.uses[approval, default: 0] += 1 }
    }

    /// Connections by approval, of those that are mounted, since the start.
    var approvalUses: [String: Int] { state.withLock { $0.uses } }

    /// Keeps a destination that learn mode let through.
    func noteLearned(_ name: HostName, port: UInt16, now: UTCTime) {
        state.withLock {
            if $0.learned.record(name, port: port, now: now) { $0.hasUnsavedHosts = true }
        }
    }

    // MARK: - Sources

    /// nil: no allow list is mounted, and nothing is permitted.
    func replace(baseline: [EgressRule]?) { change { $0.baseline = baseline } }
    func replace(approvals: [EgressGrant]) {
        let names = Set(approvals.map(\.name))
        state.withLock { state in
            state.replaceSources { $0.approvals = approvals }
            state.uses = state.uses.filter { names.contains($0.key) }
        }
    }
    func replace(blockList: BlockList) { change { $0.blockList = blockList } }

    private func change(_ body: (inout EgressPolicy.Sources) -> Void) {
        state.withLock { $0.replaceSources(body) }
    }

    /// Allow list and approvals in force at `now`, in canonical form: what the digest is over (spec/router 16.8).
    func mergedDocument(at now: UTCTime) -> [UInt8] { policy.mergedDocument(at: now) }

    func nextApprovalTurn(after now: UTCTime) -> UTCTime? {
        policy.sources.approvals.flatMap { [$0.effectiveAt, $0.expiresAt] }.filter { $0 > now }.min()
    }

    // MARK: - Operations

    /// Turns learn mode on or off; what was learnt is kept.
    func setLearning(_ isOn: Bool) throws(EgressStateError) {
        try edit { state throws(EgressStateError) in
            let mode: EgressPolicy.Mode = isOn ? .learn : .strict
            state.chosenMode = mode
            state.replaceSources { $0.mode = mode }
        }
    }

    func clearLearned() throws(EgressStateError) {
        try edit { state throws(EgressStateError) in state.learned.removeAll() }
    }

    /// Grants `text` (`host`, `host:port` or `*.suffix`), on the ports on which it was refused lately when no port is given,
    /// else on 443. A denial of the host ends. Returns the rules that are now granted.
    @discardableResult
    func approve(_ text: String) throws(EgressStateError) -> [EgressRule] {
        let rule = try Self.rule(text)
        return try edit { state throws(EgressStateError) in
            var rules = [rule]
            if !Self.hasPort(text) {
                let ports = Set(
                    state.blocked.recent(limit: .max).filter { rule.matches($0.key.host) && $0.key.port > 0 }.map(\.key.port))
                if !ports.isEmpty { rules = ports.sorted().map { EgressRule(rule.pattern, port: $0) } }
            }
            var granted = state.policy.sources.granted
            for rule in rules where !granted.contains(rule) { granted.append(rule) }
            guard granted.count <= self.config.maxOperatorRules else {
                throw EgressStateError(
                    reason: "\(granted.count) granted rules where at most \(self.config.maxOperatorRules) are kept")
            }
            state.replaceSources {
                $0.granted = granted
                $0.denied.removeAll { $0 == rule.pattern }
            }
            state.blocked.remove { key in rule.matches(key.host) && (key.port == 0 || rules.contains { $0.port == key.port }) }
            return rules
        }
    }

    /// Denies a host or suffix on every port, and takes back what an operator granted for it.
    @discardableResult
    func deny(_ text: String) throws(EgressStateError) -> EgressRule.Pattern {
        let pattern = try Self.rule(text).pattern
        return try edit { state throws(EgressStateError) in
            var denied = state.policy.sources.denied
            if !denied.contains(pattern) { denied.append(pattern) }
            guard denied.count <= self.config.maxOperatorRules else {
                throw EgressStateError(
                    reason: "\(denied.count) denied hosts where at most \(self.config.maxOperatorRules) are kept")
            }
            state.replaceSources {
                $0.denied = denied
                $0.granted.removeAll { $0.pattern == pattern }
            }
            state.blocked.remove { EgressRule(pattern).matches($0.host) }
            return pattern
        }
    }

    struct Enforcement: Equatable, Sendable {
        var wasEnforcing: Bool
        /// Learnt hosts that became rules.
        var promoted: [EgressRule]
    }

    /// Makes rules of everything learnt and enforces from now on.
    func enforce() throws(EgressStateError) -> Enforcement {
        try edit { state throws(EgressStateError) in
            let wasEnforcing = state.policy.sources.mode == .strict
            let granted = state.policy.sources.granted
            let promoted = state.learned.sorted.map(\.rule).filter { !granted.contains($0) }
            guard granted.count + promoted.count <= self.config.maxOperatorRules else {
                throw EgressStateError(
                    reason: "\(promoted.count) learnt hosts do not fit; at most \(self.config.maxOperatorRules) rules are kept")
            }
            state.chosenMode = .strict
            state.replaceSources {
                $0.mode = .strict
                $0.granted += promoted
            }
            state.learned.removeAll()
            return Enforcement(wasEnforcing: wasEnforcing, promoted: promoted)
        }
    }

    // MARK: - Views

    struct Status: Equatable, Sendable {
        var mode: EgressPolicy.Mode
        /// nil when no allow list is mounted.
        var allowlist: Int?
        var activeApprovals: Int
        var granted: Int
        var denied: Int
        var learned: Int
        var pending: Int
        /// Attempts refused since the start.
        var refused: Int
        /// nil when the block list is off.
        var blockedDomains: Int?
    }

    func status(now: UTCTime) -> Status {
        state.withLock { state in
            let sources = state.policy.sources
            return Status(
                mode: sources.mode, allowlist: sources.baseline?.count,
                activeApprovals: sources.approvals.count { $0.isActive(at: now) },
                granted: sources.granted.count, denied: sources.denied.count, learned: state.learned.count,
                pending: state.blocked.count,
                refused: state.blocked.total, blockedDomains: sources.blockList?.count)
        }
    }

    var learned: [LearnedHosts.Entry] { state.withLock { $0.learned.sorted } }

    func blocked(since: UTCTime = UTCTime(seconds: .min), limit: Int = 256) -> [BlockedBuffer.Entry] {
        state.withLock { $0.blocked.recent(since: since, limit: limit) }
    }

    func topBlocked(_ limit: Int, since: UTCTime) -> [(host: Host, count: Int)] {
        state.withLock { $0.blocked.top(limit, since: since) }
    }

    /// Every rule that permits something now, with where it comes from.
    func rules(now: UTCTime) -> [(rule: EgressRule, source: String)] {
        let sources = policy.sources
        guard let baseline = sources.baseline else { return [] }
        let approved = sources.approvals.filter { $0.isActive(at: now) }.flatMap { approval in
            approval.rules.map { ($0, "approval \(approval.name)") }
        }
        let all = baseline.map { ($0, "allowlist") } + approved + sources.granted.map { ($0, "operator") }
        return all.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }

    var denied: [EgressRule.Pattern] { policy.sources.denied }

    func match(inBlockList name: HostName) -> BlockList.Match? { policy.sources.blockList?.match(name) }

    // MARK: - State

    /// Saves what learn mode saw since the last time. For a timer: it writes a file, while decisions go on.
    func saveIfNeeded() throws(EgressStateError) {
        try saving.withLock { _ throws(EgressStateError) in
            let copy = state.withLock { state -> State? in
                guard state.hasUnsavedHosts else { return nil }
                state.hasUnsavedHosts = false
                return state
            }
            guard let copy else { return }
            do throws(FileError) { try save(copy) } catch {
                state.withLock { $0.hasUnsavedHosts = true }
                throw EgressStateError(reason: "what was learnt is not saved: \(error)")
            }
        }
    }

    private func save(_ state: State) throws(FileError) {
        guard let path = config.statePath else { return }
        let sources = state.policy.sources
        let saved = EgressState(
            mode: state.chosenMode, granted: sources.granted, denied: sources.denied, learned: state.learned.sorted)
        try AtomicFile.write(saved.encoded, to: path, mode: 0o600)
    }

    /// Applies `body` to a copy, saves it, and only then puts it in force: what an operator was told was done survives. Decisions
    /// wait meanwhile.
    private func edit<Result>(_ body: (inout State) throws(EgressStateError) -> Result) throws(EgressStateError) -> Result {
        try saving.withLock { _ throws(EgressStateError) in
            try state.withLock { current throws(EgressStateError) in
                var next = current
                let result = try body(&next)
                next.hasUnsavedHosts = false
                do throws(FileError) { try save(next) } catch {
                    throw EgressStateError(reason: "the decision was not saved and is not in force: \(error)")
                }
                current = next
                return result
            }
        }
    }

    private static func rule(_ text: String) throws(EgressStateError) -> EgressRule {
        do { return try EgressRule(parsing: text) } catch { throw EgressStateError(reason: "\(text.prefix(260)): \(error)") }
    }

    private static func hasPort(_ text: String) -> Bool {
        let host = text.hasPrefix("*.") ? String(text.dropFirst(2)) : text
        // The rule was parsed before this; a suffix pattern may still be no host, and then has no port either.
        return (try? Host.authority(host))?.port != nil
    }
}

/// Why an operation on egress was not done: a bad argument or a state file that cannot be read or written.
struct EgressStateError: Error, Equatable, CustomStringConvertible {
    let reason: String
    var description: String { reason }
}
