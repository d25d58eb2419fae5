import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// One thread that waits for sockets and timers and runs the actors pinned to it. Nothing here may block.
///
/// It is a serial executor, so that a connection is an actor whose methods run on this thread, and a task executor, so that
/// tasks started for a connection stay here too. Readiness callbacks already run on the thread and enter a pinned actor
/// with `assumeIsolated`, without a task per event. Work that arrives from the thread itself goes to a plain array; only
/// work from elsewhere takes the lock, and only when the thread sleeps does it cost a system call. `docs/event-loop.md`
/// tells why this is not a Dispatch queue.
///
/// One turn: readiness events, due timers, queued work, then `flush` of everything that was written during the turn, so
/// that what belongs together leaves in one system call.
///
/// `@unchecked Sendable`: `remote` and `isAsleep` are synchronised; every other variable is touched by the loop's thread only.
package final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    private enum Work {
        case job(UnownedJob)
        case call(@Sendable () -> Void)
    }

    /// Rounds of queued work before the sockets are looked at again; work that keeps queueing work cannot starve them.
    private static let maxRoundsPerTurn = 8
    /// Read buffer of the loop, lent to one connection at a time.
    private static let scratchBytes = 65_536
    private static let codecScratchBytes = 32_768

    private let poller: Poller
    private let remote = Mutex<[Work]>([])
    private let remoteCount = Atomic<Int>(0)
    /// Whether the thread is in, or about to enter, a wait that only a wake-up ends.
    private let isAsleep = Atomic<Bool>(false)
    private let isStopping = Atomic<Bool>(false)
    private let thread = Atomic<UInt>(0)

    private var local: [Work] = []
    private var running: [Work] = []
    private var fetched: [Work] = []
    private var flushes: [any FlushedByLoop] = []
    private var flushing: [any FlushedByLoop] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var timers = TimerHeap()
    /// Time when this turn's wait ended; a deadline may be a turn late, never early.
    private(set) var now = Instant.now()
    /// Only for the code that runs right now; never kept across a suspension.
    let scratch: UnsafeMutableRawBufferPointer
    /// As `scratch`, for bytes that a codec turns into others.
    let codecScratch: UnsafeMutableRawBufferPointer
    /// State that parts of the process keep per loop (the HTTP client's pools), by its owner.
    private var residents: [ObjectIdentifier: any AnyObject & Sendable] = [:]

    private struct Slot {
        var generation: UInt32 = 0
        var client: (any PollClient)?
    }

    package init() throws(SocketError) {
        poller = try Poller()
        scratch = .allocate(byteCount: Self.scratchBytes, alignment: 64)
        codecScratch = .allocate(byteCount: Self.codecScratchBytes, alignment: 64)
    }

    deinit {
        scratch.deallocate()
        codecScratch.deallocate()
        poller.close()
    }

    // MARK: - Life

    /// Starts the thread, which keeps the loop alive until `stop`.
    func start() throws(SocketError) {
        let code = DetachedThread.start(stackBytes: 1 << 20) { self.run() }
        guard code == 0 else { throw SocketError("pthread_create", code) }
    }

    /// Ends the thread after the work that is queued now. Connections must be closed before.
    package func stop() {
        isStopping.store(true, ordering: .sequentiallyConsistent)
        execute {}
    }

    private static func currentThread() -> UInt {
        #if canImport(Darwin)
        UInt(bitPattern: pthread_self())
        #else
        UInt(pthread_self())
        #endif
    }

    /// Whether the caller runs on this loop's thread.
    package var isCurrent: Bool { thread.load(ordering: .relaxed) == Self.currentThread() }

    /// The loop whose thread the caller runs on.
    package static var current: EventLoop? {
        guard let pointer = pthread_getspecific(currentKey) else { return nil }
        return Unmanaged<EventLoop>.fromOpaque(pointer).takeUnretainedValue()
    }

    private static let currentKey: pthread_key_t = {
        var key = pthread_key_t()
        let code = pthread_key_create(&key, nil)
        precondition(code == 0, "pthread_key_create: \(code)")
        return key
    }()

    private func run() {
        thread.store(Self.currentThread(), ordering: .sequentiallyConsistent)
        pthread_setspecific(Self.currentKey, Unmanaged.passUnretained(self).toOpaque())
        while true {
            poll()
            while let timer = timers.takeDue(at: now) { timer.fire?() }
            for _ in 0..<Self.maxRoundsPerTurn where runQueuedWork() == false { break }
            flush()
            if isStopping.load(ordering: .relaxed), local.isEmpty, remoteCount.load(ordering: .relaxed) == 0 { break }
        }
        pthread_setspecific(Self.currentKey, nil)
        // The system gives this thread's number to the next one.
        thread.store(0, ordering: .sequentiallyConsistent)
    }

    private func poll() {
        var timeoutMilliseconds: CInt = 0
        if local.isEmpty, flushes.isEmpty {
            // Announce the sleep first, look for work second: whoever adds work in between sees the announcement.
            isAsleep.store(true, ordering: .sequentiallyConsistent)
            if remoteCount.load(ordering: .sequentiallyConsistent) == 0 {
                timeoutMilliseconds = timers.millisecondsToNext(from: .now())
            }
        }
        let count = poller.wait(timeoutMilliseconds: timeoutMilliseconds)
        isAsleep.store(false, ordering: .sequentiallyConsistent)
        // Before the reports: deadlines count from when something was reported, not from when the sleep before it began.
        now = .now()
        poller.report(count) { token, events in
            let index = Int(token & 0xffff_ffff)
            guard index < slots.count, slots[index].generation == UInt32(token >> 32), let client = slots[index].client else {
                return  // closed earlier in this turn
            }
            client.ready(events)
        }
    }

    /// Runs what is queued now; false when there was nothing.
    private func runQueuedWork() -> Bool {
        if remoteCount.load(ordering: .acquiring) > 0 {
            remote.withLock { work in
                swap(&work, &fetched)
                remoteCount.store(0, ordering: .releasing)
            }
            local.append(contentsOf: fetched)
            fetched.removeAll(keepingCapacity: true)
        }
        guard !local.isEmpty else { return false }
        swap(&local, &running)
        for work in running {
            switch work {
            case .job(let job):
                job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            case .call(let body): body()
            }
        }
        running.removeAll(keepingCapacity: running.count < 4096)
        return true
    }

    private func flush() {
        while !flushes.isEmpty {
            swap(&flushes, &flushing)
            for client in flushing { client.flush() }
            flushing.removeAll(keepingCapacity: flushing.count < 4096)
        }
    }

    // MARK: - Executor

    package func enqueue(_ job: consuming ExecutorJob) { add(.job(UnownedJob(job))) }

    /// Runs `body` on the loop in one of its next turns.
    package func execute(_ body: @escaping @Sendable () -> Void) { add(.call(body)) }

    private func add(_ work: Work) {
        if isCurrent {
            local.append(work)
            return
        }
        remote.withLock { queue in
            queue.append(work)
            remoteCount.store(queue.count, ordering: .sequentiallyConsistent)
        }
        if isAsleep.exchange(false, ordering: .sequentiallyConsistent) { poller.wake() }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

    /// Lets readiness callbacks enter a pinned actor with `assumeIsolated`.
    package func checkIsolated() { precondition(isCurrent, "not on this event loop") }

    package func isIsolatingCurrentContext() -> Bool? { isCurrent }

    // MARK: - For connections, on the loop's thread

    /// Watches `descriptor`, edge-triggered: each change is reported once, and the client tries until the kernel says
    /// "would block". The client is kept alive until `forget`.
    func watch(_ descriptor: CInt, _ interest: PollInterest, _ client: any PollClient) throws(SocketError) -> PollToken {
        checkIsolated()
        let index = freeSlots.popLast() ?? slots.count
        if index == slots.count { slots.append(Slot()) }
        slots[index].client = client
        let token = PollToken(index: index, generation: slots[index].generation)
        do {
            try poller.add(descriptor, interest, token: token.rawValue)
        } catch {
            release(token)
            throw error
        }
        return token
    }

    /// Reports to another client from now on.
    func handOver(_ token: PollToken, to client: any PollClient) {
        checkIsolated()
        slots[token.index].client = client
    }

    /// Reports nothing more. The descriptor itself leaves the kernel's list when it is closed, or by `remove`.
    func forget(_ token: PollToken) {
        checkIsolated()
        release(token)
    }

    /// Stops watching a descriptor that stays open.
    func remove(_ descriptor: CInt, _ token: PollToken) {
        checkIsolated()
        poller.remove(descriptor)
        release(token)
    }

    private func release(_ token: PollToken) {
        guard slots[token.index].generation == token.generation else { return }
        slots[token.index].client = nil
        slots[token.index].generation &+= 1
        freeSlots.append(token.index)
    }

    /// Calls `client.flush()` once at the end of this turn.
    func flushAtEndOfTurn(_ client: any FlushedByLoop) { flushes.append(client) }

    func arm(_ timer: LoopTimer, at deadline: Instant) {
        checkIsolated()
        timers.arm(timer, at: deadline)
    }

    func disarm(_ timer: LoopTimer) {
        checkIsolated()
        timers.disarm(timer)
    }

    /// The value that `owner` keeps on this loop, made at first use. The owner evicts it at its end.
    func resident<Value: AnyObject & Sendable>(of owner: ObjectIdentifier, _ make: () -> Value) -> Value {
        checkIsolated()
        if let value = residents[owner] as? Value { return value }
        let value = make()
        residents[owner] = value
        return value
    }

    func evictResident(of owner: ObjectIdentifier) { residents[owner] = nil }
}

/// Reports from the loop to the owner of a descriptor, on the loop's thread.
protocol PollClient: AnyObject, Sendable {
    nonisolated func ready(_ events: PollEvents)
}

/// Something that collects output during a turn and sends it at the end.
protocol FlushedByLoop: AnyObject {
    func flush()
}

struct PollToken: Hashable, Sendable {
    let index: Int
    let generation: UInt32

    var rawValue: UInt64 { UInt64(generation) << 32 | UInt64(index) }
}

struct PollEvents: OptionSet, Sendable {
    let rawValue: UInt8

    static let readable = PollEvents(rawValue: 1)
    static let writable = PollEvents(rawValue: 2)
    /// The peer will send nothing more.
    static let endOfInput = PollEvents(rawValue: 4)
    /// The connection is gone in both directions.
    static let broken = PollEvents(rawValue: 8)
}

enum PollInterest: Sendable {
    /// A connection: both directions, edge-triggered.
    case stream
    /// Input only, edge-triggered.
    case input
    /// A listening socket that several loops share: level-triggered, one loop woken per connection.
    case sharedAccept
}
