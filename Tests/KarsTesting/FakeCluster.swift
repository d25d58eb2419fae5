package import KarsCore
import Synchronization

/// An API server in memory, as far as controllers notice: versions, optimistic locking, merge and apply patches, finalizers, pages,
/// watches that replay, are cut and expire. No schemas, no field ownership: apply merges.
package final class FakeCluster: KubernetesAPI {
    /// What happens to a request instead of, or before, being answered.
    package enum Fault: Sendable {
        case refuse(APIStatus)
        /// It is carried out, and the answer is lost.
        case loseAnswer
    }

    fileprivate struct Change {
        var version: Int
        var resource: GroupVersionResource
        var event: WatchEvent
    }

    fileprivate struct State {
        var version = 100
        var collections: [GroupVersionResource: [ObjectKey: JSONObject]] = [:]
        var history: [Change] = []
        /// Versions up to here are forgotten.
        var compacted = 0
        var watches: [UInt64: FakeWatch] = [:]
        var count: UInt64 = 0
        var requests: [KubernetesRequest] = []
        var observers: [UInt64: @Sendable () -> Void] = [:]
    }

    private let state = Mutex(State())
    /// Asked before each request and watch; may wait, as a slow server does.
    private let fault: @Sendable (KubernetesRequest) async -> Fault?

    package init(fault: @escaping @Sendable (KubernetesRequest) async -> Fault? = { _ in nil }) { self.fault = fault }

    // MARK: - For tests

    package func object(_ resource: GroupVersionResource, _ key: ObjectKey) -> JSONObject? {
        state.withLock { $0.collections[resource]?[key] }
    }

    package func objects(_ resource: GroupVersionResource) -> [JSONObject] {
        state.withLock { $0.collections[resource, default: [:]].sorted { $0.key < $1.key }.map(\.value) }
    }

    /// Everything that was asked, refused or not.
    package var requests: [KubernetesRequest] { state.withLock { $0.requests } }
    package var openWatches: Int { state.withLock { $0.watches.count } }
    package var version: Int { state.withLock { $0.version } }

    /// Ends all watches, in order or with a failure.
    package func cutWatches(_ failure: APIStatus? = nil) {
        for watch in state.withLock({ Array($0.watches.values) }) { watch.end(failure) }
    }

    /// Forgets history: a watch from an earlier version is answered with 410.
    package func compact() {
        state.withLock { state in
            state.compacted = state.version
            state.history = []
        }
    }

    /// Waits until `condition` holds; looks again after every request and change.
    package func wait(until condition: @escaping @Sendable (FakeCluster) -> Bool) async {
        let (looks, look) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> UInt64 in
            state.count += 1
            state.observers[state.count] = { look.yield() }
            return state.count
        }
        defer { state.withLock { $0.observers[number] = nil } }
        look.yield()
        for await _ in looks where condition(self) { return }
    }

    private func notify() { for observer in state.withLock({ Array($0.observers.values) }) { observer() } }

    // MARK: - Requests

    package func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        state.withLock { $0.requests.append(request) }
        defer { notify() }
        let fault = await fault(request)
        if Task.isCancelled { throw .cancelled() }
        if case .refuse(let status) = fault { throw status }
        let answer = try state.withLock { state throws(APIStatus) in try state.answer(request) }
        if case .loseAnswer = fault { throw .unreachable("the answer was lost") }
        return answer
    }

    package func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream {
        state.withLock { $0.requests.append(request) }
        defer { notify() }
        if case .refuse(let status) = await fault(request) { throw status }
        guard case .object(let path) = request.target else { throw .notFound(.pods, name: "") }
        return try state.withLock { state throws(APIStatus) in
            let from = request["resourceVersion"].flatMap { Int($0) } ?? state.version
            guard from >= state.compacted else { throw .expired("too old resource version: \(from) (\(state.compacted))") }
            state.count += 1
            let number = state.count
            let watch = FakeWatch(path, Selector(request)) { [weak self] in
                self?.state.withLock { $0.watches[number] = nil }
                self?.notify()
            }
            for change in state.history where change.version > from && change.resource == path.resource {
                watch.offer(change.event)
            }
            state.watches[number] = watch
            return watch
        }
    }
}

/// `a=b,c` over labels (`c`: whatever its value is), `metadata.name=…` over fields: as much as controllers here use.
private struct Selector: Sendable {
    private let labels: [(key: String, value: String?)]
    private let name: String?

