/// How many tokens one sandbox has used, and how many are promised to calls in flight (spec/router 10).
///
/// A call *reserves* what it may need before it is sent, so that any number of calls at once cannot pass a limit together; it
/// *settles* for what the provider counted, or *releases* when it never reached one. The ledger is a value: whoever shares it
/// puts it behind one lock and, under that lock, stores `image` before letting the call go. A process that dies with calls in
/// flight then finds their reservations in the image and counts them as used: the provider may have answered, and a budget
/// errs on the side of the payer.
package struct BudgetLedger: Sendable {
    /// How much completion is reserved for a call that sets no limit of its own, in tokens.
    package static let defaultCompletionTokens = 4_096
    /// A call is not worth sending with room for fewer completion tokens than this.
    package static let minimumCompletionTokens = 16
    /// Calls in flight; a router has far fewer.
    package static let maxReservations = 65_536

    package struct Reservation: Equatable, Sendable {
        package let id: UInt64
        package let tokens: Int
        /// When it was made: tokens count in that day and month whenever the answer arrives.
        package let period: BudgetPeriod
        /// The most completion tokens that keep the call within its budget: what to send as the limit when the client set
        /// none. Nil when nothing limits the call.
        package let completionAllowance: Int?
    }

    package let sandbox: String
    /// What `used` counts; never goes back, so that a clock set back opens no fresh budget.
    private var period: BudgetPeriod
    private var used = Tokens()
    /// Promised in `period`; a reservation of an earlier day no longer weighs on this one.
    private var reserved = Tokens()
    private var outstanding: [UInt64: Reservation] = [:]
    private var nextID: UInt64 = 1

    private struct Tokens: Sendable {
        var daily = 0
        var monthly = 0
    }

    package init(sandbox: String, now: UTCTime) {
        self.sandbox = sandbox
        period = BudgetPeriod(at: now)
    }

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
        promptTokens: Int, completionTokens: Int?, limits: TokenLimits, now: UTCTime
    ) throws(Refusal) -> Reservation {
        enter(BudgetPeriod(at: now))
        let prompt = max(0, promptTokens)
        let asked = completionTokens.map { max(0, $0) }
        let atLeast = prompt.saturatingAdd(asked ?? Self.minimumCompletionTokens)
        let room = [
            Self.room(limits.daily, used.daily, reserved.daily), Self.room(limits.monthly, used.monthly, reserved.monthly),
        ]
        if let short = room.firstIndex(where: { $0.map { $0 < atLeast } ?? false }) {
            let view = usage(limits: limits, now: now)
            throw exceeded(short == 0 ? view.daily : view.monthly, needed: atLeast, now: now)
        }
        if let cap = limits.perRequest, let asked, asked > cap {
            throw Refusal(
                stage: .budget, code: "per_request_tokens_exceeded", type: "token_budget_exceeded", rule: "budget:request",
                reason: "the request asks for \(asked) completion tokens, the limit per request is \(cap); ask for fewer",
                status: 429)
        }
        guard outstanding.count < Self.maxReservations else {
            throw Refusal(
                stage: .budget, code: "budget_exceeded", type: "token_budget_exceeded",
                reason: "too many calls are in flight to keep account of another", status: 429, retryAfter: .seconds(1))
        }
        let least = room.compactMap(\.self).min()
        var completion = asked ?? min(Self.defaultCompletionTokens, limits.perRequest ?? .max)
        if let least, asked == nil { completion = min(completion, least - prompt) }
        let isLimited = least != nil || limits.perRequest != nil
        let reservation = Reservation(
            id: nextID, tokens: prompt.saturatingAdd(completion), period: period,
            completionAllowance: isLimited ? completion : nil)
        nextID += 1
        outstanding[reservation.id] = reservation
        reserved.daily = reserved.daily.saturatingAdd(reservation.tokens)
        reserved.monthly = reserved.monthly.saturatingAdd(reservation.tokens)
        return reservation
    }

    /// Counts what the call used, or all that it had reserved when the provider did not say. Returns what was counted.
    ///
    /// May pass a limit when the provider spent more than was asked for; the next reservation then fails. Settling twice, or
    /// after a release, counts nothing.
    @discardableResult
    package mutating func settle(_ reservation: Reservation, usedTokens: Int?) -> Int {
        guard let held = giveBack(reservation) else { return 0 }
        let tokens = max(0, usedTokens ?? held.tokens)
        if held.period.day == period.day { used.daily = used.daily.saturatingAdd(tokens) }
        if held.period.month == period.month { used.monthly = used.monthly.saturatingAdd(tokens) }
        return tokens
    }

    /// Gives back all that was reserved: the call never reached a provider.
    package mutating func release(_ reservation: Reservation) { _ = giveBack(reservation) }

    private mutating func giveBack(_ reservation: Reservation) -> Reservation? {
        guard let held = outstanding.removeValue(forKey: reservation.id) else { return nil }
        // A sum that has saturated cannot be taken apart again; it is made anew.
        if reserved.monthly == .max || reserved.daily == .max {
            addUpReservations()
        } else {
            if held.period.day == period.day { reserved.daily -= held.tokens }
            if held.period.month == period.month { reserved.monthly -= held.tokens }
        }
        return held
    }

    /// Begins a new day or month when `now` lies in one.
    private mutating func enter(_ now: BudgetPeriod) {
        guard now.day > period.day || now.month > period.month else { return }
        if now.day > period.day { used.daily = 0 }
        if now.month > period.month { used.monthly = 0 }
        period.day = max(period.day, now.day)
        period.month = max(period.month, now.month)
        addUpReservations()
    }

    private mutating func addUpReservations() {
        reserved = Tokens()
        for reservation in outstanding.values {
            if reservation.period.day == period.day { reserved.daily = reserved.daily.saturatingAdd(reservation.tokens) }
            if reservation.period.month == period.month {
                reserved.monthly = reserved.monthly.saturatingAdd(reservation.tokens)
            }
        }
    }

    /// What is left of `limit`; nil without one.
    private static func room(_ limit: Int?, _ used: Int, _ reserved: Int) -> Int? {
        limit.map { max(0, $0.saturatingSubtract(used.saturatingAdd(reserved))) }
    }
}

// MARK: - Restart

extension BudgetLedger {
    /// What must outlive the process.
    package var image: BudgetImage {
        BudgetImage(
            period: period, usedToday: used.daily, usedThisMonth: used.monthly, reservedToday: reserved.daily,
            reservedThisMonth: reserved.monthly, callsInFlight: outstanding.count)
    }

    /// The ledger as another process left it: what was promised counts as used.
    package init(sandbox: String, restoring image: BudgetImage) {
        self.sandbox = sandbox
        period = image.period
        used = Tokens(
            daily: image.usedToday.saturatingAdd(image.reservedToday),
            monthly: image.usedThisMonth.saturatingAdd(image.reservedThisMonth))
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
    package func usage(limits: TokenLimits, now: UTCTime) -> BudgetUsage {
        var current = self
        current.enter(BudgetPeriod(at: now))
        return BudgetUsage(
            daily: BudgetUsage.Window(
                name: "daily", used: current.used.daily, reserved: current.reserved.daily, limit: limits.daily,
                resetsAt: now.startOfNextDay),
            monthly: BudgetUsage.Window(
                name: "monthly", used: current.used.monthly, reserved: current.reserved.monthly, limit: limits.monthly,
                resetsAt: now.startOfNextMonth))
    }

    private func exceeded(_ window: BudgetUsage.Window, needed: Int, now: UTCTime) -> Refusal {
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
