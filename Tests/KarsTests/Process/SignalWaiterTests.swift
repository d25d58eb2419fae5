import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

@Suite struct `Signal waiter` {
    @Test(.timeLimit(.minutes(1))) func `signals arrive as values in order`() async throws {
        let waiter = try SignalWaiter([SIGUSR1, SIGUSR2])
        kill(getpid(), SIGUSR1)
        #expect(await waiter.next() == SIGUSR1)
        kill(getpid(), SIGUSR2)
        #expect(await waiter.next() == SIGUSR2)
    }
}
