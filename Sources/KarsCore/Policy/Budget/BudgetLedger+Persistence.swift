/// Why the stored budgets cannot be trusted. Starting empty instead would hand out a fresh budget, so nothing starts.
package struct BudgetRestoreError: Error, Equatable, CustomStringConvertible {
    package enum Code: Equatable, Sendable { case snapshotMalformed, journalMalformed, snapshotMissing }

    package let code: Code
    package let reason: String

    package init(code: Code, reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { "budgets cannot be restored: \(reason)" }
    package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

extension BudgetLedger {
    /// What restoring found.
    package struct Restored: Sendable {
        package var ledger: BudgetLedger
        /// Calls that were in flight when the process ended; what they had reserved now counts as used.
        package var interruptedCalls: Int
        package var interruptedTokens: Int
        /// Whether the last line was cut off in the middle.
        package var hadTornLine: Bool
    }

    /// Everything as JSON: `{"sandboxes":{name:{day_key,daily,month_key,monthly}}}` as other implementations read it, and more.
    package var snapshot: JSON {
        let sandboxes = accounts.sorted { $0.key < $1.key }.map { name, account in
            (
                name,
                JSON.object([
                    "day_key": .int(Int(account.period.day)), "daily": .int(account.daily),
                    "month_key": .int(Int(account.period.month)), "monthly": .int(account.monthly),
                ])
            )
        }
        let reservations = outstanding.values.sorted { $0.id < $1.id }.map { reservation in
            JSON.object([
                "id": .int(Int(clamping: reservation.id)), "sandbox": .string(reservation.sandbox),
                "tokens": .int(reservation.tokens), "day_key": .int(Int(reservation.period.day)),
                "month_key": .int(Int(reservation.period.month)),
            ])
        }
        return [
            "sandboxes": .object(JSONObject(sandboxes)), "v": .int(BudgetRecord.version),
            "generation": .int(Int(clamping: generation)),
            "next_id": .int(Int(clamping: nextID)), "reservations": .array(reservations),
        ]
    }

    /// Starts another generation. The driver replaces the snapshot file first (write aside, sync, rename), then the journal
    /// with `journalHead`. Ending between the two is harmless: the old journal names the old generation and is not replayed.
    package mutating func compact() -> (snapshot: [UInt8], journalHead: [UInt8]) {
        let head = startJournal(generation: generation + 1)
        return (snapshot.encoded(pretty: true), head)
    }

    /// The state after `snapshot` (nil: no such file) and `journal`. The driver then calls `compact`, so that the next journal
    /// starts clean.
    package static func restore(snapshot: [UInt8]?, journal: [UInt8]) throws(BudgetRestoreError) -> Restored {
        var ledger = BudgetLedger()
        if let snapshot { try ledger.load(snapshot) }
        let hadTornLine = try ledger.replay(journal, hasSnapshot: snapshot != nil)
        let interrupted = ledger.outstanding.values.sorted { $0.id < $1.id }
        ledger.outstanding = [:]
        for reservation in interrupted { ledger.count(reservation.tokens, for: reservation.sandbox, in: reservation.period) }
        return Restored(
            ledger: ledger, interruptedCalls: interrupted.count,
            interruptedTokens: interrupted.reduce(0) { $0.addingReportingOverflow($1.tokens).partialValue },
            hadTornLine: hadTornLine)
    }

    private mutating func load(_ bytes: [UInt8]) throws(BudgetRestoreError) {
        func malformed(_ what: String) -> BudgetRestoreError {
            BudgetRestoreError(code: .snapshotMalformed, reason: "the snapshot \(what); move it away to start from zero")
        }
        let json: JSON
        do { json = try JSON(parsing: bytes) } catch { throw malformed("is not JSON: \(error)") }
        guard let sandboxes = json["sandboxes"]?.objectValue else { throw malformed("has no object 'sandboxes'") }
        if let version = json["v"], version.intValue != BudgetRecord.version { throw malformed("is of another version") }
        guard sandboxes.count <= Self.maxSandboxes else { throw malformed("names more than \(Self.maxSandboxes) sandboxes") }
        for (name, value) in sandboxes {
            guard let day = value.count("day_key"), let daily = value.count("daily"), let month = value.count("month_key"),
                let monthly = value.count("monthly")
            else { throw malformed("has no proper account for '\(name)'") }
            accounts[name] = Account(
                period: BudgetPeriod(day: Int64(day), month: Int64(month)), daily: daily, monthly: monthly)
        }
        generation = UInt64(json.count("generation") ?? 0)
        nextID = UInt64(max(1, json.count("next_id") ?? 1))
        for item in json["reservations"]?.arrayValue ?? [] {
            guard let reservation = Reservation(item), outstanding.count < Self.maxReservations else {
                throw malformed("has a malformed reservation")
            }
            outstanding[reservation.id] = reservation
            nextID = max(nextID, reservation.id + 1)
        }
    }

    /// Returns whether the last line was cut off.
    private mutating func replay(_ journal: [UInt8], hasSnapshot: Bool) throws(BudgetRestoreError) -> Bool {
        var lines = journal.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        // What follows the last newline was cut off in the middle of being written.
        let torn = lines.popLast().map { !$0.isEmpty } ?? false
        for (index, line) in lines.enumerated() {
            guard let record = BudgetRecord(line: Array(line)) else {
                throw BudgetRestoreError(
                    code: .journalMalformed,
                    reason: "line \(index + 1) of the journal is malformed; move it away to go on without")
            }
            switch (record, index) {
            case (.begin(let other), 0):
                if other < generation { return torn }
                guard other == generation else {
                    throw BudgetRestoreError(
                        code: .snapshotMissing,
                        reason: "the journal continues snapshot \(other), "
                            + (hasSnapshot ? "but the snapshot is \(generation)" : "but there is no snapshot"))
                }
            case (_, 0), (.begin, _):
                throw BudgetRestoreError(code: .journalMalformed, reason: "line \(index + 1) of the journal is out of place")
            case (.reserve(let reservation), _):
                outstanding[reservation.id] = reservation
                nextID = max(nextID, reservation.id + 1)
            case (.settle(let id, let tokens), _):
                if let held = outstanding.removeValue(forKey: id) { count(tokens, for: held.sandbox, in: held.period) }
            case (.release(let id), _): outstanding[id] = nil
            }
        }
        return torn
    }
}
