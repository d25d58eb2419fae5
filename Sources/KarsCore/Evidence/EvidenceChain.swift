/// The state behind the log's lock: where the chain ends, what of it is durable and signed, and whether writing works.
struct EvidenceChain: Sendable {
    /// Somebody who waits for a record to be durable.
    struct Waiter: Sendable {
        let seq: UInt64
        let continuation: CheckedContinuation<EvidenceError?, Never>
    }

    /// What a flush covers, taken before it begins.
    struct FlushPoint: Sendable {
        let log: AppendFile
        let end: EvidenceChainEnd
        let durableSeq: UInt64
        let signedSeq: UInt64
        var isDirty: Bool { durableSeq < end.nextSeq }
    }

    enum WaitStep { case resume(EvidenceError?), wakeQueue, none }

    private enum Phase: Equatable {
        case running
        /// Appends that failed since `since`, not yet recorded themselves.
        case failing(EvidenceError, since: UTCTime, lost: UInt64)
        case stopped(EvidenceError)
    }

    private(set) var log: AppendFile
    private(set) var end: EvidenceChainEnd
    /// Records that the disk has confirmed, counted from the chain's beginning.
    private var durableSeq: UInt64
    private(set) var signedSeq: UInt64
    private var phase = Phase.running
    /// Why heads or new logs cannot be written; appending may still work.
    private var housekeepingFailure: EvidenceError?
    private var lostAppends: UInt64 = 0
    private var isTickScheduled = false
    private var waiters: [Waiter] = []
    private var encoder: EvidenceEncoder
    private let config: EvidenceConfig

    init(config: EvidenceConfig, log: AppendFile, end: EvidenceChainEnd) {
        self.config = config
        self.log = log
        self.end = end
        durableSeq = end.nextSeq
        signedSeq = end.nextSeq
        encoder = EvidenceEncoder(sandbox: config.sandbox)
    }

    var health: EvidenceStatus.Health {
        switch phase {
        case .running: housekeepingFailure.map { .failing($0) } ?? .healthy
        case .failing(let error, _, _): .failing(error)
        case .stopped(let error): .stopped(error)
        }
    }

    func status(publicKey: String) -> EvidenceStatus {
        EvidenceStatus(
            health: health, records: end.nextSeq, headHash: String(decoding: end.hash, as: UTF8.self), signedRecords: signedSeq,
            lostAppends: lostAppends, publicKey: publicKey)
    }

    // MARK: - Appending

    mutating func append(_ event: EvidenceEvent, at now: UTCTime) throws(EvidenceError) -> EvidenceReceipt {
        do throws(EvidenceError) {
            try recordLoss(at: now)
            return try add(event, at: now)
        } catch {
            lostAppends += 1
            switch phase {
            case .running: phase = .failing(error, since: now, lost: 1)
            case .failing(_, let since, let lost): phase = .failing(error, since: since, lost: lost + 1)
            case .stopped: break
            }
            throw error
        }
    }

    /// After failures, the chain first says that events are missing, and how many. Throws while writing still fails.
    private mutating func recordLoss(at now: UTCTime) throws(EvidenceError) {
        switch phase {
        case .running: return
        case .stopped(let error): throw error
        case .failing(let error, let since, let lost):
            let gap = EvidenceEvent(
                surface: .router, action: "evidence:gap", decision: .failed, agentID: config.sandbox,
                reason: "\(lost) events since \(since.rfc3339) could not be recorded: \(error.reason)")
            _ = try add(gap, at: now)
            phase = .running
        }
    }

    private mutating func add(_ event: EvidenceEvent, at now: UTCTime) throws(EvidenceError) -> EvidenceReceipt {
        guard end.nextSeq - signedSeq < UInt64(config.maxUnsigned) else {
            throw EvidenceError(
                .backlog,
                "\(config.maxUnsigned) records wait for a signed head: the disk under \(config.directory) does not keep up")
        }
        let hash = encoder.encode(event, seq: end.nextSeq, at: now, previousHash: end.hash)
        do {
            try log.append(encoder.line)
        } catch {
            throw EvidenceError(.writeFailed, error)
        }
        let receipt = EvidenceReceipt(seq: end.nextSeq, hashDigits: hash)
        end.nextSeq += 1
        end.hash = hash
        end.offset = log.size
        return receipt
    }

    // MARK: - Waking the flush queue

    /// How long until the queue should look; nil when it will anyway.
    mutating func needsWake() -> Duration? {
        guard !isTickScheduled else { return nil }
        isTickScheduled = true
        return config.syncInterval
    }

    /// After a tick: when the next one is needed, nil when there is nothing left to do.
    mutating func nextTick() -> Duration? {
        isTickScheduled = false
        switch phase {
        case .stopped: return nil
        case .failing: isTickScheduled = true
        case .running: isTickScheduled = signedSeq < end.nextSeq || housekeepingFailure != nil
        }
        if !waiters.isEmpty { return .zero }
        guard isTickScheduled else { return nil }
        return health == .healthy ? config.syncInterval : .seconds(1)
    }

    mutating func wait(
        for seq: UInt64, _ continuation: CheckedContinuation<EvidenceError?, Never>
    ) -> WaitStep {
        if case .stopped(let error) = phase, durableSeq <= seq { return .resume(error) }
        guard durableSeq <= seq else { return .resume(nil) }
        waiters.append(Waiter(seq: seq, continuation: continuation))
        return waiters.count == 1 ? .wakeQueue : .none
    }

    // MARK: - Flushing

    /// nil when nothing may be flushed any more; then `abandoned` has those who wait.
    mutating func beginFlush(at now: UTCTime) -> FlushPoint? {
        if case .stopped = phase { return nil }
        if case .failing = phase {
            // Nobody may be calling; the gap record is the probe that tells whether writing works again.
            do throws(EvidenceError) {
                try recordLoss(at: now)
            } catch {
                if case .failing(_, let since, let lost) = phase { phase = .failing(error, since: since, lost: lost) }
            }
        }
        if !log.isUntouched {
            phase = .stopped(
                EvidenceError(.tampered, "\(log.path) was changed by somebody else while it was being written"))
            return nil
        }
        return FlushPoint(log: log, end: end, durableSeq: durableSeq, signedSeq: signedSeq)
    }

    mutating func endFlush(_ point: FlushPoint) -> [Waiter] {
        durableSeq = max(durableSeq, point.end.nextSeq)
        let done = waiters.filter { $0.seq < durableSeq }
        waiters.removeAll { $0.seq < durableSeq }
        return done
    }

    /// No further record. Returns those who wait for a flush that will not come.
    @discardableResult
    mutating func stop(_ failure: EvidenceError) -> [Waiter] {
        phase = .stopped(failure)
        defer { waiters = [] }
        return waiters
    }

    /// Waiters of a chain that has stopped, and why it has.
    mutating func abandoned() -> ([Waiter], EvidenceError?) {
        guard case .stopped(let failure) = phase else { return ([], nil) }
        defer { waiters = [] }
        return (waiters, failure)
    }

    mutating func signed(_ end: EvidenceChainEnd) { signedSeq = max(signedSeq, end.nextSeq) }

    mutating func housekeepingSucceeded() { housekeepingFailure = nil }

    mutating func housekeepingFailed(_ failure: EvidenceError) { housekeepingFailure = failure }

    mutating func rotate(to next: AppendFile, number: Int) -> (old: AppendFile, end: EvidenceChainEnd) {
        defer {
            log = next
            end.log = number
            end.offset = 0
        }
        return (log, end)
    }
}
