import KarsCore
import Synchronization

/// Bounds of the store.
struct StoreConfig: Sendable {
    /// Where the state is; made with mode 0700 when missing.
    var directory: String
    /// Of the SQLite file; reaching it is answered like a full disk.
    var maxFileBytes = 4 << 30
    /// Changes that wait for the disk at one time; one more is refused.
    var maxWaitingChanges = 4096
    /// Changes that are flushed together.
    var maxGroupedChanges = 512
    /// How long a change can be watched from; Kubernetes keeps etcd's for five minutes.
    var historyAge = Duration.seconds(300)
    /// Encoded bytes of the objects in the history.
    var historyBytes = 32 << 20
    /// Changes in the history.
    var historyEvents = 50_000

    init(directory: String) { self.directory = directory }
}

/// Objects with revisions: durable in SQLite, held in memory for reads, with a bounded history for watches.
///
/// Every change gets the next number of one counter, and is visible only once it is flushed, in the order of the numbers.
/// One writer takes all waiting changes at a time, checks each against what its predecessors leave, and flushes them as one
/// transaction: many clients share the cost of a flush. The store knows objects as JSON with a key; what they mean is the
/// API server's business.
final class ObjectStore: Sendable {
    let config: StoreConfig
    private let lock: StoreLock
    private let file: StoreFileOwner
    /// One thread: SQLite is called from here only, after opening.
    private let writer: BlockingQueue
    private let state: Mutex<State>

    /// What the writer has to do for one caller.
    fileprivate struct Waiting {
        let mutations: [Mutation]
        let continuation: UnsafeContinuation<Result<[StoredObject], StoreError>, Never>
    }

    struct State {
        var revision: Int
        var collections: [CollectionName: ObjectCollection]
        /// Which collection holds the next oldest event, so that the history is forgotten in order.
        fileprivate var forgetNext = ForgettingOrder()
        fileprivate var waiting: [Waiting] = []
        fileprivate var isWriting = false
        fileprivate var isClosed = false
        /// Set by a failure after which the file cannot be trusted to take more.
        fileprivate var broken: String?
        var watches: [CollectionName: [Int: UnsafeContinuation<Void, Never>]] = [:]
        var nextWatch = 0
        /// The first revision that this process knows of.
        let start: Int
    }

    /// Opens the state in `config.directory`, or begins an empty one.
    init(_ config: StoreConfig) throws(StoreOpenError) {
        self.config = config
        do throws(FileError) { try Files.createDirectories(config.directory, mode: 0o700) } catch {
            throw .failed("\(error)")
        }
        lock = try StoreLock(directory: config.directory)
        let file = try StoreFile(path: Self.path(in: config.directory), maxBytes: config.maxFileBytes)
        let (revision, objects) = try file.load()
        var collections: [CollectionName: ObjectCollection] = [:]
        for (name, members) in Dictionary(grouping: objects, by: \.key.collection) {
            var collection = ObjectCollection(oldestRevision: revision)
            collection.load(members)
            collections[name] = collection
        }
        self.file = StoreFileOwner(file)
        writer = BlockingQueue(maxThreads: 1, maxWaiting: 16)
        state = Mutex(State(revision: revision, collections: collections, start: revision))
    }

    static func path(in directory: String) -> String { "\(directory)/cluster.db" }

    /// Waits for the changes under way and closes the file. Later changes are refused; reads go on.
    func close() async {
        let continuations = state.withLock { state in
            state.isClosed = true
            let continuations = state.waiting
            state.waiting = []
            return continuations
        }
        for waiting in continuations { waiting.continuation.resume(returning: .failure(.closed)) }
        _ = try? await writer.run { [file] in file.close() }
        // Requests that are still to end hold this store; the directory is free for the next one all the same.
        lock.release()
    }

    // MARK: - Reading

    /// The newest revision that is visible.
    var revision: Int { state.withLock { $0.revision } }

    /// False once the file has failed or is closed.
    var isWritable: Bool { state.withLock { $0.broken == nil && !$0.isClosed } }

    func get(_ key: StoreKey) -> StoredObject? {
        state.withLock { $0.collections[key.collection]?.object(namespace: key.namespace, name: key.name) }
    }

    /// The objects of a collection, or of its part in `namespace`, and the revision at which they are so.
    func list(_ collection: CollectionName, namespace: String?) -> (objects: ArraySlice<StoredObject>, revision: Int) {
        state.withLock { state in (state.collections[collection]?.current(in: namespace) ?? [], state.revision) }
    }

    /// As they were at `revision`; nil when that is forgotten.
    func list(_ collection: CollectionName, namespace: String?, at revision: Int) -> ArraySlice<StoredObject>? {
        state.withLock { state in
            let found = state.collections[collection]
            guard let found else { return revision >= state.start ? [] : nil }
            return found.objects(in: namespace, at: revision)
        }
    }

    /// Says that `collection` begins to be served: it cannot be watched from earlier.
    func begin(_ collection: CollectionName) {
        state.withLock { state in
            let revision = state.revision
            state.collections[collection, default: ObjectCollection(oldestRevision: revision)].begin(at: revision)
        }
    }

    func withState<Value: Sendable>(_ body: (inout State) -> Value) -> Value { state.withLock { body(&$0) } }

    // MARK: - Writing

