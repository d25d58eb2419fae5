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
    package let view: ObjectView
    private let api: any KubernetesAPI
    private let config: WatchMachine.Config
    private let ending = Latch()
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
        _ resource: GroupVersionResource, namespace: String? = nil, view: ObjectView = .whole, of api: any KubernetesAPI,
        config: WatchMachine.Config = WatchMachine.Config(), indexes: [String: ObjectCache.Index] = [:], time: any TimeSource,
        log: Log = .silent
    ) {
        self.resource = resource
        self.namespace = namespace
        self.view = view
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

    /// Finds objects by `index` too.
    package func add(_ index: @escaping ObjectCache.Index, named name: String) {
        state.withLock { $0.cache.add(index, named: name) }
    }

    // MARK: - Running

    /// Follows the collection until the task is cancelled or `stop` is called. Once.
    package func run() async {
        await withTaskGroup { group in
            group.addTask { await self.follow() }
            group.addTask {
                await withTaskCancellationHandler {
                    await self.ending.wait()
                } onCancel: {
                    self.ending.open()
                }
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// Ends `run`: the collection is served no more. What is known of it stays as it was.
    package func stop() { ending.open() }

    private func follow() async {
        var machine = WatchMachine(config)
        var stream: (any WatchStream)?
        var step = machine.begin()
        while !Task.isCancelled {
            if let change = step.change { take(change.kept(by: view)) }
            do throws(APIStatus) {
                switch step.command {
                case .list(let options):
                    var request = KubernetesRequest.list(resource, namespace: namespace, options)
                    if let accept = view.listAccept { request.accept = accept }
                    let page = try await api.send(request)
                    step = machine.listed(try ObjectList(reading: page))
                case .watch(let options):
                    var request = KubernetesRequest.watch(resource, namespace: namespace, options)
                    if let accept = view.watchAccept { request.accept = accept }
                    stream = try await api.watch(request)
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
