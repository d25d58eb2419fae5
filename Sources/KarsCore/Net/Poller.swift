#if os(Linux)
import CLinux

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The kernel's readiness queue (epoll) and the descriptor that wakes a sleeping loop (eventfd). Knows no clients, only
/// numbers that name them.
struct Poller {
    private static let maxEvents = 256
    private static let wakeToken = UInt64.max

    private let epoll: CInt
    private let event: CInt
    private let buffer: UnsafeMutablePointer<epoll_event>

    init() throws(SocketError) {
        epoll = epoll_create1(CInt(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw SocketError("epoll_create1", errno) }
        event = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
        guard event >= 0 else {
            let code = errno
            _ = Self.close(epoll)
            throw SocketError("eventfd", code)
        }
        buffer = .allocate(capacity: Self.maxEvents)
        do throws(SocketError) {
            // Edge-triggered, so that the counter need not be read back: each write is an edge of its own.
            try control(EPOLL_CTL_ADD, event, EPOLLIN.rawValue | EPOLLET.rawValue, token: Self.wakeToken)
        } catch {
            close()
            throw error
        }
    }

    func close() {
        _ = Self.close(epoll)
        _ = Self.close(event)
        buffer.deallocate()
    }

    private static func close(_ descriptor: CInt) -> CInt {
        #if canImport(Glibc)
        Glibc.close(descriptor)
        #else
        Musl.close(descriptor)
        #endif
    }

    func add(_ descriptor: CInt, _ interest: PollInterest, token: UInt64) throws(SocketError) {
        let events: UInt32 =
            switch interest {
            case .stream: EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
            case .input: EPOLLIN.rawValue | EPOLLET.rawValue
            case .sharedAccept: EPOLLIN.rawValue | EPOLLEXCLUSIVE.rawValue
            }
        try control(EPOLL_CTL_ADD, descriptor, events, token: token)
    }

    func remove(_ descriptor: CInt) {
        var unused = epoll_event()
        epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &unused)
    }

    private func control(_ operation: CInt, _ descriptor: CInt, _ events: UInt32, token: UInt64) throws(SocketError) {
        var entry = epoll_event()
        entry.events = events
        entry.data.u64 = token
        guard epoll_ctl(epoll, operation, descriptor, &entry) == 0 else { throw SocketError("epoll_ctl", errno) }
    }

    func wake() {
        var one: UInt64 = 1
        // Only a full counter fails, and then the loop is being woken already.
        _ = write(event, &one, 8)
    }

    /// Waits up to `timeoutMilliseconds` (-1 without limit); how many events there are for `report`.
    @inline(__always)
    func wait(timeoutMilliseconds: CInt) -> Int {
        // Below zero when a signal came.
        max(0, Int(epoll_wait(epoll, buffer, CInt(Self.maxEvents), timeoutMilliseconds)))
    }

    /// Reports the events of the last wait, but wake-ups.
    @inline(__always)
    func report(_ count: Int, _ body: (UInt64, PollEvents) -> Void) {
        for index in 0..<count {
            let token = buffer[index].data.u64
            guard token != Self.wakeToken else { continue }
            let flags = buffer[index].events
            var events: PollEvents = []
            if flags & EPOLLIN.rawValue != 0 { events.insert(.readable) }
            if flags & EPOLLOUT.rawValue != 0 { events.insert(.writable) }
            if flags & EPOLLRDHUP.rawValue != 0 { events.insert(.endOfInput) }
            if flags & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { events.insert(.broken) }
            body(token, events)
        }
    }
}
#endif
