import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The writer of one sandbox's chain: the single door through which every surface records what was decided (DESIGN 4).
///
/// `append` numbers, hashes and writes under one lock, in a few microseconds. Flushing, signing heads and changing to a new
/// log happen on the log's own queue. After a start it goes on where the last one stopped; what a crash left half written is
/// set aside and recorded. It does not know what the events mean.
package final class EvidenceLog: Sendable {
    package let publicKey: Ed25519.PublicKey

    private let config: EvidenceConfig
    private let files: EvidenceFiles
    private let clock: @Sendable () -> UTCTime
    private let lock: Int32
    /// Flushes, signs and rotates; blocks on the disk, so it is nobody else's queue.
    private let queue: DispatchQueue
    private let chain: Mutex<EvidenceChain>
    // Touched on `queue` only; the mutex is what lets the compiler believe it.
    private let heads: Mutex<Heads>

    private struct Heads {
        var writer: EvidenceHeadWriter
        /// When the last head went into the sidecar, and how many records it covers.
        var publishedAt: Instant
        var publishedSeq: UInt64
        var isClosed = false
    }

    /// Opens or begins the chain in `config.directory`. Blocking: reads what follows the last signed head, signs a new one.
    package convenience init(_ config: EvidenceConfig) throws(EvidenceError) { try self.init(config, clock: UTCTime.now) }

    package init(_ config: EvidenceConfig, clock: @escaping @Sendable () -> UTCTime) throws(EvidenceError) {
        let files = EvidenceFiles(directory: config.directory)
        try evidence(.writeFailed) { () throws(FileError) in try Files.createDirectories(config.directory, mode: 0o755) }
        let lock = try Self.takeLock(files.lock)
        var opened = false
        defer { if !opened { closeDescriptor(lock) } }
        let resumed = try EvidenceRecovery(config: config, files: files).run(at: clock())
        self.config = config
        self.files = files
        self.clock = clock
        self.lock = lock
        publicKey = resumed.heads.key.publicKey
        queue = DispatchQueue(label: "kars.evidence")
        chain = Mutex(EvidenceChain(config: config, log: resumed.log, end: resumed.end))
        heads = Mutex(Heads(writer: resumed.heads, publishedAt: .now(), publishedSeq: resumed.end.nextSeq))
        opened = true
        try begin(resumed.notes)
    }

    /// From here on the directory says that a writer is at work; then the chain itself says so.
    private func begin(_ notes: [EvidenceEvent]) throws(EvidenceError) {
        let end = chain.withLock { $0.end }
        try evidence(.writeFailed) { () throws(FileError) in try publish(end, state: .open) }
        for note in notes { _ = try append(note) }
        try sync()
    }

    deinit {
        // Without `close` this is like a crash: the next start finds an open chain and says so in a record.
        chain.withLock { $0.log.close() }
        heads.withLock { $0.writer.sidecar.close() }
        closeDescriptor(lock)
    }

    // MARK: - Appending

    /// Adds one record. When this returns, `write` has returned: the record survives the end of the process.
    ///
    /// Any thread. On failure nothing was added, and what was lost is itself recorded once writing works again.
    @discardableResult
    package func append(_ event: EvidenceEvent) throws(EvidenceError) -> EvidenceReceipt {
        let now = clock()
        let (outcome, wake) = chain.withLock { chain in
            let outcome = Result { () throws(EvidenceError) in try chain.append(event, at: now) }
            return (outcome, chain.needsWake())
        }
        if let wake { scheduleTick(after: wake) }
        return try outcome.get()
    }

    /// As `append`, and waits until the disk has confirmed. Waiters share flushes.
    @discardableResult
    package func appendSynced(_ event: EvidenceEvent) async throws(EvidenceError) -> EvidenceReceipt {
        let receipt = try append(event)
        let result = await withCheckedContinuation { continuation in
            let immediate = chain.withLock { $0.wait(for: receipt.seq, continuation) }
            switch immediate {
            case .resume(let result): continuation.resume(returning: result)
            case .wakeQueue: queue.async { [weak self] in self?.tick() }
            case .none: break
            }
        }
        if let failure = result { throw failure }
        return receipt
    }

    /// Adds one record at the configured level.
    @discardableResult
    package func record(_ event: EvidenceEvent) async throws(EvidenceError) -> EvidenceReceipt {
        switch config.durability {
        case .written: try append(event)
        case .synced: try await appendSynced(event)
        }
    }

    package var status: EvidenceStatus { chain.withLock { $0.status(publicKey: publicKey.evidenceText) } }

    // MARK: - Flushing

    /// Flushes and signs now. Blocking.
    package func sync() throws(EvidenceError) {
        queue.sync { flush(signing: true) }
        switch status.health {
        case .healthy: break
        case .failing(let error), .stopped(let error): throw error
        }
    }

    /// Says good-bye in a record, flushes, signs the end as final and gives up the directory. Blocking; later appends throw.
    package func close() throws(EvidenceError) {
        let farewell = EvidenceEvent(
            surface: .router, action: "evidence:stopped", decision: .success, agentID: config.sandbox, reason: "clean stop")
        let isFirst = heads.withLock { heads in
            defer { heads.isClosed = true }
            return !heads.isClosed
        }
        guard isFirst else { return }
        let last = Result { () throws(EvidenceError) in try append(farewell) }
        let failure = queue.sync { closeOnQueue() }
        flock(lock, LOCK_UN)
        if let failure { throw failure }
        _ = try last.get()
    }

    private func closeOnQueue() -> EvidenceError? {
        flush(signing: false)
        let (end, health, waiters) = chain.withLock { chain in
            let health = chain.health
            return (chain.end, health, chain.stop(EvidenceError(.closed, "the evidence log is closed")))
        }
        finish(waiters, with: EvidenceError(.closed, "the evidence log was closed before the flush"))
        guard health == .healthy else { return nil }
        do throws(FileError) {
            try publish(end, state: .closed)
            return nil
        } catch {
            return EvidenceError(.writeFailed, error)
        }
    }

    private func scheduleTick(after delay: Duration) {
        queue.asyncAfter(deadline: .now() + .nanoseconds(Int(delay.wholeNanoseconds))) { [weak self] in self?.tick() }
    }

    private func tick() {
        flush(signing: false)
        let next = chain.withLock { $0.nextTick() }
        if let next { scheduleTick(after: next) }
    }

    /// On `queue`. Makes durable what is written, then signs and rotates when it is time.
    private func flush(signing: Bool) {
        dispatchPrecondition(condition: .onQueue(queue))
        guard let point = chain.withLock({ $0.beginFlush(at: clock()) }) else {
            let (waiters, failure) = chain.withLock { $0.abandoned() }
            return finish(waiters, with: failure)
        }
        if point.isDirty {
            do {
                try point.log.flush()
            } catch {
                let failure = EvidenceError(
                    .flushFailed,
                    "\(error); records since seq \(point.durableSeq) may be lost in a power cut; restart to check them")
                finish(chain.withLock { $0.stop(failure) }, with: failure)
                return
            }
            finish(chain.withLock { $0.endFlush(point) }, with: nil)
        }
        do throws(FileError) {
            try sign(point.end, fully: signing || isHeadDue(point.end))
            if point.end.offset >= config.maxLogBytes { try rotate() }
            chain.withLock { $0.housekeepingSucceeded() }
        } catch {
            let failure = EvidenceError(.writeFailed, error)
            chain.withLock { $0.housekeepingFailed(failure) }
        }
    }

    private func finish(_ waiters: [EvidenceChain.Waiter], with failure: EvidenceError?) {
        for waiter in waiters { waiter.continuation.resume(returning: failure) }
    }

    private func isHeadDue(_ end: EvidenceChainEnd) -> Bool {
        heads.withLock { heads in
            end.nextSeq - min(end.nextSeq, heads.publishedSeq) >= UInt64(config.headEvery)
                || Instant.now().duration(since: heads.publishedAt) >= config.headInterval
        }
    }

    /// Signs `end` in `head.json` and, with `fully`, in the sidecar too.
    private func sign(_ end: EvidenceChainEnd, fully: Bool) throws(FileError) {
        if fully, heads.withLock({ $0.publishedSeq < end.nextSeq }) { return try publish(end, state: .open) }
        guard chain.withLock({ $0.signedSeq < end.nextSeq }) else { return }
        try heads.withLock { heads throws(FileError) in try heads.writer.publishCurrent(end, at: clock()) }
        chain.withLock { $0.signed(end) }
    }

    private func publish(_ end: EvidenceChainEnd, state: EvidenceHead.State) throws(FileError) {
        try heads.withLock { heads throws(FileError) in
            try heads.writer.publish(end, state: state, at: clock())
            heads.publishedAt = .now()
            heads.publishedSeq = end.nextSeq
        }
        chain.withLock { $0.signed(end) }
    }

    /// Begins a new log. The old one is flushed and its end signed before anything in the new one is.
    private func rotate() throws(FileError) {
        let number = chain.withLock { $0.end.log } + 1
        let log = try AppendFile.create(files.log(number), mode: config.fileMode)
        let sidecar: AppendFile
        do {
            sidecar = try AppendFile.create(files.heads(number), mode: config.fileMode)
            try Files.synchronizeDirectory(of: files.head)
        } catch {
            log.close()
            unlink(files.log(number))
            unlink(files.heads(number))
            throw error
        }
        let (old, end) = chain.withLock { $0.rotate(to: log, number: number) }
        defer { old.close() }
        defer {
            heads.withLock { heads in
                heads.writer.sidecar.close()
                heads.writer.sidecar = sidecar
            }
        }
        try old.flush()
        try sign(end, fully: true)
    }

    private static func takeLock(_ path: String) throws(EvidenceError) -> Int32 {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw EvidenceError(.writeFailed, FileError("open", path, errno: errno)) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let failure = errno
            closeDescriptor(descriptor)
            throw failure == EWOULDBLOCK
                ? EvidenceError(.locked, "\(path) is held by another process: one writer per chain")
                : EvidenceError(.writeFailed, FileError("lock", path, errno: failure))
        }
        return descriptor
    }
}
