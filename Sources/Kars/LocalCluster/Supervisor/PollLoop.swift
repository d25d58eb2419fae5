import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Descriptors, timers and children of a process that has one thread and keeps it: it forks, and a fork of several threads
/// carries their locks along. Handlers run one after the other.
final class PollLoop {
    private var handlers: [Int32: (events: Int16, body: () -> Void)] = [:]
    private var timers: [(id: Int, due: Instant, body: () -> Void)] = []
    private var children: [pid_t: (Int32) -> Void] = [:]
    private var nextTimer = 0
    private var isStopped = false

    func watch(_ descriptor: Int32, _ events: Int32 = POLLIN, _ body: @escaping () -> Void) {
        handlers[descriptor] = (Int16(events), body)
    }

    func unwatch(_ descriptor: Int32) { handlers[descriptor] = nil }

    @discardableResult
    func at(_ due: Instant, _ body: @escaping () -> Void) -> Int {
        nextTimer += 1
        timers.append((nextTimer, due, body))
        return nextTimer
    }

    @discardableResult
    func after(_ delay: Duration, _ body: @escaping () -> Void) -> Int { at(Instant.now().advanced(by: delay), body) }

    func cancel(_ timer: Int?) { if let timer { timers.removeAll { $0.id == timer } } }

    /// `body` gets the exit code once, 128 + signal for a signal.
    func onExit(of child: pid_t, _ body: @escaping (Int32) -> Void) { children[child] = body }

    func stop() { isStopped = true }

    /// Call after SIGCHLD: collects every child that has ended.
    func reap() {
        var status: Int32 = 0
        while true {
            let child = waitpid(-1, &status, WNOHANG)
            guard child > 0 else { return }
            if let body = children.removeValue(forKey: child) { body(kars_wait_status_exit_code(status)) }
        }
    }

    func run() {
        while !isStopped {
            let now = Instant.now()
            if let index = timers.indices.filter({ timers[$0].due <= now }).min(by: { timers[$0].due < timers[$1].due }) {
                timers.remove(at: index).body()
                continue
            }
            var waits = handlers.map { pollfd(fd: $0.key, events: $0.value.events, revents: 0) }
            let count = poll(&waits, nfds_t(waits.count), timeout(from: now))
            guard count > 0 else { continue }
            for wait in waits where wait.revents != 0 {
                // An earlier handler of this round may have closed the descriptor.
                handlers[wait.fd]?.body()
                if isStopped { return }
            }
        }
    }

    private func timeout(from now: Instant) -> Int32 {
        guard let next = timers.map(\.due).min() else { return -1 }
        // Up, so that the timer is due when poll returns.
        return Int32(clamping: next.duration(since: now).wholeNanoseconds / 1_000_000 + 1)
    }
}
