/// What a router says that it enforces: the answer to `/internal/policy-status` (spec/router 23), as far as the controller needs it.
///
/// The controller believes an answer only from the router it asked, and from a router only what has the one right form: an answer that
/// could be read in two ways confirms nothing.
package struct RouterReport: Equatable, Sendable {
    /// The kinds of policy that routers report.
    package enum Kind: String, CaseIterable, Sendable {
        case profile = "AgtProfile"
        case inference = "InferencePolicy"
        case memory = "Memory"
        case allowlist = "EgressAllowlist"
        case approvals = "EgressApproval"
    }

    package struct Entry: Equatable, Sendable {
        /// Nil when nothing of the kind is in force.
        package var digest: String?
        /// Why the newest version is not; nil when it is.
        package var lastError: String?

        package init(digest: String?, lastError: String? = nil) {
            self.digest = digest
            self.lastError = lastError
        }
    }

    /// Why an answer is not believed.
    package enum Fault: Error, Equatable, CustomStringConvertible {
        case malformed(String)
        /// It speaks of another sandbox.
        case otherSandbox(String)

        package var description: String {
            switch self {
            case .malformed(let reason): "the answer makes no sense: \(reason)"
            case .otherSandbox(let name): "the answer is about the sandbox \(name.prefix(64))"
            }
        }
    }

    package static let maxBytes = 256 * 1024
    private static let maxEntries = 64
    package static let maxApprovals = 1024
    private static let maxErrorBytes = 1024

    package var sandbox: String
    package var entries: [Kind: Entry]
    /// Connections that were made by each approval since the router started.
    package var approvalUses: [String: Int]

    package init(sandbox: String, entries: [Kind: Entry], approvalUses: [String: Int] = [:]) {
        self.sandbox = sandbox
        self.entries = entries
        self.approvalUses = approvalUses
    }

    /// Reads the answer of the router of `sandbox`. Kinds that this program does not know are passed over.
    package init(parsing bytes: [UInt8], from sandbox: String) throws(Fault) {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: bytes, limits: JSONLimits(maxBytes: Self.maxBytes, maxDepth: 16)) } catch
        {
            throw .malformed("\(error)")
        }
        guard json["schema_version"]?.intValue == 1 else { throw .malformed("schema_version: expected 1") }
        guard let name = json["sandbox"]?.stringValue else { throw .malformed("sandbox: expected a name") }
        guard name == sandbox else { throw .otherSandbox(name) }
        guard let list = json["entries"]?.arrayValue, list.count <= Self.maxEntries, json["count"]?.intValue == list.count else {
            throw .malformed("entries: expected a list of as many as count says, at most \(Self.maxEntries)")
        }
        var entries: [Kind: Entry] = [:]
        for entry in list {
            guard let word = entry["kind"]?.stringValue else { throw .malformed("kind: expected a name") }
            guard let kind = Kind(rawValue: word) else { continue }
            guard entries[kind] == nil else { throw .malformed("\(kind.rawValue): there are two entries") }
            entries[kind] = try Self.entry(entry, kind)
        }
        self.init(sandbox: name, entries: entries, approvalUses: try Self.uses(json["approval_uses"]))
    }

    /// Routers of before do not say it.
    private static func uses(_ json: JSON?) throws(Fault) -> [String: Int] {
        guard let json else { return [:] }
        guard let object = json.objectValue, object.members.count <= maxApprovals else {
            throw .malformed("approval_uses: expected at most \(maxApprovals) numbers by name")
        }
        var uses: [String: Int] = [:]
        for member in object.members {
            guard let count = member.value.intValue, count >= 0 else {
                throw .malformed("approval_uses: expected whole numbers from 0")
            }
            uses[member.key] = count
        }
        return uses
    }

    private static func entry(_ json: JSON, _ kind: Kind) throws(Fault) -> Entry {
        var entry = Entry(digest: nil)
        if let value = json["digest"], !value.isNull {
            guard let digest = value.stringValue, PolicyDigest.isDigest(digest) else {
                throw .malformed("\(kind.rawValue): expected a digest")
            }
            entry.digest = digest
        }
        if let value = json["last_error"], !value.isNull {
            guard let text = value.stringValue else { throw .malformed("\(kind.rawValue): expected last_error as text") }
            // It ends up in a status, for people: no more of it than fits there, and nothing that a terminal would act upon.
            let shown = text.unicodeScalars.prefix(maxErrorBytes / 4).map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }
            entry.lastError = String(String.UnicodeScalarView(shown))
        }
        return entry
    }
}

extension PolicyDigest {
    /// Whether `text` has the form of one.
    package static func isDigest(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 71 && text.hasPrefix("sha256:")
            && bytes.dropFirst(7).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }
}