    init(_ request: KubernetesRequest) {
        labels = (request["labelSelector"] ?? "").split(separator: ",").map { part in
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            precondition(!part.contains("!") && !part.contains(" "), "the fake cluster knows equality and presence only: \(part)")
            return (String(sides[0]), sides.count == 2 ? String(sides[1]) : nil)
        }
        let fields = request["fieldSelector"]
        precondition(fields == nil || fields?.hasPrefix("metadata.name=") == true, "the fake cluster selects by name only")
        name = fields.map { String($0.dropFirst(14)) }
    }

    func matches(_ object: JSONObject) -> Bool {
        let present = object.labels
        return labels.allSatisfy { key, value in present[key].map { value == nil || $0 == value } ?? false }
            && (name ?? object.name) == object.name
    }
}

extension FakeCluster.State {
    mutating func answer(_ request: KubernetesRequest) throws(APIStatus) -> JSON {
        guard case .object(let path) = request.target else {
            throw APIStatus(code: 404, reason: .notFound, message: "no such path")
        }
        let key = ObjectKey(namespace: path.namespace, name: path.name ?? "")
        let old = collections[path.resource]?[key]
        switch request.verb {
        case .list: return list(path, request)
        case .create:
            guard let object = request.body?.objectValue else { throw .badRequest("expected an object") }
            return .object(try create(object, path))
        case .get: return .object(try existing(old, path))
        case .update:
            let old = try existing(old, path)
            guard let object = request.body?.objectValue else { throw .badRequest("expected an object") }
            return .object(try replace(old, with: object, path))
        case .patch(let kind):
            precondition(kind == .merge || kind == .apply, "the fake cluster merges and applies")
            guard let patch = request.body else { throw .badRequest("expected a patch") }
            if old == nil, kind == .apply, path.subresource == nil, let object = patch.objectValue {
                return .object(try create(object, path))
            }
            let old = try existing(old, path)
            guard let object = MergePatch.apply(patch, to: .object(old)).objectValue else {
                throw .badRequest("expected an object")
            }
            return .object(try replace(old, with: object, path))
        case .delete: return .object(try delete(try existing(old, path), path, request.body))
        case .deleteCollection, .watch, .connect: preconditionFailure("the fake cluster does not do \(request.verb)")
        }
    }

    private func existing(_ object: JSONObject?, _ path: ObjectPath) throws(APIStatus) -> JSONObject {
        guard let object else { throw .notFound(path.resource, name: path.name ?? "") }
        return object
    }

    private func list(_ path: ObjectPath, _ request: KubernetesRequest) -> JSON {
        let selector = Selector(request)
        var items = collections[path.resource, default: [:]].filter { key, object in
            (path.namespace == nil || key.namespace == path.namespace) && selector.matches(object)
        }.sorted { $0.key < $1.key }.map { JSON.object($0.value) }
        var metadata: JSONObject = ["resourceVersion": .string(String(version))]
        // The token is where to go on; nothing changes between the pages of a fake.
        let start = request["continue"].flatMap { Int($0) } ?? 0
        items.removeFirst(min(start, items.count))
        if let limit = request["limit"].flatMap({ Int($0) }), items.count > limit {
            items.removeLast(items.count - limit)
            metadata["continue"] = .string(String(start + limit))
        }
        return ["apiVersion": "v1", "kind": "FakeList", "metadata": .object(metadata), "items": .array(items)]
    }

    private mutating func create(_ object: JSONObject, _ path: ObjectPath) throws(APIStatus) -> JSONObject {
        var object = object
        var metadata = object.metadata
        metadata["namespace"] = path.namespace.map(JSON.string)
        let key = ObjectKey(namespace: path.namespace, name: object.name)
        if collections[path.resource]?[key] != nil { throw .alreadyExists(path.resource, name: object.name) }
        version += 1
        metadata["uid"] = .string("uid-\(version)")
        metadata["generation"] = 1
        object.metadata = metadata
        return store(object, path, key) { .added($0) }
    }

