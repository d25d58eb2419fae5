import Dispatch
import KarsCore
import Synchronization

/// Runs blocking chores again and again on a queue of its own, until `stop`.
final class Housekeeping: Sendable {
    private let interval: Duration
    private let chores: @Sendable () -> Void
    private let queue = DispatchQueue(label: "kars.housekeeping")
    private let isStopped = Atomic<Bool>(false)

    init(every interval: Duration, _ chores: @escaping @Sendable () -> Void) {
        self.interval = interval
        self.chores = chores
        schedule()
    }

    func stop() { isStopped.store(true, ordering: .relaxed) }

    private func schedule() {
        queue.asyncAfter(deadline: .now() + .nanoseconds(Int(interval.wholeNanoseconds))) { [weak self] in
            guard let self, !isStopped.load(ordering: .relaxed) else { return }
            chores()
            schedule()
        }
    }
}
