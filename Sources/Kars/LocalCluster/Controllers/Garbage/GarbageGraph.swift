import KarsCore
import Synchronization

/// Who owns whom, over everything that is served: a view of the informers' caches, with no state of its own but which there are.
final class GarbageGraph: Sendable {
    /// One object of any kind.
    struct Node: Hashable, Sendable, CustomStringConvertible {
        var resource: GroupVersionResource
        var key: ObjectKey

        var description: String { "\(resource.qualified) \(key)" }
    }

    private struct Entry {
        var description: ResourceDescription
        var informer: Informer
    }

    private static let byIdentity = "uid"
    private static let byOwner = "owner"

    private let entries = Mutex<[GroupVersionResource: Entry]>([:])

    /// Begins to follow what is served now and ends what is no more; `changed` is called for every change from then on.
    func follow(
        _ resources: [ResourceDescription], through informers: SharedInformers,
        changed: @escaping @Sendable (GroupVersionResource, ObjectCache.Change) -> Void
    ) {
        let known = entries.withLock { $0 }
        for gone in known.keys where !resources.contains(where: { $0.resource == gone }) {
            entries.withLock { _ = $0.removeValue(forKey: gone) }
            informers.forget(gone)
        }
        for description in resources where known[description.resource] == nil {
            let resource = description.resource
            let informer = informers.informer(
                resource, view: .metadata,
                indexes: [
                    Self.byIdentity: { $0.uid.map { [$0] } ?? [] },
                    Self.byOwner: { $0.ownerReferences.compactMap { $0["uid"]?.stringValue } },
                ])
            entries.withLock { $0[resource] = Entry(description: description, informer: informer) }
            informer.addHandler { changed(resource, $0) }
        }
    }

    /// Whether everything was seen at least once, so that what is not here is not there.
    var isWhole: Bool { entries.withLock { Array($0.values) }.allSatisfy { $0.informer.isSynced } }

    func description(of kind: GroupVersionKind) -> ResourceDescription? {
        entries.withLock { entries in
            let found = entries.values.filter {
                $0.description.kind == kind.kind && $0.description.resource.group == kind.groupVersion.group
            }
            return (found.first { $0.description.groupVersionKind == kind } ?? found.first)?.description
        }
    }

    func description(of resource: GroupVersionResource) -> ResourceDescription? {
        entries.withLock { $0[resource]?.description }
    }

    func dependents(of uid: String) -> [(node: Node, object: JSONObject)] { search(uid, in: Self.byOwner) }
    func object(_ uid: String) -> (node: Node, object: JSONObject)? { search(uid, in: Self.byIdentity).first }

    private func search(_ value: String, in index: String) -> [(node: Node, object: JSONObject)] {
        entries.withLock { Array($0) }.flatMap { resource, entry in
            entry.informer.objects(with: value, in: index).map { (Node(resource: resource, key: ObjectKey($0)), $0) }
        }
    }
}