    private mutating func replace(_ old: JSONObject, with new: JSONObject, _ path: ObjectPath) throws(APIStatus) -> JSONObject {
        if let given = new.resourceVersion, given != old.resourceVersion { throw .conflict(path.resource, name: old.name) }
        if let given = new.uid, given != old.uid { throw .conflict(path.resource, name: old.name, "the UID differs") }
        var object = new
        if path.subresource == "status" {
            object = old
            object["status"] = new["status"]
        } else {
            // What a server keeps whatever it is given.
            for name in ["uid", "deletionTimestamp", "generation"] { object.metadata[name] = old.metadata[name] }
            if let status = old["status"] { object["status"] = status }
            let added = object.finalizers.filter { !old.finalizers.contains($0) }
            if old.isBeingDeleted, !added.isEmpty {
                throw APIStatus(code: 422, reason: .invalid, message: "no new finalizers can be added: \(added)")
            }
        }
        object.metadata["resourceVersion"] = old.metadata["resourceVersion"]
        if object == old { return old }
        if object["spec"] != old["spec"] { object.metadata["generation"] = .int((old.metadata["generation"]?.intValue ?? 0) + 1) }
        version += 1
        let key = ObjectKey(old)
        if object.isBeingDeleted, object.finalizers.isEmpty { return remove(object, path, key) }
        return store(object, path, key) { .modified($0) }
    }

    private mutating func delete(_ old: JSONObject, _ path: ObjectPath, _ options: JSON?) throws(APIStatus) -> JSONObject {
        if let uid = options?["preconditions"]?["uid"]?.stringValue, uid != old.uid {
            throw .conflict(path.resource, name: old.name, "the UID differs")
        }
        if old.isBeingDeleted, !old.finalizers.isEmpty { return old }
        version += 1
        guard !old.finalizers.isEmpty else { return remove(old, path, ObjectKey(old)) }
        var object = old
        object.metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
        return store(object, path, ObjectKey(old)) { .modified($0) }
    }

    private mutating func store(
        _ object: JSONObject, _ path: ObjectPath, _ key: ObjectKey, _ event: (JSONObject) -> WatchEvent
    ) -> JSONObject {
        var object = object
        object.metadata["resourceVersion"] = .string(String(version))
        collections[path.resource, default: [:]][key] = object
        tell(event(object), path.resource)
        return object
    }

    private mutating func remove(_ object: JSONObject, _ path: ObjectPath, _ key: ObjectKey) -> JSONObject {
        var object = object
        object.metadata["resourceVersion"] = .string(String(version))
        collections[path.resource]?[key] = nil
        tell(.deleted(object), path.resource)
        return object
    }

    private mutating func tell(_ event: WatchEvent, _ resource: GroupVersionResource) {
        history.append(FakeCluster.Change(version: version, resource: resource, event: event))
        for watch in watches.values where watch.path.resource == resource { watch.offer(event) }
    }
}

extension JSONObject {
    fileprivate var finalizers: [String] { metadata["finalizers"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
}

/// One open watch of a fake cluster.
private final class FakeWatch: WatchStream {
    private struct State {
        var events: [WatchEvent] = []
        var end: Result<Void, APIStatus>?
        var reader: UnsafeContinuation<Void, Never>?
    }

    let path: ObjectPath
    private let selector: Selector
    private let onEnd: @Sendable () -> Void
    private let state = Mutex(State())

    init(_ path: ObjectPath, _ selector: Selector, onEnd: @escaping @Sendable () -> Void) {
        self.path = path
        self.selector = selector
        self.onEnd = onEnd
    }

    func offer(_ event: WatchEvent) {
        switch event {
        case .added(let object), .modified(let object), .deleted(let object):
            guard path.namespace == nil || object.namespace == path.namespace, selector.matches(object) else { return }
        case .bookmark, .failed: break
        }
        state.withLock { state in
            state.events.append(event)
            return state.reader.take()
        }?.resume()
    }

    func end(_ failure: APIStatus?) {
        state.withLock { state in
            if state.end == nil { state.end = failure.map { .failure($0) } ?? .success(()) }
            return state.reader.take()
        }?.resume()
        onEnd()
    }

    func cancel() { end(.cancelled()) }

    func next() async throws(APIStatus) -> WatchEvent? {
        while true {
            let step = state.withLock { state -> Result<WatchEvent?, APIStatus>? in
                if !state.events.isEmpty { return .success(state.events.removeFirst()) }
                return state.end.map { $0.map { nil } }
            }
            if let step { return try step.get() }
            await withTaskCancellationHandler {
                await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                    let mayWait = state.withLock { state -> Bool in
                        guard state.events.isEmpty, state.end == nil else { return false }
                        state.reader = continuation
                        return true
                    }
                    if !mayWait { continuation.resume() }
                }
            } onCancel: {
                cancel()
            }
        }
    }
}
