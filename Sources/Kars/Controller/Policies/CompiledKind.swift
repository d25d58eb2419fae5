import KarsCore

/// A kind that is compiled into files: what the one reconciler of them all (`CompiledReconciler`) has to know of it.
protocol CompiledKind: KarsResource where Spec: CheckedSpec {
    /// Names and labels of what holds the files.
    static var artifact: CompiledArtifact { get }
    /// What routers call it when they say what they enforce; nil: they say nothing of it.
    static var reported: RouterReport.Kind? { get }
    /// The reason of conditions when the files cannot be written (crds 0.3).
    static var writeFailure: String { get }

    /// Pure; `context` has what depends on the time or on others.
    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles
    /// Whose keys have to be fetched first; nil: none.
    var keyIssuer: String? { get }
    /// The object of this kind that a sandbox refers to.
    static func name(in sandbox: SandboxView) -> String?
    /// Whether a sandbox that refers to this object gets it.
    func isMeant(for sandbox: SandboxView) -> Bool
    /// The status that says `state`.
    static func status(_ state: CompiledState, after previous: Status) -> Status
}

extension CompiledKind {
    static var reported: RouterReport.Kind? { nil }
    static var writeFailure: String { "ProfileWriteFailed" }
    var keyIssuer: String? { nil }
    static func name(in sandbox: SandboxView) -> String? { nil }
    func isMeant(for sandbox: SandboxView) -> Bool { true }
}

/// What a compiled form depends on besides the specification.
struct CompileContext: Sendable {
    var now: UTCTime
    /// The weakest content safety that there may be; nil: no floor.
    var safetyFloor: SafetySeverity?
    /// Keys of the issuer that `keyIssuer` names.
    var keys: Result<JSONWebKeySet, CompileFault>?
}

/// How an object stands: what all statuses are made of.
struct CompiledState: Equatable, Sendable {
    enum Standing: Equatable, Sendable {
        /// In force wherever it has to be, or nothing has to echo it.
        case ready
        /// Published; not yet everywhere in force.
        case compiled
        /// The specification cannot be used, or its files cannot be written; what was there stays.
        case degraded
        /// In force, and of no use.
        case hindered
    }

    var standing: Standing
    /// Of the conditions (crds 0.3).
    var reason: String
    var message: String
    /// Of what is published.
    var digest: String?
    var versionHash: String?
    var configMap: String?
    var counts: [String: Int] = [:]
    var generation: Int?
    var now: UTCTime

    /// The digest once all routers have it.
    var loadedDigest: String? { standing == .ready || standing == .hindered ? digest : nil }

    /// The time of the last change: `previous` while `old` and `new` are the same.
    func changed(_ previous: String?, from old: String?, to new: String?) -> String? {
        old == new && previous != nil ? previous : new == nil ? nil : now.rfc3339
    }

    /// Ready, Progressing and Degraded (spec/controller 4.2).
    func conditions(after previous: [Condition]) -> [Condition] {
        var conditions = previous.filter { ["Ready", "Progressing", "Degraded"].contains($0.type) }
        func set(_ type: String, _ holds: Bool, _ reason: String, _ message: String) {
            conditions.set(type, holds ? .true : .false, reason, message, generation: generation, now: now)
        }
        switch standing {
        case .ready:
            set("Ready", true, reason, message)
            set("Progressing", false, "Reconciled", "")
            set("Degraded", false, "Reconciled", "")
        case .compiled:
            set("Ready", false, reason, message)
            set("Progressing", true, reason, message)
            set("Degraded", false, "Reconciled", "")
        case .degraded, .hindered:
            set("Ready", false, reason, message)
            set("Progressing", false, "Failed", message)
            set("Degraded", true, reason, message)
        }
        return conditions
    }
}
