import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Keeps the token ledger of this sandbox in a file: what the ledger promises is there before the call goes out.
///
/// `budgets.state` is one page that is mapped and shared with the kernel (`BudgetImage` is its layout). A store into it costs
/// no system call and outlives this process however it ends; `flush` is what makes it outlive the machine. The page is
/// allocated at start, so that a disk that fills up later changes nothing here.
final class BudgetKeeper: Sendable {
    typealias Reservation = BudgetLedger.Reservation

    private let clock: @Sendable () -> UTCTime
    private let tag: UInt64

    private struct State {
        var ledger: BudgetLedger
        let page: MappedPage
        var sequence: UInt64
        /// Stored since the last flush.
        var isDirty = true
        /// Why the last flush failed; nil when the disk holds what it held then.
        var failure: FileError?
    }

    private let state: Mutex<State>

    /// What the start found, for the log: calls that were in flight when the last process ended, now counted as used.
    let interruptedCalls: Int
    let interruptedTokens: Int

    /// Takes up what an earlier process left. Blocking. Throws when the file is damaged or another sandbox's: starting empty
    /// instead would hand out a fresh budget.
    init(sandbox: String, directory: String, clock: @escaping @Sendable () -> UTCTime = UTCTime.now) throws {
        self.clock = clock
        tag = BudgetImage.tag(of: sandbox)
        try Files.createDirectories(directory, mode: 0o700)
        let path = "\(directory)/budgets.state"
        var ledger = BudgetLedger(sandbox: sandbox, now: clock())
        var sequence: UInt64 = 0
        if let bytes = try Files.readIfPresent(path, upTo: BudgetImage.fileBytes) {
            guard let last = BudgetImage.newest(in: bytes, sandbox: tag) else {
                throw BudgetStateError(path: path, sandbox: sandbox)
            }
            ledger = BudgetLedger(sandbox: sandbox, restoring: last.image)
            sequence = last.sequence
            interruptedCalls = last.image.callsInFlight
            interruptedTokens = last.image.reservedThisMonth
        } else {
            var fresh = [UInt8](repeating: 0, count: BudgetImage.fileBytes)
            fresh.withUnsafeMutableBytes { [tag] bytes in
                if let base = bytes.baseAddress { ledger.image.store(into: base, sequence: 0, sandbox: tag) }
            }
            try AtomicFile.write(fresh, to: path, mode: 0o600)
            interruptedCalls = 0
            interruptedTokens = 0
        }
        let page = try MappedPage(path, bytes: BudgetImage.fileBytes)
        state = Mutex(State(ledger: ledger, page: page, sequence: sequence))
        store()
    }

    // MARK: - Calls

    func reserve(
        promptTokens: Int, completionTokens: Int?, limits: TokenLimits
    ) throws(Refusal) -> Reservation {
        let outcome = state.withLock { state -> Result<Reservation, Refusal> in
            let outcome = Result { () throws(Refusal) in
                try state.ledger.reserve(
                    promptTokens: promptTokens, completionTokens: completionTokens, limits: limits, now: clock())
            }
            store(&state)
            return outcome
        }
        return try outcome.get()
    }

    /// Counts `usedTokens`, or all that was reserved when that is nil.
    func settle(_ reservation: Reservation, usedTokens: Int?) {
        state.withLock { state in
            state.ledger.settle(reservation, usedTokens: usedTokens)
            store(&state)
        }
    }

    func release(_ reservation: Reservation) {
        state.withLock { state in
            state.ledger.release(reservation)
            store(&state)
        }
    }

    func usage(limits: TokenLimits) -> BudgetUsage {
        let ledger = state.withLock { $0.ledger }
        return ledger.usage(limits: limits, now: clock())
    }

    /// Why budgets may not survive a power cut; nil when they do, up to the last flush.
    var problem: String? { state.withLock { $0.failure }.map { "\($0)" } }

    // MARK: - File

    private func store() { state.withLock { store(&$0) } }

    private func store(_ state: inout State) {
        state.sequence += 1
        state.ledger.image.store(into: state.page.base, sequence: state.sequence, sandbox: tag)
        state.isDirty = true
    }

    /// Hands the page to the disk. Blocking: for a timer and for the end of the process.
    func flush() {
        let page = state.withLock { state -> MappedPage? in
            guard state.isDirty || state.failure != nil else { return nil }
            state.isDirty = false
            return state.page
        }
        guard let page else { return }
        let failure: FileError?
        do throws(FileError) {
            try page.flush()
            failure = nil
        } catch {
            failure = error
        }
        state.withLock { $0.failure = failure }
    }
}

/// Why the stored budgets cannot be trusted.
struct BudgetStateError: Error, CustomStringConvertible {
    var path: String
    var sandbox: String

    var description: String {
        "\(path) holds no whole account of sandbox '\(sandbox)': it is damaged or another's; move it away to start from zero"
    }
}

/// The first bytes of a file, shared with the kernel.
///
/// `@unchecked Sendable`: the keeper writes under its lock; `flush` only hands the pages to the kernel.
private final class MappedPage: @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    private let bytes: Int
    private let path: String

    init(_ path: String, bytes: Int) throws(FileError) {
        let descriptor = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        defer { close(descriptor) }
        guard let base = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
            throw FileError("map", path, errno: errno)
        }
        self.base = base
        self.bytes = bytes
        self.path = path
    }

    deinit { munmap(base, bytes) }

    func flush() throws(FileError) {
        guard msync(base, bytes, MS_SYNC) == 0 else { throw FileError("flush", path, errno: errno) }
    }
}
