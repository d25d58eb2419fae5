import KarsCore
import KarsTesting
import Testing

@Suite struct `Budget ledger` {
    /// 2026-01-31T23:00:00Z: an hour before both the day and the month end.
    static let now = UTCTime(seconds: 1_769_900_400)

    static func reserve(
        _ ledger: inout BudgetLedger, prompt: Int = 0, completion: Int?, _ limits: TokenLimits, now: UTCTime = now
    ) throws(Refusal) -> BudgetLedger.Reservation {
        try ledger.reserve(promptTokens: prompt, completionTokens: completion, limits: limits, now: now)
    }

    @Test func `the fixture's time is what it says`() {
        #expect(Self.now.rfc3339 == "2026-01-31T23:00:00Z")
        #expect(BudgetPeriod(at: Self.now) == BudgetPeriod(day: 739_647, month: 24_312))
    }

    @Test func `the call that would pass the day's limit is refused with the time of reset`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let limits = TokenLimits(daily: 1_000)
        let first = try Self.reserve(&ledger, prompt: 100, completion: 500, limits)
        #expect(ledger.settle(first, usedTokens: 700) == 700)
        let refusal = #expect(throws: Refusal.self) { try Self.reserve(&ledger, prompt: 100, completion: 300, limits) }
        #expect(refusal?.status == 429)
        #expect(refusal?.code == "budget_exceeded")
        #expect(refusal?.type == "token_budget_exceeded")
        #expect(refusal?.rule == "budget:daily")
        #expect(refusal?.retryAfter == .seconds(3_600))
        #expect(refusal?.reason.contains("700/1000") == true)
        #expect(refusal?.reason.contains("2026-02-01T00:00:00Z") == true)
        #expect(throws: Never.self) { try Self.reserve(&ledger, prompt: 100, completion: 200, limits) }
    }

    @Test func `day comes before month, and month before the request's own limit`() {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        func code(_ limits: TokenLimits) -> String? {
            do {
                let reservation = try Self.reserve(&ledger, completion: 100, limits)
                ledger.release(reservation)
                return nil
            } catch { return error.rule }
        }
        #expect(code(TokenLimits(perRequest: 1, daily: 1, monthly: 1)) == "budget:daily")
        #expect(code(TokenLimits(perRequest: 1, daily: 100, monthly: 1)) == "budget:monthly")
        #expect(code(TokenLimits(perRequest: 1, daily: 100, monthly: 100)) == "budget:request")
        #expect(code(TokenLimits(perRequest: 0, daily: 0, monthly: -5)) == nil)
    }

    @Test func `calls at once cannot pass the limit together`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let limits = TokenLimits(daily: 1_000)
        var held: [BudgetLedger.Reservation] = []
        for _ in 0..<50 {
            if let reservation = try? Self.reserve(&ledger, prompt: 50, completion: 100, limits) { held.append(reservation) }
        }
        #expect(held.count == 6)
        let refusal = #expect(throws: Refusal.self) { try Self.reserve(&ledger, prompt: 50, completion: 100, limits) }
        // Only calls in flight are in the way: no need to wait for tomorrow.
        #expect(refusal?.retryAfter == .seconds(1))
        for reservation in held { ledger.settle(reservation, usedTokens: 10) }
        #expect(ledger.usage(limits: limits, now: Self.now).daily.used == 60)
    }

    @Test func `a call without a limit of its own gets what is left`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        #expect(try Self.reserve(&ledger, prompt: 10, completion: nil, .none).completionAllowance == nil)
        #expect(try Self.reserve(&ledger, prompt: 10, completion: nil, TokenLimits(perRequest: 50)).completionAllowance == 50)
        var tight = BudgetLedger(sandbox: "demo", now: Self.now)
        let reservation = try Self.reserve(&tight, prompt: 900, completion: nil, TokenLimits(daily: 1_000))
        #expect(reservation.completionAllowance == 100)
        #expect(reservation.tokens == 1_000)
        tight.settle(reservation, usedTokens: 950)
        #expect(throws: Refusal.self) { try Self.reserve(&tight, prompt: 40, completion: nil, TokenLimits(daily: 1_000)) }
    }

    @Test func `without the provider's count all that was reserved is used, and nothing counts twice`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let reservation = try Self.reserve(&ledger, prompt: 10, completion: 90, .none)
        #expect(ledger.settle(reservation, usedTokens: nil) == 100)
        #expect(ledger.settle(reservation, usedTokens: 5) == 0)
        ledger.release(reservation)
        #expect(ledger.usage(limits: .none, now: Self.now).daily.used == 100)
        #expect(ledger.reservations == 0)
    }

    @Test func `a new day and a new month start from zero, and late answers count where they were asked`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let limits = TokenLimits(daily: 1_000, monthly: 10_000)
        let late = try Self.reserve(&ledger, completion: 400, limits)
        let tomorrow = Self.now.advanced(by: .seconds(3_600))
        #expect(ledger.usage(limits: limits, now: tomorrow).daily.reserved == 0)
        let early = try Self.reserve(&ledger, completion: 300, limits, now: tomorrow)
        ledger.settle(early, usedTokens: 300)
        ledger.settle(late, usedTokens: 400)
        let view = ledger.usage(limits: limits, now: tomorrow)
        #expect(view.daily.used == 300)
        #expect(view.monthly.used == 300)
        #expect(view.daily.remaining == 700)
    }

    @Test func `a clock set back opens no fresh budget`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let limits = TokenLimits(daily: 100)
        let reservation = try Self.reserve(&ledger, completion: 100, limits)
        ledger.settle(reservation, usedTokens: 100)
        let yesterday = UTCTime(seconds: Self.now.seconds - 86_400)
        #expect(throws: Refusal.self) { try Self.reserve(&ledger, completion: 1, limits, now: yesterday) }
    }

    @Test func `absurd numbers saturate`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let reservation = try Self.reserve(&ledger, prompt: .max, completion: .max, .none)
        ledger.settle(reservation, usedTokens: .max)
        let again = try Self.reserve(&ledger, prompt: -5, completion: -5, .none)
        ledger.settle(again, usedTokens: .max)
        #expect(ledger.usage(limits: .none, now: Self.now).daily.used == .max)
        #expect(throws: Refusal.self) { try Self.reserve(&ledger, completion: 1, TokenLimits(daily: .max)) }
    }

    @Test func `headers and status tell what is left`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        _ = try Self.reserve(&ledger, completion: 30, TokenLimits(daily: 100))
        let view = ledger.usage(limits: TokenLimits(daily: 100), now: Self.now)
        #expect(
            view.headers.map { "\($0.name): \($0.value)" } == [
                "x-kars-budget-daily-limit: 100", "x-kars-budget-daily-remaining: 70",
                "x-kars-budget-daily-reset: 2026-02-01T00:00:00Z",
            ])
        #expect(view.json["daily"]?["reserved"]?.intValue == 30)
        #expect(view.json["monthly"]?["limit"]?.isNull == true)
    }

    // MARK: Restart

    @Test func `a reservation whose process was killed counts as used`() throws {
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let settled = try Self.reserve(&ledger, completion: 100, .none)
        let released = try Self.reserve(&ledger, completion: 100, .none)
        _ = try Self.reserve(&ledger, completion: 55, .none)
        ledger.settle(settled, usedTokens: 40)
        ledger.release(released)
        #expect(ledger.image.callsInFlight == 1)
        #expect(ledger.image.reservedToday == 55)
        let restored = BudgetLedger(sandbox: "demo", restoring: ledger.image)
        #expect(restored.usage(limits: .none, now: Self.now).daily.used == 95)
        #expect(restored.usage(limits: .none, now: Self.now).monthly.used == 95)
        #expect(restored.reservations == 0)
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `in any order of events the image says what the ledger knows, and no limit is passed`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var ledger = BudgetLedger(sandbox: "demo", now: Self.now)
        let limits = TokenLimits(daily: 5_000)
        var now = Self.now
        var held: [BudgetLedger.Reservation] = []
        for _ in 0..<300 {
            switch Int.random(in: 0..<7, using: &random) {
            case 0, 1:
                if let reservation = try? Self.reserve(
                    &ledger, prompt: Int.random(in: 0...50, using: &random),
                    completion: Bool.random(using: &random) ? Int.random(in: 1...300, using: &random) : nil, limits, now: now)
                {
                    held.append(reservation)
                }
            case 2, 3:
                guard let index = held.indices.randomElement(using: &random) else { continue }
                let reservation = held.remove(at: index)
                ledger.settle(reservation, usedTokens: Int.random(in: 0...reservation.tokens, using: &random))
            case 4, 5:
                guard let index = held.indices.randomElement(using: &random) else { continue }
                ledger.release(held.remove(at: index))
            default: now = now.advanced(by: .seconds(Int.random(in: 0...20_000, using: &random)))
            }
            let view = ledger.usage(limits: limits, now: now)
            #expect(view.daily.used + view.daily.reserved <= 5_000)
            let today = held.filter { $0.period.day == BudgetPeriod(at: now).day }.reduce(0) { $0 + $1.tokens }
            #expect(view.daily.reserved == today)
            let restored = BudgetLedger(sandbox: "demo", restoring: ledger.image).usage(limits: limits, now: now)
            #expect(restored.daily.used == view.daily.used + view.daily.reserved)
            #expect(restored.monthly.used == view.monthly.used + view.monthly.reserved)
        }
    }
}
