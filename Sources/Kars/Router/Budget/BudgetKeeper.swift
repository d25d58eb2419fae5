import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Keeps the token ledger of this sandbox on disk: what the ledger journals is in the file before the call goes out.
///
/// `budgets.json` is a snapshot, `budgets.journal` what happened since. One `write` per entry reaches the kernel, which is what
/// survives the death of this process; the snapshot is flushed to the disk. All under one lock, because the order of
/// the journal is the order of the ledger.
final class BudgetKeeper: Sendable {
    typealias Reservation = BudgetLedger.Reservation

    /// Journal size in bytes at which a new snapshot is written: some thirty thousand calls.
    static let compactionBytes = 4 << 20
    /// Longest files read at start, in bytes.
    private static let maxSnapshotBytes = 64 << 20
    private static let maxJournalBytes = 256 << 20
    /// Entries that no limit depends on are written together once they are this many bytes.
    private static let lazyBytes = 16 << 10

    private let sandbox: String
    private let directory: String
    private let clock: @Sendable () -> UTCTime

    private struct State {
        var ledger: BudgetLedger
        var journal: Int32
        /// Journal bytes that are not in the file yet.
        var pending: [UInt8] = []
        /// A snapshot was begun and not finished: the old journal may no longer count, so a new one must come first.
        var mustCompact = false
        /// Why the last write failed; nil when the file holds everything.
        var failure: FileError?
    }

    private let state: Mutex<State>

    /// What the start found, for the log.
    let interruptedCalls: Int
    let interruptedTokens: Int

    /// Reads what an earlier process left and starts a new snapshot. Blocking.
    init(sandbox: String, directory: String, clock: @escaping @Sendable () -> UTCTime = UTCTime.now) throws {
        self.sandbox = sandbox
        self.directory = directory
        self.clock = clock
        try Files.createDirectories(directory, mode: 0o700)
        let restored = try BudgetLedger.restore(
            snapshot: Files.readIfPresent("\(directory)/budgets.json", upTo: Self.maxSnapshotBytes),
            journal: Files.readIfPresent("\(directory)/budgets.journal", upTo: Self.maxJournalBytes) ?? [])
        interruptedCalls = restored.interruptedCalls
        interruptedTokens = restored.interruptedTokens
        var ledger = restored.ledger
        let journal = try Self.compact(&ledger, in: directory)
        state = Mutex(State(ledger: ledger, journal: journal))
    }

    deinit { state.withLock { _ = close($0.journal) } }

    // MARK: - Calls

    func reserve(
        promptTokens: Int, completionTokens: Int?, limits: TokenLimits
    ) throws(Refusal) -> Reservation {
        let outcome = state.withLock { state -> Result<Reservation, Refusal> in
            do throws(Refusal) {
                let reservation = try state.ledger.reserve(
                    sandbox: sandbox, promptTokens: promptTokens, completionTokens: completionTokens, limits: limits,
                    now: clock())
                if let failure = journal(&state, isUrgent: limits != .none) {
                    state.ledger.release(reservation)
                    throw .budgetUnavailable("\(failure)")
                }
                return .success(reservation)
            } catch {
                return .failure(error)
            }
        }
        return try outcome.get()
    }

    /// Counts `usedTokens`, or all that was reserved when that is nil. A failing disk keeps the entry for the next write, and
    /// the reservation in the file stands for it until then.
    func settle(_ reservation: Reservation, usedTokens: Int?) {
        state.withLock { state in
            state.ledger.settle(reservation, usedTokens: usedTokens)
            _ = journal(&state, isUrgent: reservation.completionAllowance != nil)
        }
    }

    func release(_ reservation: Reservation) {
        state.withLock { state in
            state.ledger.release(reservation)
            _ = journal(&state, isUrgent: reservation.completionAllowance != nil)
        }
    }

    func usage(limits: TokenLimits) -> BudgetUsage {
        state.withLock { $0.ledger.usage(of: sandbox, limits: limits, now: clock()) }
    }

    /// Why budgets cannot be kept at the moment; nil when they are.
    var problem: String? { state.withLock { $0.failure }.map { "\($0)" } }

    /// Writes what is pending. For a timer and for the end of the process.
    func flush() { state.withLock { state in _ = journal(&state, isUrgent: true) } }

    // MARK: - Files

    /// Appends what the ledger has journaled since the last time.
    private func journal(_ state: inout State, isUrgent: Bool) -> FileError? {
        state.pending += state.ledger.drainJournal()
        guard isUrgent || state.pending.count >= Self.lazyBytes || state.failure != nil else { return nil }
        do throws(FileError) {
            if !state.mustCompact {
                try Self.write(&state.pending, to: state.journal, path: "\(directory)/budgets.journal")
            }
            if state.mustCompact || state.ledger.journalBytes >= Self.compactionBytes {
                state.mustCompact = true
                let next = try Self.compact(&state.ledger, in: directory)
                close(state.journal)
                state.journal = next
                // The snapshot holds what was still to be written.
                state.pending = []
                state.mustCompact = false
            }
            state.failure = nil
        } catch {
            state.failure = error
        }
        return state.failure
    }

    /// Removes from `bytes` what was written, so that a full disk leaves the rest for the next time.
    private static func write(_ bytes: inout [UInt8], to descriptor: Int32, path: String) throws(FileError) {
        while !bytes.isEmpty {
            #if canImport(Glibc)
            let count = Glibc.write(descriptor, bytes, bytes.count)
            #else
            let count = Darwin.write(descriptor, bytes, bytes.count)
            #endif
            if count < 0 {
                if errno == EINTR { continue }
                throw FileError("write", path, errno: errno)
            }
            if count == bytes.count { bytes.removeAll(keepingCapacity: true) } else { bytes.removeFirst(count) }
        }
    }

    /// Snapshot first, then a fresh journal; ending between the two is harmless (`BudgetLedger.compact`).
    private static func compact(_ ledger: inout BudgetLedger, in directory: String) throws(FileError) -> Int32 {
        let (snapshot, head) = ledger.compact()
        try AtomicFile.write(snapshot, to: "\(directory)/budgets.json", mode: 0o600)
        let path = "\(directory)/budgets.journal"
        try AtomicFile.write(head, to: path, mode: 0o600)
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError("open", path, errno: errno) }
        return descriptor
    }
}

extension Refusal {
    static func budgetUnavailable(_ reason: String) -> Refusal {
        Refusal(
            stage: .budget, code: "budget_unavailable", type: "server_error",
            reason: "the budget could not be written down, so the call was not made: \(reason)", status: 503,
            retryAfter: .seconds(5))
    }
}
