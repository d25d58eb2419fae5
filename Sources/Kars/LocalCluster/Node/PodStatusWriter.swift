import KarsCore
import Synchronization

/// Writes a pod's statuses to its object, one after the other, so that whoever watches sees the states that it passed through; and
/// removes the object in the end. Conditions that others write there are left as they are.
final class PodStatusWriter: Sendable {
    struct Snapshot: Sendable {
        var machine: PodMachine
        var address: String?
        var hostAddress: String
        var startTime: UTCTime
    }

    private enum Item: Sendable {
        case status(JSON)
        case remove
    }

    /// Statuses that wait; with more, the oldest is left out.
    private static let maxWaiting = 32
    private static let retry = Backoff(initial: .milliseconds(100), maximum: .seconds(10))
    private static let ownConditions: Set<String> = [
        "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled",
    ]

    private let context: NodeContext
    private let key: ObjectKey
    private let uid: String
    private let state: Mutex<State>

    private struct State {
        /// The object as it was last seen.
        var live: JSONObject
        /// The status that was decided last.
        var decided: JSON
        var waiting: [Item] = []
        var reader: UnsafeContinuation<Void, Never>?
    }

    init(_ object: JSONObject, context: NodeContext) {
        self.context = context
        key = ObjectKey(object)
        uid = object.uid ?? ""
        state = Mutex(State(live: object, decided: object["status"] ?? [:]))
    }

    /// The object as a watch told it.
    func saw(_ object: JSONObject) {
        state.withLock { state in
            state.live = object
            state.decided = Self.merge(state.decided, withConditionsOf: object)
        }
    }

    func write(_ snapshot: Snapshot) {
        let now = context.time.utc()
        let reader = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            let status = PodStatusBuilder(
                machine: snapshot.machine, previous: state.decided, address: snapshot.address, hostAddress: snapshot.hostAddress,
                startTime: snapshot.startTime, now: now
            ).status()
            guard status != state.decided else { return nil }
            state.decided = status
            if state.waiting.count >= Self.maxWaiting { state.waiting.removeFirst() }
            state.waiting.append(.status(status))
            return state.reader.take()
        }
        reader?.resume()
    }

    /// Once everything is written.
    func remove() {
        let reader = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            state.waiting.append(.remove)
            return state.reader.take()
        }
        reader?.resume()
    }

    // MARK: - Writing

    /// Until the task is cancelled. Once.
    func run() async {
        while !Task.isCancelled {
            let item = state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            switch item {
            case .status(let status): await put(status)
            case .remove: await delete()
            case nil: await waitForWork()
            }
        }
    }

    private func waitForWork() async {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let mayWait = state.withLock { state -> Bool in
                    guard state.waiting.isEmpty, !Task.isCancelled else { return false }
                    state.reader = continuation
                    return true
                }
                if !mayWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.reader.take() }?.resume()
        }
    }

    private func put(_ status: JSON) async {
        await repeatedly("status") { () throws(APIStatus) in
            var object = self.state.withLock { $0.live }
            object["status"] = Self.merge(status, withConditionsOf: object)
            do throws(APIStatus) {
                let written = try await self.context.api.object(.update(.pods, object, subresource: "status"))
                self.state.withLock { $0.live = written }
            } catch {
                guard error.reason == .conflict else { throw error }
                let fresh = try await self.context.api.object(.get(.pods, namespace: self.key.namespace, name: self.key.name))
                // Another pod of the same name: ours is gone.
                guard fresh.uid == self.uid else { return }
                self.state.withLock { $0.live = fresh }
                throw error
            }
        }
    }

    private func delete() async {
        await repeatedly("removal") { () throws(APIStatus) in
            do throws(APIStatus) {
                let options = DeleteOptions(uid: self.uid, gracePeriodSeconds: 0)
                _ = try await self.context.api.send(
                    .delete(.pods, namespace: self.key.namespace, name: self.key.name, options))
            } catch {
                // The precondition: another pod has the name by now.
                guard error.reason == .conflict else { throw error }
            }
        }
    }

    /// Until it has been done, the pod is gone, or it can never be done.
    private func repeatedly(_ what: String, _ body: () async throws(APIStatus) -> Void) async {
        var failures = 0
        var random = SecureRandom()
        while !Task.isCancelled {
            do throws(APIStatus) { return try await body() } catch {
                if error.reason == .notFound || Task.isCancelled { return }
                failures += 1
                context.log.debug(
                    "pod.write.failed",
                    ["pod": .string(key.description), "what": .string(what), "reason": .string(error.message)])
                guard error.isTransient || error.reason == .conflict else {
                    return context.log.warn(
                        "pod.write.refused",
                        ["pod": .string(key.description), "what": .string(what), "reason": .string(error.message)])
                }
                let pause = error.reason == .conflict && failures < 5 ? .zero : Self.retry.pause(after: failures, using: &random)
                // Cancelled: the loop ends.
                try? await context.time.sleep(for: pause)
            }
        }
    }

    /// `status` with the conditions that others have written.
    private static func merge(_ status: JSON, withConditionsOf object: JSONObject) -> JSON {
        let others = (object["status"]?["conditions"]?.arrayValue ?? []).filter {
            !ownConditions.contains($0["type"]?.stringValue ?? "")
        }
        guard var merged = status.objectValue else { return status }
        let own = (merged["conditions"]?.arrayValue ?? []).filter { ownConditions.contains($0["type"]?.stringValue ?? "") }
        if !own.isEmpty || !others.isEmpty { merged["conditions"] = .array(own + others) }
        return .object(merged)
    }
}
