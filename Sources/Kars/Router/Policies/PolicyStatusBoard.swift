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
    }

    /// Error text beyond this many bytes is cut and marked.
    static let maxErrorBytes = 512

    private let entries = Mutex<[PolicySource.Kind: Entry]>([:])

    var all: [(kind: PolicySource.Kind, entry: Entry)] {
        entries.withLock { $0 }.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key, $0.value) }
    }

    subscript(kind: PolicySource.Kind) -> Entry? { entries.withLock { $0[kind] } }

    func loaded(_ kind: PolicySource.Kind, digest: String?, path: String, at now: UTCTime) {
        entries.withLock {
            $0[kind] = Entry(digest: digest, sourcePath: path, loadedAt: now, lastError: nil)
        }
    }

    /// The digest of what is still in force stays; the error says what is not.
    func failed(_ kind: PolicySource.Kind, _ error: String, path: String, at now: UTCTime) {
        let text =
            error.utf8.count <= Self.maxErrorBytes ? error : error.scalars(upToBytes: Self.maxErrorBytes) + " … (cut)"
        entries.withLock {
            $0[kind, default: Entry(digest: nil, sourcePath: path, loadedAt: now)].lastError = text
        }
    }

    /// Nothing of this kind is mounted any more: no stale digest may remain.
    func cleared(_ kind: PolicySource.Kind) {
        _ = entries.withLock { $0.removeValue(forKey: kind) }
    }

    var hasErrors: Bool { entries.withLock { $0.values.contains { $0.lastError != nil } } }

    var json: JSON {
        let list = all.map { kind, entry in
            JSON.object([
                "kind": .string(kind.rawValue),
                "digest": entry.digest.map { .string($0) } ?? .null,
                "source_path": .string(entry.sourcePath),
                "loaded_at": .string(entry.loadedAt.rfc3339Milliseconds),
                "last_error": entry.lastError.map { .string($0) } ?? .null,
            ])
        }
        return ["schema_version": 1, "count": .int(list.count), "entries": .array(list), "deployment_health": []]
    }
}
