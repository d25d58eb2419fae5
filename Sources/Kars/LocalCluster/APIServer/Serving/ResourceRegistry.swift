import KarsCore
import Synchronization

/// What is served at one moment. Immutable, so that a request sees one state of it.
final class ServedSet: Sendable {
    /// Built-in resources first, then custom ones by name of their definition.
    let all: [ServedResource]
    private let byName: [GroupVersionResource: ServedResource]
    private let groupVersions: Set<GroupVersion>
    private let builtInGroupVersions: Set<GroupVersion>

    init(builtIn: [ServedResource], custom: [ServedResource]) {
        all = builtIn + custom
        byName = Dictionary(all.map { ($0.description.resource, $0) }) { first, _ in first }
        groupVersions = Set(all.map(\.description.resource.groupVersion))
        builtInGroupVersions = Set(builtIn.map(\.description.resource.groupVersion))
    }

    subscript(name: GroupVersionResource) -> ServedResource? { byName[name] }

    func serves(_ groupVersion: GroupVersion) -> Bool { groupVersions.contains(groupVersion) }

    /// Whether unknown resources of the version get a `Status`, as in built-in groups, or plain text.
    func isBuiltIn(_ groupVersion: GroupVersion) -> Bool { builtInGroupVersions.contains(groupVersion) }

    /// The resource of any version that keeps its objects in `collection`.
    func resource(keeping collection: CollectionName) -> ServedResource? { all.first { $0.collection == collection } }
}

/// What is served, and what custom resource definitions add to it while the server runs.
final class ResourceRegistry: Sendable {
    private struct State {
        var custom: [String: [ServedResource]] = [:]
        var current: ServedSet
    }

    private let builtIn: [ServedResource]
    private let state: Mutex<State>

    init(builtIn: [ServedResource]) {
        self.builtIn = builtIn
        state = Mutex(State(current: ServedSet(builtIn: builtIn, custom: [])))
    }

    var current: ServedSet { state.withLock { $0.current } }

    /// Replaces what the definition called `definition` serves; an empty list ends it.
    func replace(_ definition: String, with resources: [ServedResource]) {
        state.withLock { state in
            state.custom[definition] = resources.isEmpty ? nil : resources
            let custom = state.custom.sorted { $0.key < $1.key }.flatMap(\.value)
            state.current = ServedSet(builtIn: builtIn, custom: custom)
        }
    }
}

extension ServedResource {
    /// Where the objects are kept.
    var collection: CollectionName {
        if let storage { return CollectionName(group: storage.group, resource: storage.resource) }
        return CollectionName(group: description.resource.group, resource: description.resource.resource)
    }

    func key(namespace: String?, name: String) -> StoreKey {
        StoreKey(collection: collection, namespace: namespace ?? "", name: name)
    }

    /// The object as this version shows it.
    func served(_ stored: JSONObject) -> JSONObject {
        if let storage { return storage.serve(stored) }
        let apiVersion = JSON.string(description.resource.groupVersion.description)
        guard stored["apiVersion"] != apiVersion else { return stored }
        var object = stored
        object["apiVersion"] = apiVersion
        return object
    }

    func stored(_ served: JSONObject) -> JSONObject { storage?.store(served) ?? served }

    /// Whether `stored` is byte for byte what is served.
    func servesAsStored(_ stored: StoredObject) -> Bool {
        storage == nil && stored.json["apiVersion"]?.stringValue == description.resource.groupVersion.description
    }

    /// How etcd's keys look, which a few messages quote.
    func registryKey(_ key: StoreKey) -> String {
        let group = isCustom ? "\(description.resource.group)/" : ""
        let namespace = key.namespace.isEmpty ? "" : "\(key.namespace)/"
        return "/registry/\(group)\(description.resource.resource)/\(namespace)\(key.name)"
    }

    /// Kinds whose deletion answers with the object and not with a `Status`.
    var returnsDeletedObject: Bool {
        description.resource.group.isEmpty
            && ["pods", "services", "serviceaccounts", "resourcequotas"].contains(description.resource.resource)
    }

    var isNamespaces: Bool { description.resource.group.isEmpty && description.resource.resource == "namespaces" }
    var isPods: Bool { description.resource.group.isEmpty && description.resource.resource == "pods" }
    var isDefinitions: Bool {
        description.resource.group == "apiextensions.k8s.io" && description.resource.resource == "customresourcedefinitions"
    }
}

/// Reads objects for admission and authorization.
struct StoreReader: ObjectReader {
    let store: ObjectStore

    func get(_ resource: GroupVersionResource, namespace: String?, name: String) -> JSONObject? {
        store.get(StoreKey(collection: collection(resource), namespace: namespace ?? "", name: name))?.json
    }

    func list(_ resource: GroupVersionResource, namespace: String?) -> [JSONObject] {
        store.list(collection(resource), namespace: namespace).objects.map(\.json)
    }

    private func collection(_ resource: GroupVersionResource) -> CollectionName {
        CollectionName(group: resource.group, resource: resource.resource)
    }
}
