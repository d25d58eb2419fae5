import KarsCore
import KarsTesting
import Testing

@Suite struct `Budget ledger` {
    /// 2026-01-31T23:00:00Z: an hour before both the day and the month end.
    static let now = UTCTime(seconds: 1_769_900_400)

    static func reserve(
        _ ledger: inout BudgetLedger, prompt: Int = 0, completion: Int?, _ limits: TokenLimits, now: UTCTime = now
    ) throws(Refusal) -> BudgetLedger.Reservation {
        try ledger.reserve(sandbox: "demo", promptTokens: prompt, completionTokens: completion, limits: limits, now: now)
    }

    @Test func `the fixture's time is what it says`() {
        #expect(Self.now.rfc3339 == "2026-01-31T23:00:00Z")
        #expect(BudgetPeriod(at: Self.now) == BudgetPeriod(day: 739_647, month: 24_312))
    }

    @Test func `the call that would pass the day's limit is refused with the time of reset`() throws {
        var ledger = BudgetLedger()
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
        var ledger = BudgetLedger()
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
        var ledger = BudgetLedger()
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
        #expect(ledger.usage(of: "demo", limits: limits, now: Self.now).daily.used == 60)
    }

    @Test func `a call without a limit of its own gets what is left`() throws {
        var ledger = BudgetLedger()
        #expect(try Self.reserve(&ledger, prompt: 10, completion: nil, .none).completionAllowance == nil)
        #expect(try Self.reserve(&ledger, prompt: 10, completion: nil, TokenLimits(perRequest: 50)).completionAllowance == 50)
        var tight = BudgetLedger()
        let reservation = try Self.reserve(&tight, prompt: 900, completion: nil, TokenLimits(daily: 1_000))
        #expect(reservation.completionAllowance == 100)
        #expect(reservation.tokens == 1_000)
        tight.settle(reservation, usedTokens: 950)
        #expect(throws: Refusal.self) { try Self.reserve(&tight, prompt: 40, completion: nil, TokenLimits(daily: 1_000)) }
    }

    @Test func `without the provider's count all that was reserved is used, and nothing counts twice`() throws {
        var ledger = BudgetLedger()
        let reservation = try Self.reserve(&ledger, prompt: 10, completion: 90, .none)
        #expect(ledger.settle(reservation, usedTokens: nil) == 100)
        #expect(ledger.settle(reservation, usedTokens: 5) == 0)
        ledger.release(reservation)
        #expect(ledger.usage(of: "demo", limits: .none, now: Self.now).daily.used == 100)
        #expect(ledger.reservations == 0)
    }

    @Test func `a new day and a new month start from zero, and late answers count where they were asked`() throws {
        var ledger = BudgetLedger()
        let limits = TokenLimits(daily: 1_000, monthly: 10_000)
        let late = try Self.reserve(&ledger, completion: 400, limits)
        let tomorrow = Self.now.advanced(by: .seconds(3_600))
        #expect(ledger.usage(of: "demo", limits: limits, now: tomorrow).daily.reserved == 0)
        let early = try Self.reserve(&ledger, completion: 300, limits, now: tomorrow)
        ledger.settle(early, usedTokens: 300)
        ledger.settle(late, usedTokens: 400)
        let view = ledger.usage(of: "demo", limits: limits, now: tomorrow)
        #expect(view.daily.used == 300)
        #expect(view.monthly.used == 300)
        #expect(view.daily.remaining == 700)
    }

    @Test func `a clock set back opens no fresh budget`() throws {
        var ledger = BudgetLedger()
        let limits = TokenLimits(daily: 100)
        let reservation = try Self.reserve(&ledger, completion: 100, limits)
        ledger.settle(reservation, usedTokens: 100)
        let yesterday = UTCTime(seconds: Self.now.seconds - 86_400)
        #expect(throws: Refusal.self) { try Self.reserve(&ledger, completion: 1, limits, now: yesterday) }
    }

    @Test func `absurd numbers saturate`() throws {
        var ledger = BudgetLedger()
        let reservation = try Self.reserve(&ledger, prompt: .max, completion: .max, .none)
        ledger.settle(reservation, usedTokens: .max)
        let again = try Self.reserve(&ledger, prompt: -5, completion: -5, .none)
        ledger.settle(again, usedTokens: .max)
        #expect(ledger.usage(of: "demo", limits: .none, now: Self.now).daily.used == .max)
        #expect(throws: Refusal.self) { try Self.reserve(&ledger, completion: 1, TokenLimits(daily: .max)) }
    }

