import KarsCore
import Testing

@testable import Kars

@Suite struct `Lists and watches` {
    private typealias Fixture = APIServerFixture
    private let configMaps = APIServerFixture.configMaps

    private func fill(_ api: APIServerFixture, _ count: Int) async throws {
        for number in 0..<count { try await api.createConfigMap("n\(number)", labels: #"{"parity":"\#(number % 2)"}"#) }
    }

    @Test func `pages show one version of the list, however it changes meanwhile`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 7)
            let first = try await api.call(.get, "\(configMaps)?limit=3")
            #expect(first.names == ["n0", "n1", "n2"] && first.metadata["remainingItemCount"] == 4)
            try await api.call(.delete, "\(configMaps)/n3")
            try await api.createConfigMap("n2a")
            let token = try #require(first.metadata["continue"]?.stringValue)
            let second = try await api.call(.get, "\(configMaps)?limit=3&continue=\(token)")
            #expect(second.names == ["n3", "n4", "n5"] && second.revision == first.revision)
            let rest = try #require(second.metadata["continue"]?.stringValue)
            let third = try await api.call(.get, "\(configMaps)?limit=3&continue=\(rest)")
            #expect(third.names == ["n6"] && third.metadata["continue"] == nil)
            #expect(try await api.call(.get, "\(configMaps)?continue=zzz").status == 400)
        }
    }

    @Test func `a page of a forgotten version can be gone on with at the newest`() async throws {
        try await Fixture.run(store: { $0.historyEvents = 4 }) { (api) async throws in
            try await fill(api, 3)
            let first = try await api.call(.get, "\(configMaps)?limit=1")
            let token = try #require(first.metadata["continue"]?.stringValue)
            for number in 3..<9 { try await api.createConfigMap("n\(number)") }
            let gone = try await api.call(.get, "\(configMaps)?limit=1&continue=\(token)")
            #expect(gone.status == 410 && gone.reason == "Expired")
            let renewed = try #require(gone.metadata["continue"]?.stringValue)
            #expect(try await api.call(.get, "\(configMaps)?continue=\(renewed)").names == (1..<9).map { "n\($0)" })
            let exact = "\(configMaps)?resourceVersion=\(first.revision)&resourceVersionMatch=Exact"
            #expect(try await api.call(.get, exact).status == 410)
        }
    }

    @Test func `versions that are asked for exactly, at least, or not at all`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 2)
            let then = try await api.call(.get, configMaps).revision
            try await api.createConfigMap("n2")
            #expect(
                try await api.call(.get, "\(configMaps)?resourceVersion=\(then)&resourceVersionMatch=Exact").names == [
                    "n0", "n1",
                ])
            #expect(try await api.call(.get, "\(configMaps)?resourceVersion=\(then)").names.count == 3)
            #expect(try await api.call(.get, "\(configMaps)?resourceVersion=\(then)&limit=1").revision == then)
            // From a cache there are no pages.
            #expect(try await api.call(.get, "\(configMaps)?resourceVersion=0&limit=1").names.count == 3)
            let future = try await api.call(.get, "\(configMaps)?resourceVersion=100000")
            #expect(future.status == 504 && future.headers["retry-after"] == "1")
            #expect(try await api.call(.get, "\(configMaps)?resourceVersion=abc").status == 400)
        }
    }

    @Test func `selectors choose, and fields that cannot be selected by are named`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 4)
            #expect(try await api.call(.get, "\(configMaps)?labelSelector=parity%3D1").names == ["n1", "n3"])
            #expect(try await api.call(.get, "\(configMaps)?fieldSelector=metadata.name%3Dn2").names == ["n2"])
            let other = try await api.call(.get, "\(configMaps)?fieldSelector=data.k%3D1")
            #expect(other.status == 400 && other.message == "field label not supported: data.k")
            let page = try await api.call(.get, "\(configMaps)?labelSelector=parity%3D1&limit=1")
            #expect(page.metadata["continue"] != nil && page.metadata["remainingItemCount"] == nil)
            try await api.call(.delete, "\(configMaps)?labelSelector=parity%3D1")
            #expect(try await api.call(.get, "/api/v1/configmaps").names == ["n0", "n2"])
        }
    }

    @Test func `a watch shows what is there, then what happens`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.createConfigMap("a")
            let watch = try await api.watch("\(configMaps)?watch=true")
            #expect(try await watch.take(1) == ["ADDED a"])
            try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"data":{"k":"2"}}"#)
            try await api.call(
                .post, "/api/v1/namespaces/other/configmaps", #"{"metadata":{"name":"elsewhere"}}"#)
            try await api.call(.delete, "\(configMaps)/a")
            #expect(try await watch.take(2) == ["MODIFIED a", "DELETED a"])
        }
    }

    @Test func `a watch from a version replays, and ends when its time is up`() async throws {
        try await Fixture.run { (api) async throws in
            let start = try await api.createConfigMap("a").revision
            try await api.createConfigMap("b")
            let watch = try await api.watch("\(configMaps)?watch=true&resourceVersion=\(start)&timeoutSeconds=1")
            #expect(try await watch.take(2) == ["ADDED b"])
            #expect(try await watch.next() == nil)
        }
    }

    @Test func `what leaves a selection is deleted from it, what enters is added`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.createConfigMap("a", labels: #"{"in":"yes"}"#)
            let watch = try await api.watch("\(configMaps)?watch=true&labelSelector=in%3Dyes")
            try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"metadata":{"labels":{"in":"no"}}}"#)
            try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"data":{"k":"unseen"}}"#)
            try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"metadata":{"labels":{"in":"yes"}}}"#)
            #expect(try await watch.take(3) == ["ADDED a", "DELETED a", "ADDED a"])
        }
    }

    @Test func `initial events end with a bookmark that says so`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 2)
            let options = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
            let watch = try await api.watch("\(configMaps)?\(options)&timeoutSeconds=3")
            #expect(try await watch.take(2) == ["ADDED n0", "ADDED n1"])
            let end = try #require(try await watch.next())
            #expect(end["type"] == "BOOKMARK")
            #expect(end["object"]?["metadata"]?["annotations"]?["k8s.io/initial-events-end"] == "true")
            #expect(end["object"]?["metadata"]?["resourceVersion"]?.stringValue == String(api.store.revision))
            // And one shortly before the end.
            let last = try #require(try await watch.next())
            #expect(last["type"] == "BOOKMARK" && last["object"]?["metadata"]?["annotations"] == nil)
            #expect(try await watch.next() == nil)
        }
    }

    @Test func `a version that is forgotten is an event of its own`() async throws {
        try await Fixture.run(store: { $0.historyEvents = 2 }) { (api) async throws in
            try await fill(api, 5)
            let watch = try await api.watch("\(configMaps)?watch=true&resourceVersion=1")
            let line = try #require(try await watch.next())
            #expect(line["type"] == "ERROR" && line["object"]?["code"] == 410 && line["object"]?["reason"] == "Expired")
            #expect(try await watch.next() == nil)
        }
    }

    @Test func `a client that does not read costs no memory and is told when it reads again`() async throws {
        try await Fixture.run(store: { $0.historyBytes = 1 << 20 }) { (api) async throws in
            let created = try await api.createConfigMap("a")
            let watch = try await api.watch("\(configMaps)?watch=true&resourceVersion=\(created.revision)")
            // More than sockets on both sides hold.
            for step in 0..<60 {
                let text = String(repeating: "\(step % 10)", count: 500_000)
                try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"data":{"k":"\#(text)"}}"#)
            }
            var types: [String] = []
            while let line = try await watch.next() { types.append(line["type"]?.stringValue ?? "") }
            #expect(types.last == "ERROR" && types.count < 60)
        }
    }

    @Test func `a watch ends when the server stops`() async throws {
        try await Fixture.run { (api) async throws in
            let watch = try await api.watch("\(configMaps)?watch=true")
            async let stop: Void = api.server.stop(within: .milliseconds(10))
            await #expect(throws: (any Error).self) {
                while try await watch.next() != nil {}
                throw CancellationError()
            }
            await stop
        }
    }

    @Test func `objects can be watched by name, and in the old way`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 3)
            #expect(try await api.watch("\(configMaps)/n1?watch=true&timeoutSeconds=1").take(2) == ["ADDED n1"])
            let old = try await api.watch("/api/v1/watch/namespaces/default/configmaps?timeoutSeconds=1")
            #expect(try await old.take(4) == ["ADDED n0", "ADDED n1", "ADDED n2"])
        }
    }

    @Test func `metadata alone and tables are made of lists, objects and events`() async throws {
        try await Fixture.run { (api) async throws in
            try await fill(api, 1)
            let partial: HTTPHeaders = ["accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"]
            let list = try await api.call(.get, configMaps, headers: partial)
            #expect(
                list.json["kind"] == "PartialObjectMetadataList" && list.names == ["n0"] && list.json["items"]?[0]?["data"] == nil
            )
            #expect(try await api.call(.get, "\(configMaps)/n0", headers: partial).status == 406)
            let table: HTTPHeaders = ["accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"]
            let rows = try await api.call(.get, configMaps, headers: table)
            #expect(rows.json["kind"] == "Table" && rows.json["rows"]?.arrayValue?.count == 1 && rows.revision == list.revision)
            let watch = try await api.watch("\(configMaps)?watch=true&timeoutSeconds=1", headers: table)
            #expect(try await watch.next()?["object"]?["kind"] == "Table")
        }
    }
}
