import KarsCore
import Synchronization

/// The approval queue of this router, with the calls that wait for a decision.
///
/// Tickets live in memory: after a restart the agent asks again, which is always safe.
final class Approvals: Sendable {
    private struct State {
        var queue: ApprovalQueue
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        var isClosed = false
    }

    private struct Waiter {
        let ticket: String
        let continuation: UnsafeContinuation<Void, Never>
    }

    private let state: Mutex<State>

    init(_ config: ApprovalQueue.Config = ApprovalQueue.Config()) { state = Mutex(State(queue: ApprovalQueue(config))) }

    /// All tickets, oldest first.
    var all: [ApprovalQueue.Ticket] { state.withLock { $0.queue.all } }

    func ask(_ call: ApprovalQueue.Call, minimum: Int, now: Instant) -> ApprovalQueue.Answer {
        state.withLock { $0.queue.ask(call, minimum: minimum, id: Hex.encode(SecureRandom.bytes(8)), now: now) }
    }

    /// Whether a decision would count, before it is recorded and made.
    func check(_ id: String, by name: String?, now: Instant) throws(ApprovalQueue.Problem) {
        try state.withLock { state throws(ApprovalQueue.Problem) in try state.queue.check(id, by: name, now: now) }
    }

    func approve(_ id: String, by name: String, now: Instant) throws(ApprovalQueue.Problem) -> ApprovalQueue.Ticket {
        try change(id) { queue throws(ApprovalQueue.Problem) in try queue.approve(id, by: name, now: now) }
    }

    func deny(_ id: String, now: Instant) throws(ApprovalQueue.Problem) -> ApprovalQueue.Ticket {
        try change(id) { queue throws(ApprovalQueue.Problem) in try queue.deny(id, now: now) }
    }

    /// Forgets what is past its time and returns what nobody had decided or used.
    func expire(now: Instant) -> [ApprovalQueue.Ticket] {
        let (expired, woken) = state.withLock { state in
            let expired = state.queue.expire(now: now)
            return (expired, expired.flatMap { Self.take(waitersFor: $0.id, from: &state) })
        }
        for continuation in woken { continuation.resume() }
        return expired
    }

    /// What was decided about ticket `id`, an approval being used up by this; nil once it is past its time.
    func outcome(of id: String, now: Instant) -> ApprovalQueue.Answer? { state.withLock { $0.queue.outcome(of: id, now: now) } }

    // MARK: - Waiting

    /// Returns when ticket `id` is decided or gone, at the latest after `limit`, or at once when the task is cancelled or the
    /// router ends.
    func wait(for id: String, within limit: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.decision(on: id) }
            group.addTask { try? await Task.sleep(for: limit) }  // cancelled is as good as over
            await group.next()
            group.cancelAll()
        }
    }

    private func decision(on id: String) async {
        let number = state.withLock { state -> Int in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                let mustWait = state.withLock { state -> Bool in
                    // A cancellation before this line is seen here, a later one finds the waiter.
                    guard !state.isClosed, !Task.isCancelled, state.queue.isPending(id) else { return false }
                    state.waiters[number] = Waiter(ticket: id, continuation: continuation)
                    return true
                }
                if !mustWait { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.continuation.resume()
        }
    }

    /// Lets every waiting call go on, undecided; later ones do not wait.
    func close() {
        let waiting = state.withLock { state in
            defer { state.waiters = [:] }
            state.isClosed = true
            return state.waiters.values.map(\.continuation)
        }
        for continuation in waiting { continuation.resume() }
    }

    private func change(
        _ id: String, _ body: (inout ApprovalQueue) throws(ApprovalQueue.Problem) -> ApprovalQueue.Ticket
    ) throws(ApprovalQueue.Problem) -> ApprovalQueue.Ticket {
        let (ticket, woken) = try state.withLock { state throws(ApprovalQueue.Problem) in
            let ticket = try body(&state.queue)
            return (ticket, ticket.state == .pending ? [] : Self.take(waitersFor: id, from: &state))
        }
        for continuation in woken { continuation.resume() }
        return ticket
    }

    private static func take(waitersFor id: String, from state: inout State) -> [UnsafeContinuation<Void, Never>] {
        let numbers = state.waiters.filter { $0.value.ticket == id }.map(\.key)
        return numbers.compactMap { state.waiters.removeValue(forKey: $0)?.continuation }
    }
}
