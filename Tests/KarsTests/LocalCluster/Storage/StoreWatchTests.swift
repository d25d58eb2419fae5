import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Store watch` {
    private func with(_ change: (inout StoreConfig) -> Void = { _ in }, _ body: (ObjectStore) async throws -> Void) async throws {
        try await withTemporaryDirectory { directory in
            var config = StoreConfig(directory: directory)
            change(&config)
            let store = try ObjectStore(config)
            try await body(store)
            await store.close()
        }
    }

    private func describe(_ step: StoreWatch.Step) -> [String] {
        switch step {
        case .events(let events, _): events.map { "\($0.kind) \($0.object.key.name)" }
        case .interrupted: ["interrupted"]
        case .expired: ["expired"]
        }
    }

    @Test func `what happened after a revision comes first, then what happens`() async throws {
        try await with { store in
            let a = try await store.create("a")
            let watch = StoreWatch(store, testCollection, after: a.revision)
            let a2 = try await store.replace(a, value: "2")
            let gone = try await store.delete(a2)
            #expect(describe(await watch.next()) == ["modified a", "deleted a"])
            #expect(gone.json.resourceVersion == String(gone.revision))
            async let step = watch.next()
            try await store.create("b")
            #expect(describe(await step) == ["added b"])
        }
    }

    @Test func `other collections do not wake a watch, and an interruption tells how far it has seen`() async throws {
        try await with { store in
            let watch = StoreWatch(store, CollectionName(group: "x", resource: "others"), after: store.revision)
            let a = try await store.create("a")
            async let step = watch.next()
            watch.interrupt()
            guard case .interrupted(let upTo) = await step else {
                Issue.record("not interrupted")
                return
            }
            #expect(upTo == a.revision)
        }
    }

    @Test func `a cancelled task does not wait`() async throws {
        try await with { store in
            let watch = StoreWatch(store, testCollection, after: store.revision)
            let task = Task { await watch.next() }
            task.cancel()
            #expect(describe(await task.value) == ["interrupted"])
        }
    }

    @Test func `a reader slower than the history has to start over`() async throws {
        try await with({ $0.historyEvents = 4 }) { store in
            let watch = StoreWatch(store, testCollection, after: store.revision)
            let quiet = StoreWatch(store, CollectionName(group: "x", resource: "others"), after: store.revision)
            for number in 0..<6 { try await store.create("n\(number)") }
            #expect(describe(await watch.next()) == ["expired"])
            // Nothing of the other collection was forgotten.
            quiet.interrupt()
            #expect(describe(await quiet.next()) == ["interrupted"])
        }
    }

    @Test func `the history is bounded in bytes`() async throws {
        try await with({ $0.historyBytes = 10_000 }) { store in
            let start = store.revision
            var object = try await store.create("a", value: String(repeating: "x", count: 4000))
            for _ in 0..<4 { object = try await store.replace(object, value: String(repeating: "y", count: 4000)) }
            #expect(describe(await StoreWatch(store, testCollection, after: start).next()) == ["expired"])
            #expect(describe(await StoreWatch(store, testCollection, after: object.revision - 1).next()) == ["modified a"])
        }
    }

    @Test func `a hundred watchers all see everything once`() async throws {
        try await with { store in
            let start = store.revision
            let counts = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        let watch = StoreWatch(store, testCollection, after: start)
                        var seen: [Int] = []
                        while seen.count < 50, case .events(let events, _) = await watch.next() { seen += events.map(\.revision) }
                        return seen
                    }
                }
                for number in 0..<50 { try await store.create("n\(number)") }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(counts.count == 100)
            #expect(counts.allSatisfy { $0 == Array(start + 1...start + 50) })
        }
    }

    @Test func `a collection cannot be watched from before it was served`() async throws {
        try await with { store in
            let start = store.revision
            let other = try await store.create("a")
            let name = CollectionName(group: "x", resource: "others")
            store.begin(name)
            #expect(describe(await StoreWatch(store, name, after: start).next()) == ["expired"])
            let watch = StoreWatch(store, name, after: other.revision)
            watch.interrupt()
            #expect(describe(await watch.next()) == ["interrupted"])
        }
    }
}
