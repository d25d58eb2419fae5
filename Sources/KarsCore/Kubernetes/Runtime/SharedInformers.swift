import Synchronization

/// The informers of one process: one for each collection, selection and view, however many want it.
package final class SharedInformers: Sendable {
    private struct Key: Hashable {
        var resource: GroupVersionResource
        var namespace: String?
        var view: ObjectView
        var labelSelector: String?
        var fieldSelector: String?
    }

    private struct State {
        var informers: [Key: Informer] = [:]
        /// Those that `run` has not begun with.
        var waiting: [Informer] = []
        var runner: AsyncStream<Void>.Continuation?
    }

    package let api: any KubernetesAPI
    package let time: any TimeSource
    private let log: Log
    private let state = Mutex(State())

    package init(of api: any KubernetesAPI, time: any TimeSource, log: Log = .silent) {
        self.api = api
        self.time = time
        self.log = log
    }

    /// The same one for the same question; one that is asked for while `run` goes on is run at once. Of `config` the selectors
    /// make the question, the rest counts for whoever asks first.
    package func informer(
        _ resource: GroupVersionResource, namespace: String? = nil, view: ObjectView = .whole,
        config: WatchMachine.Config = WatchMachine.Config(), indexes: [String: ObjectCache.Index] = [:]
    ) -> Informer {
        let key = Key(
            resource: resource, namespace: namespace, view: view, labelSelector: config.labelSelector,
            fieldSelector: config.fieldSelector)
        let (informer, runner) = state.withLock { state in
            if let informer = state.informers[key] { return (informer, AsyncStream<Void>.Continuation?.none) }
            let informer = Informer(
                resource, namespace: namespace, view: view, of: api, config: config, time: time, log: log)
            state.informers[key] = informer
            state.waiting.append(informer)
            return (informer, state.runner)
        }
        for (name, index) in indexes { informer.add(index, named: name) }
        runner?.yield()
        return informer
    }

    /// Ends the informers of a collection that is served no more.
    package func forget(_ resource: GroupVersionResource) {
        let gone = state.withLock { state in
            let gone = state.informers.filter { $0.key.resource == resource }
            for key in gone.keys { state.informers[key] = nil }
            state.waiting.removeAll { $0.resource == resource }
            return gone.values
        }
        for informer in gone { informer.stop() }
    }

    /// Runs all informers until the task is cancelled, those that are asked for later too.
    package func run() async {
        let (signals, signal) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.runner = signal }
        signal.yield()
        await withDiscardingTaskGroup { group in
            for await _ in signals {
                for informer in state.withLock({ state in
                    defer { state.waiting = [] }
                    return state.waiting
                }) { group.addTask { await informer.run() } }
            }
            group.cancelAll()
        }
    }

    package func waitUntilSynced() async throws(CancellationError) {
        for informer in state.withLock({ Array($0.informers.values) }) { try await informer.waitUntilSynced() }
    }
}
