import KarsCore
import KarsTesting
import Testing

@testable import Kars

let testCollection = CollectionName(group: "", resource: "configmaps")

func testKey(_ name: String, in namespace: String = "default") -> StoreKey {
    StoreKey(collection: testCollection, namespace: namespace, name: name)
}

func testObject(_ name: String, value: String = "1", in namespace: String = "default") -> JSONObject {
    [
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": ["name": .string(name), "namespace": .string(namespace)],
        "data": ["k": .string(value)],
    ]
}

extension ObjectStore {
    @discardableResult
    func create(_ name: String, value: String = "1", in namespace: String = "default") async throws(StoreError) -> StoredObject {
        try await commit([
            Mutation(
                key: testKey(name, in: namespace), expected: .absent, change: .put(testObject(name, value: value, in: namespace)))
        ])[0]
    }

    @discardableResult
    func replace(_ old: StoredObject, value: String) async throws(StoreError) -> StoredObject {
        let state = testObject(old.key.name, value: value, in: old.key.namespace)
        return try await commit([Mutation(key: old.key, expected: .revision(old.revision), change: .put(state))])[0]
    }

    @discardableResult
    func delete(_ old: StoredObject) async throws(StoreError) -> StoredObject {
        try await commit([Mutation(key: old.key, expected: .revision(old.revision), change: .delete(lastState: old.json))])[0]
    }
}

@Suite struct `Object store` {
    private func names(_ objects: ArraySlice<StoredObject>?) -> [String]? {
        objects?.map { "\($0.key.namespace)/\($0.key.name)=\($0.json["data"]?["k"]?.stringValue ?? "")" }
    }

    @Test func `what was acknowledged is there after reopening, and revisions only grow`() async throws {
        try await withTemporaryDirectory { directory in
            var store: ObjectStore? = try ObjectStore(StoreConfig(directory: directory))
            let first = try await store?.create("a")
            let second = try await store?.create("b", in: "other")
            try await store?.replace(#require(first), value: "2")
            let last = try await store?.delete(#require(second)).revision
            await store?.close()
            store = nil
            let again = try ObjectStore(StoreConfig(directory: directory))
            #expect(again.revision == last)
            #expect(names(again.list(testCollection, namespace: nil).objects) == ["default/a=2"])
            let next = try await again.create("c")
            #expect(next.revision > (last ?? 0))
            #expect(next.json.resourceVersion == String(next.revision))
            await again.close()
        }
    }

    @Test func `a change to something else than expected is a conflict and leaves no trace`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ObjectStore(StoreConfig(directory: directory))
            let object = try await store.create("a")
            let newer = try await store.replace(object, value: "2")
            let revision = store.revision
            for attempt in [
                Mutation(key: object.key, expected: .absent, change: .put(testObject("a"))),
                Mutation(key: object.key, expected: .revision(object.revision), change: .put(testObject("a"))),
                Mutation(key: testKey("none"), expected: .revision(1), change: .delete(lastState: testObject("none"))),
            ] {
                do throws(StoreError) {
                    // The first of the pair alone would succeed.
                    _ = try await store.commit([
                        Mutation(key: testKey("pair"), expected: .absent, change: .put(testObject("pair"))), attempt,
                    ])
                    Issue.record("accepted")
                } catch {
                    guard case .conflict(let key, let current) = error else { throw error }
                    #expect(key == attempt.key)
                    #expect(current?.revision == (key.name == "a" ? newer.revision : nil))
                }
            }
            #expect(store.revision == revision)
            #expect(store.get(testKey("pair")) == nil)
            await store.close()
        }
    }

