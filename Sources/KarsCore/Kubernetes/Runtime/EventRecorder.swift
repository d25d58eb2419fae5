import Synchronization

/// Writes Events in the background. Telling one never waits and never fails: Events are for people who look, and nothing may depend
/// on them.
package final class EventRecorder: Sendable {
    /// Notes that wait to be sent; further ones are dropped and counted.
    private static let maxWaiting = 1000
    private static let maxAttempts = 5

    private let api: any KubernetesAPI
    private let resource: GroupVersionResource
    private let time: any TimeSource
    private let options: WriteOptions
    private let log: Log
    private let backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(10))
    private let state: Mutex<State>

    private struct State {
        var aggregator: EventAggregator
        var waiting: ArraySlice<EventAggregator.Decision> = []
        var sender: UnsafeContinuation<Void, Never>?
        var dropped = 0
    }

    /// `controller` with a domain, for instance `kars.azure.com/sandbox`; `instance` is the pod. The fields of the Events belong to
    /// `fieldManager`, or to whom the client's `User-Agent` names.
    package init(
        through api: any KubernetesAPI, controller: String, instance: String, fieldManager: String? = nil,
        config: EventAggregator.Config = EventAggregator.Config(), time: any TimeSource, log: Log = .silent
    ) {
        self.api = api
        resource =
            switch config.form {
            case .series: .events
            case .counted: .coreEvents
            }
        options = WriteOptions(fieldManager: fieldManager)
        self.time = time
        self.log = log
        state = Mutex(State(aggregator: EventAggregator(controller: controller, instance: instance, config: config)))
    }

    package func tell(_ note: EventNote) {
        let (now, utc) = (time.now(), time.utc())
        let sender = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            let decision = state.aggregator.take(note, at: now, utc: utc)
            guard decision != .nothing else { return nil }
            guard state.waiting.count < Self.maxWaiting else {
                state.dropped += 1
                return nil
            }
            state.waiting.append(decision)
            return state.sender.take()
        }
        sender?.resume()
    }

    /// Notes that were dropped: because the server could not be told in time, or because an object had too many.
    package var dropped: Int { state.withLock { $0.dropped + $0.aggregator.suppressed } }

    /// Sends until the task is cancelled. Once.
    package func run() async {
        while !Task.isCancelled {
            if let decision = state.withLock({ $0.waiting.popFirst() }) { await send(decision) } else { await waitForNote() }
        }
    }

    private func waitForNote() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let mayWait = state.withLock { state -> Bool in
                    guard state.waiting.isEmpty, !Task.isCancelled else { return false }
                    state.sender = continuation
                    return true
                }
                if !mayWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.sender.take() }?.resume()
        }
    }

    private func send(_ decision: EventAggregator.Decision) async {
        let request: KubernetesRequest
        switch decision {
        case .nothing: return
        case .create(let event): request = .create(resource, event, options)
        case .count(let namespace, let name, let patch):
            request = .patch(.merge, resource, namespace: namespace, name: name, patch, options)
        }
        var random = SecureRandom()
        for attempt in 1...Self.maxAttempts {
            do throws(APIStatus) {
                _ = try await api.send(request)
                return
            } catch {
                if case .count(let namespace, let name, _) = decision, error.reason == .notFound {
                    return state.withLock { $0.aggregator.forget(namespace: namespace, name: name) }
                }
                guard error.isTransient, attempt < Self.maxAttempts else {
                    log.debug("event.dropped", ["reason": .string(error.message)])
                    return state.withLock { $0.dropped += 1 }
                }
                let pause = max(backoff.pause(after: attempt, using: &random), error.retryAfter ?? .zero)
                guard (try? await time.sleep(for: pause)) != nil else { return }
            }
        }
    }
}
