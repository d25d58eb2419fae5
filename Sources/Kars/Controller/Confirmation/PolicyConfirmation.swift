import KarsCore

/// Whether a digest is in force wherever it has to be: the judgement behind `Ready` (DESIGN 5). Pure.
struct PolicyConfirmation: Equatable, Sendable {
    enum State: Equatable, Sendable {
        /// There is nothing that routers echo.
        case notApplicable
        /// Nobody refers to it who runs.
        case unreferenced
        /// Every router that refers to it and runs has echoed the digest.
        case confirmed
        case awaiting
        /// Every router has it, and one cannot work with it: the reason of conditions, and what it says.
        case hindered(reason: String, message: String)
    }

    var state: State
    /// For people.
    var message: String
    /// Routers that echoed the digest, of those that have to.
    var confirmed = 0
    var total = 0

    /// What routers say of a policy that they have loaded and cannot use, as the beginnings of their error texts (spec/router 18).
    private static let hindrances = ["AuthMisconfigured", "MemoryStoreMissing"]
    private static let maxDetails = 3

    static let notApplicable = PolicyConfirmation(state: .notApplicable, message: "there is nothing that routers have to echo")

    /// - Parameters:
    ///   - sandboxes: all that refer to the policy.
    ///   - answer: what the router of a sandbox said last; nil: it was not asked yet.
    static func judge(
        _ digest: String, of kind: RouterReport.Kind, in sandboxes: [SandboxView], _ answer: (ObjectKey) -> RouterAnswer?
    ) -> PolicyConfirmation {
        var result = PolicyConfirmation(state: .awaiting, message: "")
        var details: [String] = []
        var idle = 0
        var hindrance: (reason: String, message: String)?
        for sandbox in sandboxes.sorted(by: { $0.key < $1.key }) {
            let said = answer(sandbox.key)
            guard isAsked(sandbox, said) else {
                idle += 1
                continue
            }
            result.total += 1
            switch said {
            case .report(let report):
                let entry = report.entries[kind]
                if entry?.digest == digest {
                    result.confirmed += 1
                    hindrance = graver(hindrance, Self.hindrance(entry?.lastError, sandbox))
                } else {
                    details.append("\(sandbox.key.name): " + difference(entry))
                }
            case .silent(let reason): details.append("\(sandbox.key.name): no answer: \(reason)")
            case .disbelieved(let reason): details.append("\(sandbox.key.name): not believed: \(reason)")
            case nil: details.append("\(sandbox.key.name): not asked yet")
            }
        }
        result.conclude(details, idle: idle, hindrance)
        return result
    }

    /// A sandbox that is suspended or going has no router to ask. One that does not run yet counts as soon as its router answers: it may
    /// enforce something else.
    private static func isAsked(_ sandbox: SandboxView, _ said: RouterAnswer?) -> Bool {
        guard !sandbox.isSuspended, !sandbox.isBeingDeleted else { return false }
        return sandbox.phase == "Running" || said?.isThere == true
    }

    private mutating func conclude(_ details: [String], idle: Int, _ hindrance: (reason: String, message: String)?) {
        if total == 0 {
            state = .unreferenced
            message = idle == 0 ? "no sandbox refers to it" : "\(idle) of its sandboxes do not run"
        } else if confirmed == total {
            state = hindrance.map { .hindered(reason: $0.reason, message: $0.message) } ?? .confirmed
            message = hindrance?.message ?? "\(confirmed)/\(total) routers enforce it"
        } else {
            let shown = details.prefix(Self.maxDetails).joined(separator: "; ")
            let rest = details.count > Self.maxDetails ? " (+\(details.count - Self.maxDetails) more)" : ""
            message = "\(confirmed)/\(total) routers enforce it; \(shown)\(rest)"
        }
    }

    private static func difference(_ entry: RouterReport.Entry?) -> String {
        let error = entry?.lastError.map { ", and refuses the newest: \($0.prefix(256))" } ?? ""
        guard let digest = entry?.digest else { return "enforces none\(error)" }
        return "enforces \(digest.prefix(19))…\(error)"
    }

    /// By the order of `hindrances`; the first of equals.
    private static func graver(
        _ a: (reason: String, message: String)?, _ b: (reason: String, message: String)?
    ) -> (reason: String, message: String)? {
        guard let a, let b else { return a ?? b }
        let rank = { (reason: String) in hindrances.firstIndex(of: reason) ?? hindrances.count }
        return rank(b.reason) < rank(a.reason) ? b : a
    }

    private static func hindrance(_ error: String?, _ sandbox: SandboxView) -> (reason: String, message: String)? {
        guard let error, let reason = hindrances.first(where: { error.hasPrefix($0 + ":") }) else { return nil }
        return (reason, "\(sandbox.key.name): \(error)")
    }
}