    @Test func `headers and status tell what is left`() throws {
        var ledger = BudgetLedger()
        _ = try Self.reserve(&ledger, completion: 30, TokenLimits(daily: 100))
        let view = ledger.usage(of: "demo", limits: TokenLimits(daily: 100), now: Self.now)
        #expect(
            view.headers.map { "\($0.name): \($0.value)" } == [
                "x-kars-budget-daily-limit: 100", "x-kars-budget-daily-remaining: 70",
                "x-kars-budget-daily-reset: 2026-02-01T00:00:00Z",
            ])
        #expect(view.json["daily"]?["reserved"]?.intValue == 30)
        #expect(view.json["monthly"]?["limit"]?.isNull == true)
    }

    // MARK: Persistence

    @Test func `a reservation whose process was killed counts as used`() throws {
        var ledger = BudgetLedger()
        var journal = ledger.compact().journalHead
        let settled = try Self.reserve(&ledger, completion: 100, .none)
        let released = try Self.reserve(&ledger, completion: 100, .none)
        _ = try Self.reserve(&ledger, completion: 55, .none)
        ledger.settle(settled, usedTokens: 40)
        ledger.release(released)
        journal += ledger.drainJournal()
        var first = BudgetLedger()
        let restored = try BudgetLedger.restore(snapshot: first.compact().snapshot, journal: journal)
        #expect(restored.interruptedCalls == 1)
        #expect(restored.interruptedTokens == 55)
        #expect(!restored.hadTornLine)
        #expect(restored.ledger.usage(of: "demo", limits: .none, now: Self.now).daily.used == 95)
        #expect(restored.ledger.reservations == 0)
    }

    @Test func `a file of another implementation is read, and ours can be read by it`() throws {
        let theirs = #"{"sandboxes":{"demo":{"day_key":739647,"daily":7,"month_key":24312,"monthly":70}}}"#
        var restored = try BudgetLedger.restore(snapshot: Array(theirs.utf8), journal: [])
        let view = restored.ledger.usage(of: "demo", limits: .none, now: Self.now)
        #expect(view.daily.used == 7)
        #expect(view.monthly.used == 70)
        let ours = try JSON(parsing: restored.ledger.compact().snapshot)
        #expect(ours["sandboxes"] == (try JSON(parsing: theirs))["sandboxes"])
    }

    @Test func `ending between the new snapshot and the new journal counts nothing twice`() throws {
        var ledger = BudgetLedger()
        let start = ledger.compact()
        let reservation = try Self.reserve(&ledger, completion: 100, .none)
        ledger.settle(reservation, usedTokens: 60)
        _ = try Self.reserve(&ledger, completion: 11, .none)
        let oldJournal = start.journalHead + ledger.drainJournal()
        let next = ledger.compact()
        let restored = try BudgetLedger.restore(snapshot: next.snapshot, journal: oldJournal)
        #expect(restored.ledger.usage(of: "demo", limits: .none, now: Self.now).daily.used == 71)
        #expect(throws: BudgetRestoreError(code: .snapshotMissing, reason: "")) {
            try BudgetLedger.restore(snapshot: start.snapshot, journal: next.journalHead)
        }
    }

    @Test func `a journal cut off anywhere restores, and never to less than was settled before the cut`() throws {
        var ledger = BudgetLedger()
        let start = ledger.compact()
        for _ in 0..<3 {
            let reservation = try Self.reserve(&ledger, completion: 100, .none)
            ledger.settle(reservation, usedTokens: 60)
        }
        let journal = start.journalHead + ledger.drainJournal()
        for cut in 0...journal.count {
            let restored = try BudgetLedger.restore(snapshot: start.snapshot, journal: Array(journal[..<cut]))
            let used = restored.ledger.usage(of: "demo", limits: .none, now: Self.now).daily.used
            let settled = String(decoding: journal[..<cut], as: UTF8.self).split(separator: "\n").filter {
                $0.contains("settle") && $0.hasSuffix("}")
            }.count
            #expect(used >= settled * 60 && used <= 3 * 100)
            #expect(restored.hadTornLine == (cut > 0 && journal[cut - 1] != UInt8(ascii: "\n")))
        }
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"sandboxes":{"a":{}}}"#, #"{"sandboxes":{"a":{"day_key":1,"daily":-1,"month_key":1,"monthly":0}}}"#,
        #"{"sandboxes":{},"v":9}"#, #"{"sandboxes":{},"reservations":[{}]}"#,
    ])
    func `a damaged snapshot is an error, not a fresh budget`(text: String) {
        #expect(throws: BudgetRestoreError(code: .snapshotMalformed, reason: "")) {
            try BudgetLedger.restore(snapshot: Array(text.utf8), journal: [])
        }
    }

    @Test(arguments: [
        "\n", "x\n", "{\"op\":\"settle\",\"id\":1,\"tokens\":1}\n", "{\"op\":\"begin\",\"v\":1,\"generation\":0}\n{}\n",
    ])
    func `a damaged journal is an error`(text: String) {
        #expect(throws: BudgetRestoreError(code: .journalMalformed, reason: "")) {
            try BudgetLedger.restore(snapshot: nil, journal: Array(text.utf8))
        }
    }

    @Test(arguments: 0..<50 as Range<UInt64>)
    func `in any order of events the journal says what the ledger knows, and no limit is passed`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var ledger = BudgetLedger()
        let limits = TokenLimits(daily: 5_000)
        let start = ledger.compact()
        var journal = start.journalHead
        var held: [BudgetLedger.Reservation] = []
        for _ in 0..<300 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0:
                if let reservation = try? Self.reserve(
                    &ledger, prompt: Int.random(in: 0...50, using: &random),
                    completion: Bool.random(using: &random) ? Int.random(in: 1...300, using: &random) : nil, limits)
                {
                    held.append(reservation)
                }
            case 1:
                guard let index = held.indices.randomElement(using: &random) else { continue }
                let reservation = held.remove(at: index)
                ledger.settle(reservation, usedTokens: Int.random(in: 0...reservation.tokens, using: &random))
            default:
                guard let index = held.indices.randomElement(using: &random) else { continue }
                ledger.release(held.remove(at: index))
            }
            journal += ledger.drainJournal()
            let view = ledger.usage(of: "demo", limits: limits, now: Self.now)
            #expect(view.daily.used + view.daily.reserved <= 5_000)
        }
        let restored = try BudgetLedger.restore(snapshot: start.snapshot, journal: journal)
        let known = ledger.usage(of: "demo", limits: limits, now: Self.now).daily
        #expect(restored.ledger.usage(of: "demo", limits: limits, now: Self.now).daily.used == known.used + known.reserved)
    }
}
