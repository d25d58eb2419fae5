/// Time for code that waits: both clocks, and calls that come later. A test owns one and lets hours pass in milliseconds.
package protocol TimeSource: Sendable {
    func now() -> Instant
    func utc() -> UTCTime
    /// Calls `body` once `deadline` has come, unless cancelled before; never from inside this call.
    @discardableResult
    func schedule(at deadline: Instant, _ body: @escaping @Sendable () -> Void) -> any ScheduledWork
}

/// A call that `TimeSource.schedule` arranged. Dropping it does not cancel it.
package protocol ScheduledWork: Sendable {
    func cancel()
}