    @Test func `writers at the same time share transactions, and each object is written once`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ObjectStore(StoreConfig(directory: directory))
            let won = await withTaskGroup(of: Int.self) { group in
                for writer in 0..<16 {
                    group.addTask {
                        var created = 0
                        for number in 0..<40 where (try? await store.create("o\(number)", value: "\(writer)")) != nil {
                            created += 1
                        }
                        return created
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(won == 40)
            let (objects, revision) = store.list(testCollection, namespace: "default")
            #expect(objects.count == 40)
            #expect(Set(objects.map(\.revision)).count == 40)
            #expect(revision == objects.map(\.revision).max())
            await store.close()
        }
    }

    @Test func `a list can be read as it was, until the history forgets`() async throws {
        try await withTemporaryDirectory { directory in
            var config = StoreConfig(directory: directory)
            config.historyEvents = 8
            let store = try ObjectStore(config)
            let start = store.revision
            let a = try await store.create("a")
            let b = try await store.create("b", in: "other")
            let a2 = try await store.replace(a, value: "2")
            try await store.delete(b)
            #expect(names(store.list(testCollection, namespace: nil, at: start)) == [])
            #expect(names(store.list(testCollection, namespace: nil, at: a.revision)) == ["default/a=1"])
            #expect(names(store.list(testCollection, namespace: nil, at: b.revision)) == ["default/a=1", "other/b=1"])
            #expect(names(store.list(testCollection, namespace: "other", at: a2.revision)) == ["other/b=1"])
            #expect(names(store.list(testCollection, namespace: nil, at: store.revision)) == ["default/a=2"])
            for number in 0..<8 { try await store.create("n\(number)") }
            #expect(store.list(testCollection, namespace: nil, at: a2.revision) == nil)
            #expect(store.list(testCollection, namespace: nil, at: store.revision)?.count == 9)
            await store.close()
        }
    }

    @Test(arguments: [UInt64(1), 2, 3, 4]) func `lists of the past agree with a model`(seed: UInt64) async throws {
        try await withTemporaryDirectory { directory in
            var random = SeededRandom(seed: seed)
            let store = try ObjectStore(StoreConfig(directory: directory))
            var model: [String: String] = [:]
            var past: [(Int, [String])] = [(store.revision, [])]
            for step in 0..<120 {
                let name = "n\(Int.random(in: 0..<12, using: &random))"
                let namespace = "s\(Int.random(in: 0..<2, using: &random))"
                if let existing = store.get(testKey(name, in: namespace)) {
                    if Bool.random(using: &random) {
                        try await store.replace(existing, value: "\(step)")
                        model["\(namespace)/\(name)"] = "\(step)"
                    } else {
                        try await store.delete(existing)
                        model["\(namespace)/\(name)"] = nil
                    }
                } else {
                    try await store.create(name, value: "\(step)", in: namespace)
                    model["\(namespace)/\(name)"] = "\(step)"
                }
                past.append((store.revision, model.map { "\($0.key)=\($0.value)" }.sorted()))
            }
            for (revision, expected) in past {
                #expect(names(store.list(testCollection, namespace: nil, at: revision))?.sorted() == expected, "seed \(seed)")
            }
            await store.close()
        }
    }

    @Test func `a full file refuses changes, keeps what it has, and takes changes again once there is room`() async throws {
        try await withTemporaryDirectory { directory in
            var config = StoreConfig(directory: directory)
            config.maxFileBytes = 40 * 4096
            let store = try ObjectStore(config)
            let text = String(repeating: "x", count: 20_000)
            var created: [StoredObject] = []
            var refused = false
            while !refused, created.count < 100 {
                do throws(StoreError) { created.append(try await store.create("o\(created.count)", value: text)) } catch {
                    guard case .full = error else { throw error }
                    refused = true
                }
            }
            #expect(refused && !created.isEmpty)
            let revision = store.revision
            #expect(store.list(testCollection, namespace: nil).objects.map(\.revision) == created.map(\.revision).sorted())
            try await store.delete(#require(created.first))
            #expect(store.revision == revision + 1)
            try await store.create("again", value: text)
            await store.close()
        }
    }

    @Test func `two stores cannot have one directory`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ObjectStore(StoreConfig(directory: directory))
            do throws(StoreOpenError) {
                _ = try ObjectStore(StoreConfig(directory: directory))
                Issue.record("opened twice")
            } catch {
                guard case .inUse(directory, let processID) = error else { throw error }
                #expect(Int(processID) != nil)
            }
            await store.close()
        }
    }

    @Test func `files of other versions and other programs are refused by name`() async throws {
        try await withTemporaryDirectory { directory in
            let path = ObjectStore.path(in: directory)
            await (try ObjectStore(StoreConfig(directory: directory))).close()
            try SQLiteDatabase(path: path).run("PRAGMA user_version=99")
            #expect(throws: StoreOpenError.otherVersion(path: path, found: 99, expected: StoreFile.layoutVersion)) {
                _ = try ObjectStore(StoreConfig(directory: directory))
            }
            try Files.remove(path)
            try AtomicFile.write(Array(repeating: 0x2a, count: 8192), to: path, mode: 0o600)
            do throws(StoreOpenError) {
                _ = try ObjectStore(StoreConfig(directory: directory))
                Issue.record("opened noise")
            } catch {
                guard case .notAStore(path, _) = error else { throw error }
            }
        }
    }

    @Test func `a backup restores into an empty directory and nowhere else`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ObjectStore(StoreConfig(directory: "\(directory)/one"))
            try await store.create("a")
            let kept = try await store.create("b")
            try await store.backup(to: "\(directory)/backup.db")
            try await store.delete(kept)
            await store.close()
            #expect(throws: StoreOpenError.self) {
                try ObjectStore.restore(from: "\(directory)/backup.db", to: "\(directory)/one")
            }
            try ObjectStore.restore(from: "\(directory)/backup.db", to: "\(directory)/two")
            let restored = try ObjectStore(StoreConfig(directory: "\(directory)/two"))
            #expect(names(restored.list(testCollection, namespace: nil).objects) == ["default/a=1", "default/b=1"])
            #expect(restored.revision == kept.revision)
            await restored.close()
            try AtomicFile.write(Array(repeating: 0x2a, count: 8192), to: "\(directory)/noise", mode: 0o600)
            #expect(throws: StoreOpenError.self) {
                try ObjectStore.restore(from: "\(directory)/noise", to: "\(directory)/three")
            }
            #expect(!Files.exists(ObjectStore.path(in: "\(directory)/three")))
        }
    }
}
