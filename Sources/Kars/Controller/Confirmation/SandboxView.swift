import KarsCore

/// What the handshake has to know of a KarsSandbox: which policies it refers to, and whether its router should be there.
struct SandboxView: Equatable, Sendable {
    /// By its home namespace.
    var key: ObjectKey
    var isSuspended: Bool
    var isBeingDeleted: Bool
    /// As its status says it; Running means that its pod is available.
    var phase: String?
    var inferencePolicy: String?
    /// Nil when governance is off.
    var toolPolicy: String?
    var memory: String?

    init(_ object: JSONObject) {
        let spec = object["spec"]
        func name(_ reference: JSON?) -> String? { reference?["name"]?.stringValue }
        key = ObjectKey(object)
        isSuspended = spec?["suspended"]?.boolValue ?? false
        isBeingDeleted = object.isBeingDeleted
        phase = object["status"]?["phase"]?.stringValue
        inferencePolicy = name(spec?["inferenceRef"])
        memory = name(spec?["memoryRef"])
        let governance = spec?["governance"]
        // Who says nothing is governed, and by the default (crds 14.6).
        let isGoverned = governance?["enabled"]?.boolValue ?? true
        toolPolicy = isGoverned ? name(governance?["toolPolicyRef"]) ?? ToolPolicy.defaultName : nil
    }

    /// Whether a change of a sandbox is one of what is seen here.
    static func isNews(_ change: ObjectCache.Change) -> Bool {
        guard case .updated(let old, let new) = change else { return true }
        return SandboxView(old) != SandboxView(new)
    }

    /// Of the sandboxes of one namespace, as they are known at the moment.
    typealias Source = @Sendable (_ namespace: String) async throws(APIStatus) -> [SandboxView]

    /// From a local copy; waits until that is whole, because a sandbox that is not seen would not be asked.
    static func source(_ informer: Informer) -> Source {
        { namespace throws(APIStatus) in
            do throws(CancellationError) { try await informer.waitUntilSynced() } catch { throw .cancelled() }
            return informer.objects(with: namespace, in: namespaceIndex).map(SandboxView.init)
        }
    }

    static let namespaceIndex = "namespace"
}
