import Synchronization

/// The event loops of a process, made once at its start.
package final class EventLoopGroup: Sendable {
    package let loops: [EventLoop]
    private let turn = Atomic<Int>(0)

    /// One loop serves one core; a pod's router needs one.
    package init(loopCount: Int = 1) throws(SocketError) {
        precondition(loopCount > 0, "a group needs a loop")
        var loops: [EventLoop] = []
        do throws(SocketError) {
            for _ in 0..<loopCount {
                let loop = try EventLoop()
                try loop.start()
                loops.append(loop)
            }
        } catch {
            for loop in loops { loop.stop() }
            throw error
        }
        self.loops = loops
    }

    /// Each loop in its turn.
    package func next() -> EventLoop {
        guard loops.count > 1 else { return loops[0] }
        return loops[Int(UInt(bitPattern: turn.wrappingAdd(1, ordering: .relaxed).newValue) % UInt(loops.count))]
    }

    /// The loop the caller runs on when it is one of this group's, otherwise the next one.
    package func currentOrNext() -> EventLoop {
        if let current = EventLoop.current, loops.contains(where: { $0 === current }) { return current }
        return next()
    }

    /// Ends the threads. Everything that lives on the loops must have ended before.
    package func shutdown() {
        for loop in loops { loop.stop() }
    }
}

extension EventLoop {
    /// Runs `body` on the loop's thread and waits for it.
    func run<Value: Sendable, Failure: Error>(
        _ body: @escaping @Sendable () throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        if isCurrent { return try body() }
        let result: Result<Value, Failure> = await withUnsafeContinuation { continuation in
            execute {
                do throws(Failure) { continuation.resume(returning: .success(try body())) } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Runs `body` on the loop after `delay`, unless cancelled before.
    @discardableResult
    package func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> ScheduledCall {
        let call = ScheduledCall(loop: self, body: body)
        let deadline = Instant.now().advanced(by: delay)
        if isCurrent { call.arm(at: deadline) } else { execute { call.arm(at: deadline) } }
        return call
    }

    /// Suspends the caller for `duration` without occupying a thread.
    package func sleep(for duration: Duration) async throws(CancellationError) {
        let latch = Latch()
        let call = schedule(after: duration) { latch.open() }
        await withTaskCancellationHandler {
            await latch.wait()
        } onCancel: {
            call.cancel()
            latch.open()
        }
        if Task.isCancelled { throw CancellationError() }
    }
}

/// A call that `EventLoop.schedule` arranged. Dropping it does not cancel it.
///
/// `@unchecked Sendable`: `timer` is touched on the loop's thread only.
package final class ScheduledCall: @unchecked Sendable {
    private let loop: EventLoop
    private let timer = LoopTimer()
    private let body: @Sendable () -> Void
    private let isCancelled = Atomic<Bool>(false)

    fileprivate init(loop: EventLoop, body: @escaping @Sendable () -> Void) {
        self.loop = loop
        self.body = body
    }

    fileprivate func arm(at deadline: Instant) {
        guard !isCancelled.load(ordering: .acquiring) else { return }
        // The heap holds the timer, the timer this object, until it fires or is cancelled.
        timer.fire = { [self] in
            timer.fire = nil
            if !isCancelled.exchange(true, ordering: .acquiringAndReleasing) { body() }
        }
        loop.arm(timer, at: deadline)
    }

    package func cancel() {
        guard !isCancelled.exchange(true, ordering: .acquiringAndReleasing) else { return }
        let disarm: @Sendable () -> Void = { [self] in
            loop.disarm(timer)
            timer.fire = nil
        }
        if loop.isCurrent { disarm() } else { loop.execute(disarm) }
    }
}

/// Opens once; who waits before is resumed then, who waits after is not held.
final class Latch: Sendable {
    private enum State {
        case closed([UnsafeContinuation<Void, Never>])
        case open
    }

    private let state = Mutex<State>(.closed([]))

    func open() {
        let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            guard case .closed(let waiting) = state else { return [] }
            state = .open
            return waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let isOpen = state.withLock { state -> Bool in
                guard case .closed(let waiting) = state else { return true }
                state = .closed(waiting + [continuation])
                return false
            }
            if isOpen { continuation.resume() }
        }
    }
}
