import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Budget keeper` {
    @Test func `calls in flight when the process ended count as used after the next start`() throws {
        try withTemporaryDirectory { directory in
            let first = try BudgetKeeper(sandbox: "demo", directory: directory)
            let settled = try first.reserve(promptTokens: 10, completionTokens: 90, limits: .none)
            first.settle(settled, usedTokens: 40)
            _ = try first.reserve(promptTokens: 5, completionTokens: 50, limits: .none)
            // `first` still holds the page, as a process that is killed does: nothing is flushed or closed.
            let second = try BudgetKeeper(sandbox: "demo", directory: directory)
            #expect(second.interruptedCalls == 1)
            #expect(second.interruptedTokens == 55)
            #expect(second.usage(limits: .none).daily.used == 95)
            let third = try BudgetKeeper(sandbox: "demo", directory: directory)
            #expect(third.interruptedCalls == 0)
            #expect(third.usage(limits: .none).daily.used == 95)
            _ = first
        }
    }

    @Test func `a damaged file, or another sandbox's, stops the start`() throws {
        try withTemporaryDirectory { directory in
            let path = "\(directory)/budgets.state"
            _ = try BudgetKeeper(sandbox: "demo", directory: directory)
            #expect(throws: BudgetStateError.self) { try BudgetKeeper(sandbox: "other", directory: directory) }
            try AtomicFile.write([UInt8](repeating: 7, count: BudgetImage.fileBytes), to: path, mode: 0o600)
            #expect(throws: BudgetStateError.self) { try BudgetKeeper(sandbox: "demo", directory: directory) }
            try AtomicFile.write([], to: path, mode: 0o600)
            #expect(throws: BudgetStateError.self) { try BudgetKeeper(sandbox: "demo", directory: directory) }
        }
    }

    @Test func `a flush finds nothing wrong`() throws {
        try withTemporaryDirectory { directory in
            let keeper = try BudgetKeeper(sandbox: "demo", directory: directory)
            _ = try keeper.reserve(promptTokens: 1, completionTokens: 1, limits: .none)
            keeper.flush()
            #expect(keeper.problem == nil)
        }
    }
}
