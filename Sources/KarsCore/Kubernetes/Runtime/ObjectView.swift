/// How much of each object a local copy keeps. Less is asked of the server, travels and stays in memory.
package enum ObjectView: Sendable, Hashable {
    /// Everything but `managedFields`, which nobody who only looks needs.
    case whole
    /// Who it is and whom it belongs to: the server sends `metadata` alone, of which names, version, labels, owners, finalizers
    /// and the mark of deletion are kept. Enough to know that something has changed; what it is now is read when it is needed.
    case metadata

    /// What is asked of the server (API concepts, "Receiving resources as PartialObjectMetadata").
    var listAccept: String? { accept(kind: "PartialObjectMetadataList") }
    var watchAccept: String? { accept(kind: "PartialObjectMetadata") }

    private func accept(kind: String) -> String? {
        switch self {
        case .whole: nil
        case .metadata: "application/json;as=\(kind);g=meta.k8s.io;v=v1,application/json"
        }
    }

    private static let keptMetadata = [
        "name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences", "finalizers", "deletionTimestamp",
    ]

    func kept(of object: JSONObject) -> JSONObject {
        switch self {
        case .whole:
            var object = object
            object.metadata["managedFields"] = nil
            return object
        case .metadata:
            let all = object.metadata
            var metadata = JSONObject()
            for name in Self.keptMetadata { metadata[name] = all[name] }
            return ["metadata": .object(metadata)]
        }
    }
}

extension WatchMachine.Change {
    func kept(by view: ObjectView) -> WatchMachine.Change {
        switch self {
        case .replaced(let all): .replaced(all.map(view.kept))
        case .applied(let object): .applied(view.kept(of: object))
        case .deleted(let object): .deleted(view.kept(of: object))
        }
    }
}
