/// Follows one collection for ever: list, then watch from there, again from the last version when the watch ends, and from a new list
/// when the server no longer knows that version (410). Knows no network and no clock.
///
/// Each event method answers what to tell those who follow and what to do next. Whatever happens, the changes that were told add up to
/// a state that the collection really had, and what is true now is told in the end.
package struct WatchMachine: Sendable {
    package struct Config: Sendable {
        package var labelSelector: String?
        package var fieldSelector: String?
        /// Objects per page of a list.
        package var pageSize = 500
        /// How long the server keeps a watch open at most; each one is shortened by up to a fifth, so that they do not end together.
        package var watchTimeout = Duration.seconds(290)
        /// Between attempts that fail.
        package var backoff = Backoff(initial: .milliseconds(800), maximum: .seconds(30))
        /// A watch that said nothing and ended sooner counts as a failure.
        package var shortestWatch = Duration.seconds(1)

        package init() {}
    }

    package enum Change: Sendable, Equatable {
        /// The whole collection, whatever it was before.
        case replaced([JSONObject])
        /// Created or changed.
        case applied(JSONObject)
        /// As it was last.
        case deleted(JSONObject)
    }

    package enum Command: Sendable, Equatable {
        /// Then call `listed` or `failed`.
        case list(ListOptions)
        /// Then call `opened` or `failed`.
        case watch(WatchOptions)
        /// Take the next event of the watch; then call `received`, `ended` or `failed`.
        case read
        /// Then call `resumed`.
        case pause(Duration)
    }

    package struct Step: Sendable, Equatable {
        package var change: Change?
        package var command: Command

        package init(change: Change? = nil, command: Command) {
            self.change = change
            self.command = command
        }
    }

    private enum State: Sendable {
        case listing(ObjectList?, isPaged: Bool)
        case opening(version: String)
        case watching(version: String, since: Instant, hasSpoken: Bool)
    }

    private let config: Config
    private var random: any RandomNumberGenerator & Sendable
    private var state = State.listing(nil, isPaged: true)
    /// In a row, without an event between them.
    package private(set) var failures = 0
    /// A version expired, and no watch has lasted since.
    private var hasJustExpired = false
    /// Lists that were begun because a version had expired; told as a measure of how the server keeps history.
    package private(set) var relists = 0

    package init(_ config: Config = Config(), random: any RandomNumberGenerator & Sendable = SecureRandom()) {
        self.config = config
        self.random = random
    }

    package mutating func begin() -> Step { Step(command: command()) }
    package mutating func resumed() -> Step { Step(command: command()) }

    // MARK: - Listing

    package mutating func listed(_ page: ObjectList) -> Step {
        guard case .listing(let earlier, let isPaged) = state else { preconditionFailure("no list was asked for") }
        var whole = earlier ?? page
        if earlier != nil { whole.append(page) }
        guard whole.continueToken == nil else {
            state = .listing(whole, isPaged: isPaged)
            return Step(command: command())
        }
        state = .opening(version: whole.resourceVersion)
        return Step(change: .replaced(whole.items), command: command())
    }

    // MARK: - Watching

    package mutating func opened(at now: Instant) -> Step {
        guard case .opening(let version) = state else { preconditionFailure("no watch was asked for") }
        state = .watching(version: version, since: now, hasSpoken: false)
        return Step(command: .read)
    }

    package mutating func received(_ event: WatchEvent, at now: Instant) -> Step {
        guard case .watching(let version, let since, _) = state else { preconditionFailure("no watch is open") }
        let change: Change?
        var next = version
        switch event {
        case .failed(let status): return failed(status, at: now)
        case .bookmark(let bookmark, _): (change, next) = (nil, bookmark)
        case .added(let object), .modified(let object):
            change = .applied(object)
            next = object.resourceVersion ?? version
        case .deleted(let object):
            change = .deleted(object)
            next = object.resourceVersion ?? version
        }
        failures = 0
        if now.duration(since: since) >= config.shortestWatch { hasJustExpired = false }
        state = .watching(version: next, since: since, hasSpoken: true)
        return Step(change: change, command: .read)
    }

    /// The server has ended the watch in order.
    package mutating func ended(at now: Instant) -> Step {
        guard case .watching(let version, let since, let hasSpoken) = state else { preconditionFailure("no watch is open") }
        state = .opening(version: version)
        let hasLasted = now.duration(since: since) >= config.shortestWatch
        if hasLasted { hasJustExpired = false }
        guard hasSpoken || hasLasted else { return pause(atLeast: nil) }
        failures = 0
        return Step(command: command())
    }

    // MARK: - Failing

    /// A list, a watch or the reading of one failed.
    package mutating func failed(_ status: APIStatus, at now: Instant) -> Step {
        switch state {
        case .listing(nil, _): break
        case .listing(.some, let isPaged):
            // A continuation that has expired: once more, and in one piece, which cannot expire.
            state = .listing(nil, isPaged: isPaged && status.code != 410)
        case .opening(let version):
            if status.isExpired || status.reason == .malformedAnswer { relist() } else { state = .opening(version: version) }
        case .watching(let version, let since, _):
            if now.duration(since: since) >= config.shortestWatch { (failures, hasJustExpired) = (0, false) }
            if status.isExpired || status.reason == .malformedAnswer { relist() } else { state = .opening(version: version) }
        }
        // The first time there is no reason to wait: history was compacted, nobody is overloaded.
        if status.isExpired, !hasJustExpired {
            hasJustExpired = true
            return Step(command: command())
        }
        return pause(atLeast: status.retryAfter)
    }

    private mutating func relist() {
        relists += 1
        state = .listing(nil, isPaged: true)
    }

    private mutating func pause(atLeast minimum: Duration?) -> Step {
        failures += 1
        let pause = config.backoff.pause(after: failures, using: &random)
        return Step(command: .pause(max(pause, minimum ?? .zero)))
    }

    private mutating func command() -> Command {
        switch state {
        case .listing(let whole, let isPaged):
            var options = ListOptions(labelSelector: config.labelSelector, fieldSelector: config.fieldSelector)
            options.limit = isPaged ? config.pageSize : nil
            options.continueToken = whole?.continueToken
            return .list(options)
        case .opening(let version):
            var options = WatchOptions(
                labelSelector: config.labelSelector, fieldSelector: config.fieldSelector, resourceVersion: version)
            let seconds = Int(config.watchTimeout.components.seconds)
            options.timeout = .seconds(seconds - Int.random(in: 0...(seconds / 5), using: &random))
            return .watch(options)
        case .watching: return .read
        }
    }
}

extension APIStatus {
    /// The version that was asked for is no longer known.
    package var isExpired: Bool { code == 410 || reason == .expired || reason == .gone }
}
