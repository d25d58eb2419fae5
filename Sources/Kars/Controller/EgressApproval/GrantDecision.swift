import KarsCore

/// Where a grant stands and what follows from it: pure, so that each rule is a row in a table.
///
/// A grant begins when its sandbox first runs, and from then on its end is fixed: neither a restart of anything nor a suspended sandbox
/// lengthens it. What is over is over; the file goes away and nothing is looked at any more.
struct GrantDecision: Equatable, Sendable {
    enum Standing: Equatable, Sendable {
        /// It cannot be granted as it is: the reason of conditions, and why.
        case invalid(reason: String, message: String)
        /// Its sandbox is not there, or does not run, or is somebody else's.
        case blocked(String)
        /// Its file is there; the router has not said that it counts it.
        case awaiting(String)
        case active
        case expired
    }

    /// What there is besides the grant.
    struct Surroundings: Equatable, Sendable {
        /// The sandbox of that name in the grant's namespace.
        var sandbox: SandboxView?
        /// ConfigMaps in the sandbox's own namespace: its allow list, and the files of its grants.
        var allowlist: JSONObject?
        var grants: JSONObject?
        var answer: RouterAnswer?
    }

    var standing: Standing
    /// The content that the grant's file has to have; nil: it must not be there.
    var file: String?
    var effectiveAt: UTCTime?
    var expiresAt: UTCTime?
    /// Of everything that the sandbox may reach, once the file is as it has to be.
    var mergedDigest: String?

    /// Whether `file` is to be written where it is not as it has to be.
    var isWritten: Bool {
        switch standing {
        case .awaiting, .active: true
        case .invalid, .blocked, .expired: false
        }
    }

    /// - Parameters:
    ///   - name: of the object.
    ///   - created: when the object was made; nothing was granted before.
    ///   - longest: what the operator allows, in seconds.
    static func decide(
        _ spec: EgressApproval.Spec, name: String, home: String, status: EgressApproval.Status, created: UTCTime?,
        _ seen: Surroundings, longest: Int, now: UTCTime
    ) -> GrantDecision {
        var decision = stand(
            spec, name: name, home: home, status: status, created: created, seen, longest: longest, now: now)
        decision.foretell(name, seen, now)
        return decision
    }

    /// Where the grant stands, the router's word left out.
    private static func stand(
        _ spec: EgressApproval.Spec, name: String, home: String, status: EgressApproval.Status, created: UTCTime?,
        _ seen: Surroundings, longest: Int, now: UTCTime
    ) -> GrantDecision {
        var decision = GrantDecision(standing: .expired)
        decision.effectiveAt = status.effectiveAt.flatMap { UTCTime(rfc3339: $0) }
        decision.expiresAt = status.expiresAt.flatMap { UTCTime(rfc3339: $0) }
        // The last word: whatever else changes, it does not come back.
        if status.phase == .expired { return decision }
        if let fault = fault(in: spec, longest: longest) {
            decision.standing = fault
            return decision
        }
        let seconds = ISO8601Duration.seconds(spec.ttl) ?? 0
        let start = decision.effectiveAt ?? begun(name, home, seen, created, now)
        if let start {
            decision.effectiveAt = start
            decision.expiresAt = start.advanced(by: .seconds(seconds))
            if let end = decision.expiresAt, end <= now { return decision }
        }
        guard let sandbox = seen.sandbox, !sandbox.isBeingDeleted else {
            decision.standing = .blocked("there is no sandbox \(spec.sandbox)")
            return decision
        }
        guard sandbox.phase == "Running", !sandbox.isSuspended else {
            // What began goes on to its end, wherever its file is.
            decision.file = start == nil ? nil : decision.document(spec, name)
            decision.standing = .blocked("the sandbox \(spec.sandbox) does not run")
            return decision
        }
        guard let allowlist = seen.allowlist, allowlist.labels[Self.homeLabel] == home else {
            decision.standing = .blocked("the sandbox \(spec.sandbox) has no allow list to add to")
            return decision
        }
        let begins = start ?? UTCTime(seconds: now.seconds)
        decision.effectiveAt = begins
        decision.expiresAt = begins.advanced(by: .seconds(seconds))
        decision.file = decision.document(spec, name)
        decision.standing = .awaiting("")
        return decision
    }

    static let homeLabel = "kars.azure.com/parent-namespace"

    private static func fault(in spec: EgressApproval.Spec, longest: Int) -> Standing? {
        guard let seconds = ISO8601Duration.seconds(spec.ttl) else {
            return .invalid(reason: "TtlInvalid", message: "spec.ttl: \(spec.ttl.prefix(64)): expected a duration such as PT2H")
        }
        let ceiling = min(longest, EgressApproval.longestTTL)
        guard seconds <= ceiling else {
            return .invalid(
                reason: "TtlExceedsCeiling", message: "spec.ttl: \(seconds) s, where at most \(ceiling) s may be granted")
        }
        let faults = spec.faults()
        guard let first = faults.first else { return nil }
        let reason = first.path.hasPrefix("spec.reason") ? "ReasonInvalid" : "SpecInvalid"
        return .invalid(reason: reason, message: faults.map(\.description).joined(separator: "; "))
    }

    /// When the grant began according to its file: a status that was not written must not lengthen it.
    private static func begun(
        _ name: String, _ home: String, _ seen: Surroundings, _ created: UTCTime?, _ now: UTCTime
    ) -> UTCTime? {
        let file = EgressApproval.fileName(name)
        guard let grants = seen.grants, grants.labels[homeLabel] == home, let text = grants["data"]?[file]?.stringValue,
            let grant = try? EgressGrant(parsing: Array(text.utf8), file: file), grant.name == name, grant.effectiveAt <= now,
            created.map({ $0 <= grant.effectiveAt }) ?? true
        else { return nil }
        return grant.effectiveAt
    }

    private func document(_ spec: EgressApproval.Spec, _ name: String) -> String? {
        guard let effectiveAt, let expiresAt else { return nil }
        return spec.file(name: name, from: effectiveAt, until: expiresAt)
    }

    /// What the router has to say once the files are as they have to be, and whether it says so.
    private mutating func foretell(_ name: String, _ seen: Surroundings, _ now: UTCTime) {
        guard let allowlist = seen.allowlist else { return }
        var files: [String: String] = [:]
        for member in seen.grants?["data"]?.objectValue ?? JSONObject() where member.key.hasPrefix("approval-") {
            files[member.key] = member.value.stringValue
        }
        files[EgressApproval.fileName(name)] = file
        let baseline = allowlist["data"]?["allowlist.json"]?.stringValue
        do throws(PolicyFileError) {
            mergedDigest = try MergedAllowlist.digest(baseline: baseline, files: files, at: now).description
        } catch {
            if case .awaiting = standing { standing = .blocked("the allow list cannot be read: \(error)") }
            return
        }
        guard case .awaiting = standing else { return }
        switch seen.answer {
        case .report(let report):
            let entry = report.entries[.approvals]
            if entry?.digest == mergedDigest {
                standing = .active
            } else {
                let error = entry?.lastError.map { ": \($0)" } ?? ""
                standing = .awaiting("the router enforces \(entry?.digest.map { $0.prefix(19) + "…" } ?? "no grants")\(error)")
            }
        case .silent(let reason): standing = .awaiting("no answer from the router: \(reason)")
        case .disbelieved(let reason): standing = .awaiting("the router is not believed: \(reason)")
        case nil: standing = .awaiting("the router was not asked yet")
        }
    }
}
