import KarsCore
import Synchronization

/// Keeps asking routers what they enforce: soon and often while somebody waits for a digest, seldom when everything is as expected.
///
/// One question serves all policies of a sandbox. Who expects something says so with `expect` and is called when an answer differs from
/// the one before; nobody polls by himself. Many routers are asked at one time, so that one that hangs holds up nobody else.
final class RouterWatch: Sendable {
    struct Config: Sendable {
        /// Between questions while something is expected that has not come.
        var backoff = Backoff(initial: .milliseconds(200), maximum: .seconds(15), jitter: 0.3)
        /// Between questions when it has: routers may fall back or be replaced without anybody noticing. Shorter than connections are kept
        /// without use (`HTTPClientConfig.keepAlive`), so that a question at rest costs no handshake.
        var rest = Duration.seconds(40)
        /// How long an expectation that is not fulfilled stands unless it is said again.
        var patience = Duration.seconds(180)
        /// Routers that are asked at one time.
        var workers = 16

        init() {}
    }

    typealias Handler = @Sendable (_ sandbox: ObjectKey) -> Void

    private struct Subject {
        var expected: [RouterReport.Kind: (digest: String, until: Instant)] = [:]
        var answer: RouterAnswer?
        /// Questions since the last change of what is expected that did not bring it.
        var misses = 0

        /// Whether the last answer brought everything that is expected.
        var isContent: Bool {
            guard case .report(let report) = answer else { return expected.isEmpty }
            return expected.allSatisfy { report.entries[$0.key]?.digest == $0.value.digest }
        }
    }

    private struct State {
        var subjects: [ObjectKey: Subject] = [:]
        var handlers: [Handler] = []
        var loop: RoundLoop<ObjectKey>?
    }

    private let probe: any RouterProbe
    private let config: Config
    private let time: any TimeSource
    private let state = Mutex(State())
    private let log: Log

    init(asking probe: any RouterProbe, config: Config = Config(), time: any TimeSource, log: Log = .silent) {
        self.probe = probe
        self.config = config
        self.time = time
        self.log = log
        let loop = RoundLoop<ObjectKey>(workers: config.workers, time: time, log: log) { [weak self] key throws(APIStatus) in
            await self?.round(key)
        }
        state.withLock { $0.loop = loop }
    }

    /// What the router of `sandbox` (by its home namespace and name) said last; nil when it was not asked yet.
    func answer(of sandbox: ObjectKey) -> RouterAnswer? { state.withLock { $0.subjects[sandbox]?.answer } }

    /// From now on the router of `sandbox` should enforce `digest`; nil: nothing is expected of this kind. Asked again and again by those
    /// who wait.
    func expect(_ digest: String?, of kind: RouterReport.Kind, from sandbox: ObjectKey) {
        let until = time.now().advanced(by: config.patience)
        let loop = state.withLock { state -> RoundLoop<ObjectKey>? in
            var subject = state.subjects[sandbox] ?? Subject()
            defer { state.subjects[sandbox] = subject }
            let old = subject.expected[kind]?.digest
            subject.expected[kind] = digest.map { ($0, until) }
            guard old != digest else { return nil }
            subject.misses = 0
            return digest == nil || (subject.isContent && subject.answer != nil) ? nil : state.loop
        }
        loop?.add(sandbox)
    }

    /// Something happened to the sandbox, for instance a new pod: what its router said before may no longer hold.
    func look(at sandbox: ObjectKey) {
        let loop = state.withLock { state -> RoundLoop<ObjectKey>? in
            guard state.subjects[sandbox] != nil else { return nil }
            state.subjects[sandbox]?.misses = 0
            return state.loop
        }
        loop?.add(sandbox)
    }

    /// The sandbox is gone.
    func forget(_ sandbox: ObjectKey) {
        state.withLock { $0.subjects[sandbox] = nil }
        probe.forget(sandbox.name)
    }

    /// Calls `handler` whenever an answer differs from the one before, from the task that asked: it puts names into queues.
    func addHandler(_ handler: @escaping Handler) { state.withLock { $0.handlers.append(handler) } }

    /// Asks until the task is cancelled.
    func run() async { await state.withLock({ $0.loop })?.run() }

    /// Asks once; returns when to ask again, nil when nobody expects anything.
    private func round(_ sandbox: ObjectKey) async -> Duration? {
        guard state.withLock({ $0.subjects[sandbox] }) != nil else { return nil }
        let answer = await probe.ask(sandbox.name)
        if Task.isCancelled { return nil }
        let now = time.now()
        let (isNews, handlers, misses) = state.withLock { state -> (Bool, [Handler], Int?) in
            // Forgotten while it was asked.
            guard var subject = state.subjects[sandbox] else { return (false, [], nil) }
            let isNews = subject.answer != answer
            subject.answer = answer
            if !subject.isContent { subject.expected = subject.expected.filter { $0.value.until > now } }
            let isContent = subject.isContent
            subject.misses = isContent ? 0 : subject.misses + 1
            state.subjects[sandbox] = subject
            return (isNews, state.handlers, subject.expected.isEmpty ? nil : subject.misses)
        }
        if isNews {
            if case .disbelieved(let reason) = answer {
                log.warn("router.disbelieved", ["sandbox": .string(sandbox.description), "reason": .string(reason)])
            }
            for handler in handlers { handler(sandbox) }
        }
        guard let misses else { return nil }
        var random = SystemRandomNumberGenerator()
        return misses == 0 ? config.rest : config.backoff.pause(after: misses, using: &random)
    }
}
