import Synchronization

/// Takes part in an election and does the leader's work while it leads.
package final class LeaderElector: Sendable {
    package enum Ending: Equatable, Sendable {
        /// The work ended by itself.
        case finished
        /// The lease could not be renewed in time; the work was cancelled and has ended.
        case lost
        /// Our own task was cancelled.
        case cancelled
    }

    private let api: any KubernetesAPI
    private let time: any TimeSource
    private let log: Log
    private let machine: Mutex<LeaderElectionMachine>
    private let config: LeaderElectionMachine.Config

    package init(
        _ config: LeaderElectionMachine.Config, through api: any KubernetesAPI, time: any TimeSource, log: Log = .silent
    ) {
        self.config = config
        self.api = api
        self.time = time
        self.log = log.with(["lease": .string("\(config.namespace)/\(config.name)"), "identity": .string(config.identity)])
        machine = Mutex(LeaderElectionMachine(config))
    }

    package var isLeading: Bool { machine.withLock { $0.isLeading(at: time.now()) } }

    /// Waits to lead, then runs `work` once. When the lease is lost, `work` is cancelled and everything it sends through the API it is
    /// given is refused from that instant on, so that a slow end does no harm. When `work` ends by itself or this task is cancelled, the
    /// lease is released after `work` has ended.
    package func lead(_ work: @escaping @Sendable (any KubernetesAPI) async -> Void) async -> Ending {
        while !isLeading {
            await round()
            guard !isLeading else { break }
            do throws(CancellationError) { try await time.sleep(for: config.retryPeriod) } catch { return .cancelled }
        }
        log.info("leader.elected")
        let ending = await holdWhile(work)
        log.info("leader.ended", ["reason": .string("\(ending)")])
        if ending != .lost {
            // Unstructured: a cancelled task sends nothing, and this must be sent just then.
            await Task { await self.release() }.value
        }
        return ending
    }

    private func holdWhile(_ work: @escaping @Sendable (any KubernetesAPI) async -> Void) async -> Ending {
        let fenced = FencedAPI(api) { [self] in isLeading }
        return await withTaskGroup(of: Ending.self) { group in
            group.addTask {
                await work(fenced)
                return Task.isCancelled ? .cancelled : .finished
            }
            group.addTask { await self.renew() }
            // Apart from renewing, which may hang in a request for longer than we may lead.
            group.addTask { await self.untilLapse() }
            let first = await group.next() ?? .cancelled
            group.cancelAll()
            await group.waitForAll()
            return Task.isCancelled && first != .lost ? .cancelled : first
        }
    }

    private func renew() async -> Ending {
        while isLeading {
            do throws(CancellationError) { try await time.sleep(for: config.retryPeriod) } catch { return .cancelled }
            await round()
        }
        return .lost
    }

    private func untilLapse() async -> Ending {
        while let deadline = machine.withLock({ $0.leadsUntil }), deadline > time.now() {
            do throws(CancellationError) { try await time.sleep(until: deadline) } catch { return .cancelled }
        }
        return .lost
    }

    /// Looks at the lease and writes it when it is ours to write.
    private func round() async {
        do throws(APIStatus) {
            let lease = try await api.objectIfPresent(machine.withLock { $0.read })
            let start = time.now()
            guard case .write(let request) = machine.withLock({ $0.saw(lease, at: start, utc: time.utc()) }) else { return }
            let written = try await api.object(request)
            machine.withLock { $0.wrote(written, begunAt: start, at: time.now()) }
        } catch {
            machine.withLock { $0.refused(error) }
            log.debug("leader.round.failed", ["reason": .string(error.message)])
        }
    }

    private func release() async {
        machine.withLock { $0.stepDown() }
        do throws(APIStatus) {
            guard let lease = try await api.objectIfPresent(machine.withLock { $0.read }),
                let request = machine.withLock({ $0.release(lease, utc: time.utc()) })
            else { return }
            _ = try await api.send(request)
        } catch {
            // Others wait for the lease to lapse instead.
            log.debug("leader.release.failed", ["reason": .string(error.message)])
        }
    }
}

/// Refuses to send once its condition no longer holds: what a leader works through.
///
/// A request that was sent a moment before the lease lapsed is still on its way; `leaseDuration - renewDeadline` is the time it has to
/// arrive before another leads.
package struct FencedAPI: KubernetesAPI {
    private let api: any KubernetesAPI
    private let holds: @Sendable () -> Bool

    package init(_ api: any KubernetesAPI, while holds: @escaping @Sendable () -> Bool) {
        self.api = api
        self.holds = holds
    }

    package func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON {
        try check()
        return try await api.send(request)
    }

    package func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream {
        try check()
        return try await api.watch(request)
    }

    private func check() throws(APIStatus) {
        guard holds() else { throw APIStatus(code: 0, reason: .notLeading, message: "this process does not lead any more") }
    }
}
