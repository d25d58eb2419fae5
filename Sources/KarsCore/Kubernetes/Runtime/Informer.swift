import Synchronization

/// A local copy of one collection that is kept true by a watch, shared by everybody who wants to know about it.
///
/// Handlers are called one after the other for each change, from the task that runs the informer: they put names into queues and do not
/// work themselves. They are level-triggered: several changes may come as one, and after a lost connection only the difference is told.
package final class Informer: Sendable {
    package typealias Handler = @Sendable (ObjectCache.Change) -> Void

    package let resource: GroupVersionResource
    /// Nil for all namespaces.
    package let namespace: String?
    private let api: any KubernetesAPI
    private let config: WatchMachine.Config
    private let time: any TimeSource
    private let log: Log
    private let state: Mutex<State>

    private struct State {
        var cache: ObjectCache
        var handlers: [Handler] = []
        var isSynced = false
        var waiting: [UInt64: Latch] = [:]
        var waitCount: UInt64 = 0
    }

    package init(
        _ resource: GroupVersionResource, namespace: String? = nil, of api: any KubernetesAPI,
        config: WatchMachine.Config = WatchMachine.Config(), indexes: [String: ObjectCache.Index] = [:], time: any TimeSource,
        log: Log = .silent
    ) {
        self.resource = resource
        self.namespace = namespace
        self.api = api
        self.config = config
        self.time = time
        self.log = log.with(["resource": .string(resource.qualified)])
        state = Mutex(State(cache: ObjectCache(indexes: indexes)))
    }

    // MARK: - Reading

    package subscript(key: ObjectKey) -> JSONObject? { state.withLock { $0.cache[key] } }
    package var all: [JSONObject] { state.withLock { $0.cache.all } }
    package var count: Int { state.withLock { $0.cache.count } }

    package func objects(with value: String, in index: String) -> [JSONObject] {
        state.withLock { $0.cache.objects(with: value, in: index) }
    }

    /// Whether the collection was seen whole at least once.
    package var isSynced: Bool { state.withLock { $0.isSynced } }

    package func waitUntilSynced() async throws(CancellationError) {
        let latch = Latch()
        let number = state.withLock { state -> UInt64? in
            if state.isSynced { return nil }
            state.waitCount += 1
            state.waiting[state.waitCount] = latch
            return state.waitCount
        }
        guard let number else { return }
        await withTaskCancellationHandler {
            await latch.wait()
        } onCancel: {
            latch.open()
        }
        state.withLock { _ = $0.waiting.removeValue(forKey: number) }
        if Task.isCancelled { throw CancellationError() }
    }

    /// Calls `handler` for everything that is there and then for every change. A change that happens meanwhile may come before the
    /// object's `added`, or twice; none is missed.
    package func addHandler(_ handler: @escaping Handler) {
        let present = state.withLock { state in
            state.handlers.append(handler)
            return state.cache.all
        }
        for object in present { handler(.added(object)) }
    }

    // MARK: - Running

    /// Follows the collection until the task is cancelled. Once.
    package func run() async {
        var machine = WatchMachine(config)
        var stream: (any WatchStream)?
        var step = machine.begin()
        while !Task.isCancelled {
            if let change = step.change { take(change) }
            do throws(APIStatus) {
                switch step.command {
                case .list(let options):
                    let page = try await api.send(.list(resource, namespace: namespace, options))
                    step = machine.listed(try ObjectList(reading: page))
                case .watch(let options):
                    stream = try await api.watch(.watch(resource, namespace: namespace, options))
                    step = machine.opened(at: time.now())
                case .read:
                    if let event = try await stream?.next() {
                        step = machine.received(event, at: time.now())
                    } else {
                        step = machine.ended(at: time.now())
                    }
                case .pause(let pause):
                    // Cancelled: the loop ends.
                    try? await time.sleep(for: pause)
                    step = machine.resumed()
                }
            } catch {
                if Task.isCancelled { break }
                step = machine.failed(error, at: time.now())
                log.debug("watch.failed", ["reason": .string(error.message), "failures": .int(machine.failures)])
            }
            if step.command != .read {
                stream?.cancel()
                stream = nil
            }
        }
        stream?.cancel()
    }

    private func take(_ change: WatchMachine.Change) {
        let (changes, handlers, waiting) = state.withLock { state in
            let changes = state.cache.apply(change)
            var waiting: [Latch] = []
            if case .replaced = change, !state.isSynced {
                state.isSynced = true
                waiting = Array(state.waiting.values)
            }
            return (changes, state.handlers, waiting)
        }
        for change in changes { for handler in handlers { handler(change) } }
        for latch in waiting { latch.open() }
    }
}

/// The informers of one process: one for each collection and selection, however many want it.
package final class SharedInformers: Sendable {
    private struct Key: Hashable {
        var resource: GroupVersionResource
        var namespace: String?
        var labelSelector: String?
        var fieldSelector: String?
    }

    package let api: any KubernetesAPI
    package let time: any TimeSource
    private let log: Log
    private let state = Mutex<[Key: Informer]>([:])

    package init(of api: any KubernetesAPI, time: any TimeSource, log: Log = .silent) {
        self.api = api
        self.time = time
        self.log = log
    }

    /// The same one for the same question. `indexes` count for whoever asks first; all are to be asked for before `run`.
    package func informer(
        _ resource: GroupVersionResource, namespace: String? = nil, config: WatchMachine.Config = WatchMachine.Config(),
        indexes: [String: ObjectCache.Index] = [:]
    ) -> Informer {
        let key = Key(
            resource: resource, namespace: namespace, labelSelector: config.labelSelector, fieldSelector: config.fieldSelector)
        return state.withLock { known in
            if let informer = known[key] { return informer }
            let informer = Informer(
                resource, namespace: namespace, of: api, config: config, indexes: indexes, time: time, log: log)
            known[key] = informer
            return informer
        }
    }

    /// Runs all informers until the task is cancelled.
    package func run() async {
        let informers = state.withLock { Array($0.values) }
        await withDiscardingTaskGroup { group in
            for informer in informers { group.addTask { await informer.run() } }
        }
    }

    package func waitUntilSynced() async throws(CancellationError) {
        for informer in state.withLock({ Array($0.values) }) { try await informer.waitUntilSynced() }
    }
}
