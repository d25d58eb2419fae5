import KarsCore
import Synchronization

/// What the router enforces of each kind of policy and what went wrong last: the answer to `/internal/policy-status`
/// (spec/router 23). The controller calls a policy Ready only when it finds the published digest here.
final class PolicyStatusBoard: Sendable {
    struct Entry: Equatable, Sendable {
        /// nil when nothing of this kind is in force.
        var digest: String?
        var sourcePath: String
        var loadedAt: UTCTime
        /// Why the newest version is not in force; nil when it is.
        var lastError: String?
        /// What was read past in the version that is in force.
        var warnings: [String] = []
    }

    /// Error text and warnings beyond this many bytes are cut and marked.
    static let maxErrorBytes = 512
    static let maxWarnings = 20

    private let entries = Mutex<[PolicySource.Kind: Entry]>([:])

    var all: [(kind: PolicySource.Kind, entry: Entry)] {
        entries.withLock { $0 }.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key, $0.value) }
    }

    subscript(kind: PolicySource.Kind) -> Entry? { entries.withLock { $0[kind] } }

    func loaded(_ kind: PolicySource.Kind, digest: String?, path: String, at now: UTCTime, warnings: [String] = []) {
        var shown = warnings.prefix(Self.maxWarnings).map(Self.cut)
        if warnings.count > shown.count { shown.append("and \(warnings.count - shown.count) more") }
        entries.withLock {
            $0[kind] = Entry(digest: digest, sourcePath: path, loadedAt: now, lastError: nil, warnings: shown)
        }
    }

    /// What is in force of `kind` has another digest without a file having changed; what went wrong before stays told.
    func changed(_ kind: PolicySource.Kind, digest: String, path: String, at now: UTCTime) {
        entries.withLock {
            var entry = $0[kind] ?? Entry(digest: nil, sourcePath: path, loadedAt: now)
            guard entry.digest != digest else { return }
            entry.digest = digest
            entry.loadedAt = now
            $0[kind] = entry
        }
    }

    /// The digest of what is still in force stays; the error says what is not.
    func failed(_ kind: PolicySource.Kind, _ error: String, path: String, at now: UTCTime) {
        entries.withLock {
            $0[kind, default: Entry(digest: nil, sourcePath: path, loadedAt: now)].lastError = Self.cut(error)
        }
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= maxErrorBytes ? text : text.scalars(upToBytes: maxErrorBytes) + " … (cut)"
    }

    /// Nothing of this kind is mounted any more: no stale digest may remain.
    func cleared(_ kind: PolicySource.Kind) {
        _ = entries.withLock { $0.removeValue(forKey: kind) }
    }

    var hasErrors: Bool { entries.withLock { $0.values.contains { $0.lastError != nil } } }

    var json: JSON {
        let list = all.map { kind, entry in
            var object: JSONObject = [
                "kind": .string(kind.rawValue),
                "digest": entry.digest.map { .string($0) } ?? .null,
                "source_path": .string(entry.sourcePath),
                "loaded_at": .string(entry.loadedAt.rfc3339Milliseconds),
                "last_error": entry.lastError.map { .string($0) } ?? .null,
            ]
            if !entry.warnings.isEmpty { object["warnings"] = .array(entry.warnings.map { .string($0) }) }
            return JSON.object(object)
        }
        return ["schema_version": 1, "count": .int(list.count), "entries": .array(list), "deployment_health": []]
    }
}
