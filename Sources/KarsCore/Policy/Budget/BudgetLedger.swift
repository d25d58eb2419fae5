/// Who has used how many tokens, and how many are promised to calls in flight (spec/router 10).
///
/// A call *reserves* what it may need before it is sent, so that any number of calls at once cannot pass a limit together; it
/// *settles* for what the provider counted, or *releases* when it never reached one. The ledger is a value: whoever shares it
/// puts it behind one lock and, under that lock, writes what `drainJournal` returns before letting the call go. A process
/// that dies with calls in flight then finds their reservations in the journal and counts them as used: the provider may
/// have answered, and a budget errs on the side of the payer.
package struct BudgetLedger: Sendable {
    /// How much completion is reserved for a call that sets no limit of its own, in tokens.
    package static let defaultCompletionTokens = 4_096
    /// A call is not worth sending with room for fewer completion tokens than this.
    package static let minimumCompletionTokens = 16
    /// Calls in flight; a router has far fewer.
    package static let maxReservations = 65_536
    package static let maxSandboxes = 65_536

    struct Account: Equatable, Sendable {
        var period: BudgetPeriod
        var daily = 0
        var monthly = 0
    }

    package struct Reservation: Equatable, Sendable {
        package let id: UInt64
        package let sandbox: String
        package let tokens: Int
        /// When it was made: tokens count in that day and month whenever the answer arrives.
        package let period: BudgetPeriod
        /// The most completion tokens that keep the call within its budget: what to send as the limit when the client set
        /// none. Nil when nothing limits the call.
        package let completionAllowance: Int?
    }

    var accounts: [String: Account] = [:]
    var outstanding: [UInt64: Reservation] = [:]
    var nextID: UInt64 = 1
    /// Which snapshot the journal continues.
    var generation: UInt64 = 0
    private var journal: [UInt8] = []
    /// Bytes of journal since the last snapshot: when to write another.
    package private(set) var journalBytes = 0

    package init() {}

    package var reservations: Int { outstanding.count }
}

// MARK: - Reserve, settle, release

extension BudgetLedger {
    /// Sets aside what a call may need. Throws the refusal for the first limit that it would pass: day, month, then request.
    ///
    /// - Parameters:
    ///   - promptTokens: estimated from the request.
    ///   - completionTokens: what the client asks for; nil takes a default, cut to what is left.
    package mutating func reserve(
        sandbox: String, promptTokens: Int, completionTokens: Int?, limits: TokenLimits, now: UTCTime
    ) throws(Refusal) -> Reservation {
        let prompt = max(0, promptTokens)
        let asked = completionTokens.map { max(0, $0) }
        let view = usage(of: sandbox, limits: limits, now: now)
        let atLeast = prompt.saturatingAdd(asked ?? Self.minimumCompletionTokens)
        for window in [view.daily, view.monthly] where !window.hasRoom(for: atLeast) {
            throw exceeded(window, sandbox: sandbox, needed: atLeast, now: now)
        }
        if let cap = limits.perRequest, let asked, asked > cap {
            throw Refusal(
                stage: .budget, code: "per_request_tokens_exceeded", type: "token_budget_exceeded", rule: "budget:request",
                reason: "the request asks for \(asked) completion tokens, the limit per request is \(cap); ask for fewer",
                status: 429)
        }
        guard outstanding.count < Self.maxReservations, accounts[sandbox] != nil || accounts.count < Self.maxSandboxes else {
            throw Refusal(
                stage: .budget, code: "budget_exceeded", type: "token_budget_exceeded",
                reason: "too many calls are in flight to keep account of another", status: 429, retryAfter: .seconds(1))
        }
        let room = [view.daily.remaining, view.monthly.remaining].compactMap(\.self).min()
        var completion = asked ?? min(Self.defaultCompletionTokens, limits.perRequest ?? .max)
        if let room, asked == nil { completion = min(completion, room - prompt) }
        let isLimited = room != nil || limits.perRequest != nil
        let reservation = Reservation(
            id: nextID, sandbox: sandbox, tokens: prompt.saturatingAdd(completion), period: effectivePeriod(of: sandbox, now),
            completionAllowance: isLimited ? completion : nil)
        nextID += 1
        outstanding[reservation.id] = reservation
        append(.reserve(reservation))
        return reservation
    }

    /// Counts what the call used, or all that it had reserved when the provider did not say. Returns what was counted.
    ///
    /// May pass a limit when the provider spent more than was asked for; the next reservation then fails. Settling twice, or
    /// after a release, counts nothing.
    @discardableResult
    package mutating func settle(_ reservation: Reservation, usedTokens: Int?) -> Int {
        guard let held = outstanding.removeValue(forKey: reservation.id) else { return 0 }
        let used = max(0, usedTokens ?? held.tokens)
        count(used, for: held.sandbox, in: held.period)
        append(.settle(id: held.id, tokens: used))
        return used
    }

    /// Gives back all that was reserved: the call never reached a provider.
    package mutating func release(_ reservation: Reservation) {
        guard outstanding.removeValue(forKey: reservation.id) != nil else { return }
        append(.release(id: reservation.id))
    }

    /// What to append to the journal, durably as far as wanted, before acting on the calls since the last time.
    package mutating func drainJournal() -> [UInt8] {
        defer { journal = [] }
        return journal
    }

    private mutating func append(_ record: BudgetRecord) {
        let line = record.encoded()
        journal += line
        journalBytes += line.count
    }