    /// Makes all of `mutations` or none; returns the new states in their order (the last one for a deletion) once they are
    /// durable and visible.
    func commit(_ mutations: [Mutation]) async throws(StoreError) -> [StoredObject] {
        let result: Result<[StoredObject], StoreError> = await withUnsafeContinuation { continuation in
            let action = state.withLock { state -> Enqueued in
                if let broken = state.broken { return .refused(.unwritable(broken)) }
                if state.isClosed { return .refused(.closed) }
                guard state.waiting.count < config.maxWaitingChanges else {
                    return .refused(.busy(limit: config.maxWaitingChanges))
                }
                state.waiting.append(Waiting(mutations: mutations, continuation: continuation))
                defer { state.isWriting = true }
                return state.isWriting ? .accepted : .acceptedFirst
            }
            switch action {
            case .accepted: break
            case .refused(let error): continuation.resume(returning: .failure(error))
            case .acceptedFirst: startWriter()
            }
        }
        return try result.get()
    }

    private enum Enqueued { case accepted, acceptedFirst, refused(StoreError) }

    private func startWriter() {
        do throws(BlockingQueue.Full) { try writer.start { self.writeAll() } } catch {
            // No thread to be had. Whoever waits is told; the next change tries again.
            let waiting = state.withLock { state in
                state.isWriting = false
                defer { state.waiting = [] }
                return state.waiting
            }
            for one in waiting { one.continuation.resume(returning: .failure(.busy(limit: 0))) }
        }
    }

    /// On the writer's thread: group after group until nobody waits.
    private func writeAll() {
        while let group = nextGroup() { write(group) }
    }

    private func nextGroup() -> (waiting: [Waiting], revision: Int, current: [StoreKey: StoredObject])? {
        state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.isWriting = false
                return nil
            }
            let count = min(state.waiting.count, config.maxGroupedChanges)
            let group = Array(state.waiting[..<count])
            state.waiting.removeFirst(count)
            var current: [StoreKey: StoredObject] = [:]
            for key in group.lazy.flatMap({ $0.mutations.lazy.map(\.key) }) {
                current[key] = state.collections[key.collection]?.object(namespace: key.namespace, name: key.name)
            }
            return (group, state.revision, current)
        }
    }

    private func write(_ group: (waiting: [Waiting], revision: Int, current: [StoreKey: StoredObject])) {
        var draft = ChangeDraft(revision: group.revision, current: group.current, time: .now())
        var results: [Result<[StoredObject], StoreError>] = []
        for waiting in group.waiting { results.append(draft.add(waiting.mutations)) }
        if !draft.events.isEmpty {
            do throws(SQLiteDatabase.Failure) {
                try file.write(draft.events, revision: draft.revision)
                publish(draft)
            } catch {
                let failure: StoreError = error.isFull ? .full(error.description) : .unwritable(error.description)
                if !error.isFull { state.withLock { $0.broken = error.description } }
                results = results.map { result in
                    if case .success = result { .failure(failure) } else { result }
                }
            }
        }
        for (waiting, result) in zip(group.waiting, results) { waiting.continuation.resume(returning: result) }
    }

    private func publish(_ draft: ChangeDraft) {
        let waking = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            var touched: Set<CollectionName> = []
            for event in draft.events {
                let name = event.object.key.collection
                touched.insert(name)
                let start = state.start
                state.collections[name, default: ObjectCollection(oldestRevision: start)].apply(event)
                state.forgetNext.add(event)
            }
            state.revision = draft.revision
            while let name = state.forgetNext.next(config, now: .now()) { state.collections[name]?.forgetOldestEvent() }
            return touched.flatMap { name in (state.watches.removeValue(forKey: name) ?? [:]).values }
        }
        for continuation in waking { continuation.resume() }
    }

    // MARK: - Saving

    /// A consistent copy of everything durable in a new file at `path`; writers wait meanwhile.
    func backup(to path: String) async throws(StoreOpenError) {
        guard !Files.exists(path) else { throw .notEmpty(path: path) }
        let result: Result<Bool, SQLiteDatabase.Failure>
        do throws(BlockingQueue.Full) {
            result = try await writer.run { [file] in
                do throws(SQLiteDatabase.Failure) { return .success(try file.copy(to: path)) } catch { return .failure(error) }
            }
        } catch {
            throw .failed("no thread for a backup")
        }
        switch result {
        case .success(true): break
        case .success(false): throw .failed("the store is closed")
        case .failure(let failure): throw StoreFile.translated(failure, path)
        }
    }
}

/// Hands the file to the writer's thread.
///
/// `@unchecked Sendable`: after `init` of the store it is used in calls of its one-thread queue only.
private final class StoreFileOwner: @unchecked Sendable {
    /// Nil once closed; the writer has nothing to write then.
    private var file: StoreFile?

    init(_ file: StoreFile) { self.file = file }

    func write(_ events: [StoreEvent], revision: Int) throws(SQLiteDatabase.Failure) {
        guard let file else { preconditionFailure("written after the end") }
        try file.write(events, revision: revision)
    }

    /// False when it is closed.
    func copy(to path: String) throws(SQLiteDatabase.Failure) -> Bool {
        guard let file else { return false }
        try file.copy(to: path)
        return true
    }

    /// Letting go of the statements and the connection is what closes the file.
    func close() { file = nil }
}
