/// The calls that wait for a person's approval, and what was decided about each (spec/router 14.5).
///
/// An approval is for exactly one call: the action, what it carries and the rule that asked, once, within its time. The side that
/// calls can only ask; who approves comes from elsewhere. A value without clock or randomness, so that every path is a test.
package struct ApprovalQueue: Sendable {
    package struct Config: Equatable, Sendable {
        /// Tickets at one time, decided ones that nobody has used included.
        package var maxTickets = 256
        /// How long a ticket can be decided.
        package var timeToDecide = Duration.seconds(300)
        /// How long a decision holds.
        package var timeToUse = Duration.seconds(300)

        package init() {}
    }

    /// What must be the same for an approval to hold.
    package struct Call: Hashable, Sendable {
        package var action: String
        package var rule: String
        /// Digest of what the call carries.
        package var digest: String

        package init(action: String, rule: String, digest: String) {
            self.action = action
            self.rule = rule
            self.digest = digest
        }
    }

    package enum State: Equatable, Sendable { case pending, approved, denied }

    package struct Ticket: Equatable, Sendable {
        /// What a person names.
        package let id: String
        package let call: Call
        /// How many different people must approve.
        package let minimum: Int
        package let asked: Instant
        /// Until when it can be decided or, once decided, used.
        package fileprivate(set) var expires: Instant
        package fileprivate(set) var approvers: [String] = []
        package fileprivate(set) var state = State.pending
    }

    /// What becomes of a call that needs an approval.
    package enum Answer: Equatable, Sendable {
        /// It was approved and may be made, this once.
        case granted(Ticket)
        case waiting(Ticket)
        case denied(Ticket)
        /// There are as many tickets as there may be; retry after this time.
        case full(rule: String, retryAfter: Duration)
    }

    package enum Problem: Error, Equatable, CustomStringConvertible {
        case unknown(String)
        case decided(String)
        case alreadyApproved(by: String)

        package var description: String {
            switch self {
            case .unknown(let id): "there is no ticket \(id); it may have expired"
            case .decided(let id): "ticket \(id) is decided already"
            case .alreadyApproved(let name): "\(name) has approved this already; the rule wants someone else too"
            }
        }
    }

    package let config: Config
    private var tickets: [Ticket] = []

    package init(_ config: Config = Config()) { self.config = config }

    /// All tickets, oldest first.
    package var all: [Ticket] { tickets }

    // MARK: - Asking

    /// Looks for a decision about `call` and files a ticket named `id` when there is none.
    package mutating func ask(_ call: Call, minimum: Int, id: @autoclosure () -> String, now: Instant) -> Answer {
        if let index = tickets.firstIndex(where: { $0.call == call && $0.expires > now }) { return answer(index) }
        guard tickets.count < config.maxTickets else {
            let next = tickets.map(\.expires).min() ?? now
            return .full(rule: call.rule, retryAfter: next > now ? next.duration(since: now) : .seconds(1))
        }
        let ticket = Ticket(
            id: id(), call: call, minimum: max(1, minimum), asked: now, expires: now.advanced(by: config.timeToDecide))
        tickets.append(ticket)
        return .waiting(ticket)
    }

    /// The same for a ticket that was filed; nil once it is past its time.
    package mutating func outcome(of id: String, now: Instant) -> Answer? {
        tickets.firstIndex { $0.id == id && $0.expires > now }.map { answer($0) }
    }

    package func isPending(_ id: String) -> Bool { tickets.contains { $0.id == id && $0.state == .pending } }

    private mutating func answer(_ index: Int) -> Answer {
        switch tickets[index].state {
        case .approved: .granted(tickets.remove(at: index))
        case .denied: .denied(tickets[index])
        case .pending: .waiting(tickets[index])
        }
    }

    // MARK: - Deciding

    /// Whether a decision would count: throws what `approve`, or without a name `deny`, would throw.
    package func check(_ id: String, by name: String?, now: Instant) throws(Problem) {
        let index = try pending(id, now)
        if let name, tickets[index].approvers.contains(name) { throw .alreadyApproved(by: name) }
    }

    /// Counts one approval; the ticket is approved once `minimum` different people have.
    package mutating func approve(_ id: String, by name: String, now: Instant) throws(Problem) -> Ticket {
        try check(id, by: name, now: now)
        let index = try pending(id, now)
        tickets[index].approvers.append(name)
        if tickets[index].approvers.count >= tickets[index].minimum { decide(index, .approved, now) }
        return tickets[index]
    }

    /// One denial is enough.
    package mutating func deny(_ id: String, now: Instant) throws(Problem) -> Ticket {
        let index = try pending(id, now)
        decide(index, .denied, now)
        return tickets[index]
    }

    /// Takes out what is past its time and returns what nobody had decided or used.
    package mutating func expire(now: Instant) -> [Ticket] {
        guard tickets.contains(where: { $0.expires <= now }) else { return [] }
        let expired = tickets.filter { $0.expires <= now && $0.state != .denied }
        tickets.removeAll { $0.expires <= now }
        return expired
    }

    private func pending(_ id: String, _ now: Instant) throws(Problem) -> Int {
        guard let index = tickets.firstIndex(where: { $0.id == id && $0.expires > now }) else { throw .unknown(id) }
        guard tickets[index].state == .pending else { throw .decided(id) }
        return index
    }

    private mutating func decide(_ index: Int, _ state: State, _ now: Instant) {
        tickets[index].state = state
        tickets[index].expires = now.advanced(by: config.timeToUse)
    }
}