    mutating func startJournal(generation: UInt64) -> [UInt8] {
        self.generation = generation
        let head = BudgetRecord.begin(generation: generation).encoded()
        journal = []
        journalBytes = head.count
        return head
    }

    mutating func count(_ tokens: Int, for sandbox: String, in period: BudgetPeriod) {
        var account = accounts[sandbox] ?? Account(period: period)
        // A late answer to a call of yesterday does not bring yesterday's counter back.
        if period.day > account.period.day {
            account.period.day = period.day
            account.daily = 0
        }
        if period.month > account.period.month {
            account.period.month = period.month
            account.monthly = 0
        }
        if period.day == account.period.day { account.daily = account.daily.saturatingAdd(tokens) }
        if period.month == account.period.month { account.monthly = account.monthly.saturatingAdd(tokens) }
        accounts[sandbox] = account
    }

    /// The period of `now`, but never before one that was already counted in: a clock set back opens no fresh budget.
    private func effectivePeriod(of sandbox: String, _ now: UTCTime) -> BudgetPeriod {
        var period = BudgetPeriod(at: now)
        if let account = accounts[sandbox] {
            period.day = max(period.day, account.period.day)
            period.month = max(period.month, account.period.month)
        }
        return period
    }
}

// MARK: - Figures

/// What one sandbox has used and has left: for refusals, response headers and status.
package struct BudgetUsage: Equatable, Sendable {
    package struct Window: Equatable, Sendable {
        /// `daily` or `monthly`.
        package var name: String
        package var used: Int
        /// Promised to calls in flight.
        package var reserved: Int
        package var limit: Int?
        package var resetsAt: UTCTime

        /// Nil without a limit.
        package var remaining: Int? { limit.map { max(0, $0.saturatingSubtract(used.saturatingAdd(reserved))) } }

        func hasRoom(for tokens: Int) -> Bool { remaining.map { $0 >= tokens } ?? true }
    }

    package var daily: Window
    package var monthly: Window

    /// Fields for an answer, those of windows without a limit left out.
    package var headers: [(name: String, value: String)] {
        [daily, monthly].flatMap { window -> [(name: String, value: String)] in
            guard let limit = window.limit, let remaining = window.remaining else { return [] }
            return [
                ("x-kars-budget-\(window.name)-limit", String(limit)),
                ("x-kars-budget-\(window.name)-remaining", String(remaining)),
                ("x-kars-budget-\(window.name)-reset", window.resetsAt.rfc3339),
            ]
        }
    }

    package var json: JSON {
        func object(_ window: Window) -> JSON {
            [
                "used": .int(window.used), "reserved": .int(window.reserved), "limit": window.limit.map(JSON.int) ?? .null,
                "remaining": window.remaining.map(JSON.int) ?? .null, "resets_at": .string(window.resetsAt.rfc3339),
            ]
        }
        return ["daily": object(daily), "monthly": object(monthly)]
    }
}

extension BudgetLedger {
    package func usage(of sandbox: String, limits: TokenLimits, now: UTCTime) -> BudgetUsage {
        let period = effectivePeriod(of: sandbox, now)
        let account = accounts[sandbox]
        var reservedToday = 0
        var reservedThisMonth = 0
        for reservation in outstanding.values where reservation.sandbox == sandbox {
            if reservation.period.day == period.day { reservedToday = reservedToday.saturatingAdd(reservation.tokens) }
            if reservation.period.month == period.month {
                reservedThisMonth = reservedThisMonth.saturatingAdd(reservation.tokens)
            }
        }
        return BudgetUsage(
            daily: BudgetUsage.Window(
                name: "daily", used: account?.period.day == period.day ? account?.daily ?? 0 : 0, reserved: reservedToday,
                limit: limits.daily, resetsAt: now.startOfNextDay),
            monthly: BudgetUsage.Window(
                name: "monthly", used: account?.period.month == period.month ? account?.monthly ?? 0 : 0,
                reserved: reservedThisMonth, limit: limits.monthly, resetsAt: now.startOfNextMonth))
    }

    /// Sandboxes with anything on their account, for the operator's view.
    package var sandboxes: [String] { accounts.keys.sorted() }

    private func exceeded(_ window: BudgetUsage.Window, sandbox: String, needed: Int, now: UTCTime) -> Refusal {
        let limit = window.limit ?? 0
        var reason = "\(window.name) token budget of sandbox '\(sandbox)' exceeded: \(window.used)/\(limit) used"
        if window.reserved > 0 { reason += ", \(window.reserved) reserved by calls in flight" }
        // What is reserved comes back as soon as those calls end; what is used only with the next window.
        let isOnlyBusy = window.reserved > 0 && limit.saturatingSubtract(window.used) >= needed
        reason +=
            isOnlyBusy
            ? ", this call may need \(needed); retry when they have ended"
            : ", this call may need \(needed); resets at \(window.resetsAt.rfc3339)"
        return Refusal(
            stage: .budget, code: "budget_exceeded", type: "token_budget_exceeded", rule: "budget:\(window.name)", reason: reason,
            status: 429, retryAfter: isOnlyBusy ? .seconds(1) : max(.seconds(1), window.resetsAt.duration(since: now)))
    }
}

extension Int {
    fileprivate func saturatingAdd(_ other: Int) -> Int {
        let sum = addingReportingOverflow(other)
        return sum.overflow ? .max : sum.partialValue
    }

    fileprivate func saturatingSubtract(_ other: Int) -> Int {
        let difference = subtractingReportingOverflow(other)
        return difference.overflow ? .min : difference.partialValue
    }
}
