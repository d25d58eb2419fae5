import KarsCore

/// Deletes what has lost its owners, and lets owners go once those that they own are gone or free.
struct GarbageCollector: Sendable {
    private enum Task: Hashable, CustomStringConvertible {
        case refresh

        var description: String { "discovery" }
    }

    private let graph = GarbageGraph()
    private let loop: RoundLoop<GarbageGraph.Node>
    private let discovery: RoundLoop<Task>

    init(_ informers: SharedInformers, log: Log) {
        let log = log.with(["controller": "garbage"])
        let (graph, api) = (graph, informers.api)
        let rounds = GarbageRounds(graph: graph, api: api)
        let loop = RoundLoop<GarbageGraph.Node>(time: informers.time, log: log) { (node) async throws(APIStatus) in
            try await rounds.round(node)
        }
        self.loop = loop
        let discovery = RoundLoop<Task>(workers: 1, time: informers.time, log: log) { (_) async throws(APIStatus) in
            let served = try await api.discover().resources.filter(Self.isFollowed)
            graph.follow(served, through: informers) { Self.take($1, of: $0, graph, loop) }
            return nil
        }
        self.discovery = discovery
        discovery.add(.refresh)
        informers.informer(.customResourceDefinitions, view: .metadata).addHandler { _ in discovery.add(.refresh) }
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await loop.run() }
            group.addTask { await discovery.run() }
        }
    }

    /// Events own nothing and nobody owns them.
    private static func isFollowed(_ resource: ResourceDescription) -> Bool {
        [.delete, .list, .watch].allSatisfy(resource.verbs.contains) && resource.kind != "Event"
    }

    /// Whoever a change may concern: the object, those that it owns, those that own it.
    private static func take(
        _ change: ObjectCache.Change, of resource: GroupVersionResource, _ graph: GarbageGraph,
        _ loop: RoundLoop<GarbageGraph.Node>
    ) {
        let object = change.object
        var ownersToFree: [JSON] = []
        switch change {
        case .deleted:
            ownersToFree = object.ownerReferences
            addDependents(of: object, graph, loop)
        case .updated(let old, _):
            let kept = Set(
                object.ownerReferences.filter { $0["blockOwnerDeletion"] == true }.compactMap { $0["uid"]?.stringValue })
            ownersToFree = old.ownerReferences.filter { !kept.contains($0["uid"]?.stringValue ?? "") }
            fallthrough
        case .added:
            if GarbagePlan.isWaiting(object) { addDependents(of: object, graph, loop) }
            if !object.ownerReferences.isEmpty || GarbagePlan.isWaiting(object) || GarbagePlan.isOrphaning(object) {
                loop.add(GarbageGraph.Node(resource: resource, key: change.key))
            }
        }
        for reference in ownersToFree {
            guard let uid = reference["uid"]?.stringValue, let owner = graph.object(uid) else { continue }
            if GarbagePlan.isWaiting(owner.object) { loop.add(owner.node) }
        }
    }

    private static func addDependents(of object: JSONObject, _ graph: GarbageGraph, _ loop: RoundLoop<GarbageGraph.Node>) {
        guard let uid = object.uid else { return }
        for dependent in graph.dependents(of: uid) { loop.add(dependent.node) }
    }
}

/// What one look at an object is. The caches tell who may be concerned; before anything is deleted the server is asked.
private struct GarbageRounds: Sendable {
    /// Until everything that is served has been seen once.
    private static let pauseUntilWhole = Duration.milliseconds(200)

    let graph: GarbageGraph
    let api: any KubernetesAPI

    func round(_ node: GarbageGraph.Node) async throws(APIStatus) -> Duration? {
        let request = KubernetesRequest.get(node.resource, namespace: node.key.namespace, name: node.key.name)
        guard let object = try await api.objectIfPresent(request), let uid = object.uid else { return nil }
        if object.isBeingDeleted {
            guard GarbagePlan.isWaiting(object) || GarbagePlan.isOrphaning(object) else { return nil }
            guard graph.isWhole else { return Self.pauseUntilWhole }
            if GarbagePlan.isOrphaning(object) { try await orphanDependents(of: uid) }
            try await carryOut(GarbagePlan.afterDeletion(of: object, in: node.resource, dependents: dependents(of: uid)))
            return nil
        }
        var owners: [GarbagePlan.Owner] = []
        for reference in object.ownerReferences { owners.append(try await owner(reference, of: object, node)) }
        guard owners.contains(where: { $0 == .absent || $0 == .waiting }) else { return nil }
        try await carryOut(
            GarbagePlan.afterLoss(of: owners, by: object, in: node.resource, dependents: dependents(of: uid)))
        return nil
    }

    private func carryOut(_ plan: GarbagePlan) async throws(APIStatus) {
        guard case .change(let requests) = plan else { return }
        for request in requests {
            do throws(APIStatus) { _ = try await api.send(request) } catch {
                guard error.reason == .notFound else { throw error }
                return
            }
        }
    }

    private func dependents(of uid: String) -> [GarbagePlan.Dependent] {
        graph.dependents(of: uid).map { _, object in
            let reference = object.ownerReferences.first { $0["uid"]?.stringValue == uid }
            return GarbagePlan.Dependent(
                isBlocking: reference?["blockOwnerDeletion"] == true, isWaiting: GarbagePlan.isWaiting(object))
        }
    }

    private func orphanDependents(of uid: String) async throws(APIStatus) {
        for (node, _) in graph.dependents(of: uid) {
            let request = KubernetesRequest.get(node.resource, namespace: node.key.namespace, name: node.key.name)
            guard let object = try await api.objectIfPresent(request),
                let change = GarbagePlan.orphaning(object, of: uid, in: node.resource)
            else { continue }
            try await carryOut(.change([change]))
        }
    }

    private func owner(
        _ reference: JSON, of object: JSONObject, _ node: GarbageGraph.Node
    ) async throws(APIStatus) -> GarbagePlan.Owner {
        guard let uid = reference["uid"]?.stringValue, let name = reference["name"]?.stringValue,
            let version = reference["apiVersion"]?.stringValue.flatMap(GroupVersion.init(apiVersion:)),
            let kind = reference["kind"]?.stringValue,
            let description = graph.description(of: GroupVersionKind(version, kind: kind)),
            // An owner in a namespace cannot own what is in none.
            !description.isNamespaced || object.namespace != nil
        else { return .unknown }
        let key = ObjectKey(namespace: description.isNamespaced ? object.namespace : nil, name: name)
        if let (found, owner) = graph.object(uid), found.resource == description.resource, found.key == key {
            return Self.state(of: owner, reference)
        }
        let live = try await api.objectIfPresent(.get(description.resource, namespace: key.namespace, name: key.name))
        guard let live, live.uid == uid else { return .absent }
        return Self.state(of: live, reference)
    }

    private static func state(of owner: JSONObject, _ reference: JSON) -> GarbagePlan.Owner {
        GarbagePlan.isWaiting(owner) && reference["blockOwnerDeletion"] == true ? .waiting : .present
    }
}
