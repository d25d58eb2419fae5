/// How many tokens a sandbox may use; nil means no limit.
package struct TokenLimits: Equatable, Sendable {
    /// Completion tokens that one call may ask for.
    package var perRequest: Int?
    /// Tokens per UTC day.
    package var daily: Int?
    /// Tokens per UTC month.
    package var monthly: Int?

    /// Zero and negative numbers mean no limit, as in the files (spec/router 10).
    package init(perRequest: Int? = nil, daily: Int? = nil, monthly: Int? = nil) {
        self.perRequest = perRequest.flatMap { $0 > 0 ? $0 : nil }
        self.daily = daily.flatMap { $0 > 0 ? $0 : nil }
        self.monthly = monthly.flatMap { $0 > 0 ? $0 : nil }
    }

    package static let none = TokenLimits()
}

/// The day and month that tokens are counted in.
package struct BudgetPeriod: Hashable, Sendable {
    /// Ordinal of the UTC date, 1 being 0001-01-01.
    package var day: Int64
    /// `year * 12 + month - 1`.
    package var month: Int64

    package init(day: Int64, month: Int64) {
        self.day = day
        self.month = month
    }

    package init(at now: UTCTime) {
        let date = now.date
        self.init(day: now.dayOrdinal, month: Int64(date.year) * 12 + Int64(date.month) - 1)
    }
}
