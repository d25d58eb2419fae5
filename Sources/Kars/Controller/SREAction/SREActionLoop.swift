import KarsCore

/// The loop of repairs: rounds for each action, and a sweep of rights that nobody uses at the start and whenever an action goes.
///
/// One round at a time, so that what a round reads of other actions (`SREActionRounds.rival`) holds until it has written its own.
struct SREActionLoop: Sendable {
    enum Work: Hashable, Sendable, CustomStringConvertible {
        case action(ObjectKey)
        case sweep

        var description: String {
            switch self {
            case .action(let key): key.description
            case .sweep: "sweep"
            }
        }
    }

    private let loop: RoundLoop<Work>
    private let events: EventRecorder

    /// Events are told through it in the name of `instance`.
    init(
        _ rounds: SREActionRounds, informers: SharedInformers, instance: String,
        watch: WatchMachine.Config = WatchMachine.Config(),
        onRound: @escaping @Sendable (Duration, APIStatus?) -> Void = { _, _ in }
    ) {
        let time = rounds.time
        events = EventRecorder(
            through: informers.api, controller: "kars-controller/KarsSREAction", instance: instance, time: time, log: rounds.log)
        var rounds = rounds
        rounds.events = events
        let work = rounds
        loop = RoundLoop(
            workers: 1, backoff: Backoff(initial: .milliseconds(200), maximum: .seconds(15)), time: time, log: work.log
        ) { (item) async throws(APIStatus) in
            let start = time.now()
            do throws(APIStatus) {
                let pause = try await Self.perform(item, work)
                onRound(time.now().duration(since: start), nil)
                return pause
            } catch {
                onRound(time.now().duration(since: start), error)
                throw error
            }
        }
        let loop = loop
        informers.informer(SREActionRounds.resource, view: .metadata, config: watch).addHandler { change in
            if case .deleted = change { loop.add(.sweep) } else { loop.add(.action(change.key)) }
        }
        loop.add(.sweep)
    }

    private static func perform(_ work: Work, _ rounds: SREActionRounds) async throws(APIStatus) -> Duration? {
        switch work {
        case .action(let key): return try await rounds.round(key)
        case .sweep:
            do throws(APIStatus) { try await rounds.sweep() } catch {
                // Without the repair accounts there are no rights to take back.
                guard error.code == 404 || error.code == 403 else { throw error }
                rounds.log.debug("sre.sweep.skipped", ["reason": .string(error.message)])
            }
            return nil
        }
    }

    /// Works until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await events.run() }
            group.addTask { await loop.run() }
        }
    }
}
