/// The machine's clocks, and an event loop for what comes later.
package struct LoopTime: TimeSource {
    private let loop: EventLoop

    package init(_ loop: EventLoop) { self.loop = loop }

    package func now() -> Instant { .now() }
    package func utc() -> UTCTime { .now() }

    package func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> any ScheduledWork {
        loop.schedule(after: deadline.duration(since: .now()), body)
    }
}

extension ScheduledCall: ScheduledWork {}

extension TimeSource {
    /// Suspends the caller until `deadline`; throws as soon as its task is cancelled.
    package func sleep(until deadline: Instant) async throws(CancellationError) {
        let latch = Latch()
        let call = schedule(at: deadline) { latch.open() }
        await withTaskCancellationHandler {
            await latch.wait()
        } onCancel: {
            call.cancel()
            latch.open()
        }
        if Task.isCancelled { throw CancellationError() }
    }

    package func sleep(for duration: Duration) async throws(CancellationError) {
        try await sleep(until: now().advanced(by: duration))
    }
}
