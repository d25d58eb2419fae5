import KarsCore
import Testing

@testable import Kars

@Suite struct `Deletion plan` {
    private let now = UTCTime(seconds: 1_000_000)

    private func pod(_ text: String) throws -> JSONObject { try #require(try JSON(parsing: text).objectValue) }

    private func options(_ grace: Int? = nil, _ propagation: DeleteParameters.Propagation? = nil) -> DeleteParameters {
        var options = DeleteParameters()
        options.gracePeriod = grace
        options.propagation = propagation
        return options
    }

    @Test func `a running pod gets its grace, which a later deletion can only shorten`() throws {
        let running = try pod(
            #"{"metadata":{"name":"p","generation":1},"spec":{"nodeName":"n","terminationGracePeriodSeconds":20},"status":{"phase":"Running"}}"#
        )
        guard case .mark(let marked) = DeletionPlan(running, TestKinds.pods, options(), now: now) else {
            Issue.record("not marked")
            return
        }
        #expect(marked.metadata["deletionTimestamp"]?.stringValue == now.advanced(by: .seconds(20)).rfc3339)
        #expect(marked.metadata["deletionGracePeriodSeconds"] == 20 && marked.metadata["generation"] == 2)
        #expect(DeletionPlan(marked, TestKinds.pods, options(), now: now) == .unchanged)
        #expect(DeletionPlan(marked, TestKinds.pods, options(60), now: now) == .unchanged)
        guard case .mark(let shorter) = DeletionPlan(marked, TestKinds.pods, options(5), now: now) else {
            Issue.record("not shortened")
            return
        }
        #expect(shorter.metadata["deletionTimestamp"]?.stringValue == now.advanced(by: .seconds(5)).rfc3339)
        guard case .remove = DeletionPlan(shorter, TestKinds.pods, options(0), now: now) else {
            Issue.record("not removed")
            return
        }
    }

    @Test(arguments: [
        #"{"metadata":{"name":"p"},"spec":{}}"#,
        #"{"metadata":{"name":"p"},"spec":{"nodeName":"n"},"status":{"phase":"Succeeded"}}"#,
        #"{"metadata":{"name":"p"},"spec":{"nodeName":"n"},"status":{"phase":"Failed"}}"#,
    ]) func `a pod that never ran or has ended goes at once`(text: String) throws {
        guard case .remove(let last) = DeletionPlan(try pod(text), TestKinds.pods, options(), now: now) else {
            Issue.record("not removed")
            return
        }
        #expect(last.metadata["deletionGracePeriodSeconds"] == 0)
    }

    @Test(arguments: [
        (DeleteParameters.Propagation.foreground, ["a/b", "foregroundDeletion"]), (.orphan, ["a/b", "orphan"]),
        (.background, ["a/b"]),
    ]) func `propagation becomes a finalizer`(propagation: DeleteParameters.Propagation, expected: [String]) throws {
        let object = try pod(#"{"metadata":{"name":"x","finalizers":["a/b"]}}"#)
        guard case .mark(let marked) = DeletionPlan(object, TestKinds.configMaps, options(nil, propagation), now: now) else {
            Issue.record("not marked")
            return
        }
        #expect(ObjectMetaRules.finalizers(marked.metadata) == expected)
        #expect(DeletionPlan(marked, TestKinds.configMaps, options(nil, propagation), now: now) == .unchanged)
    }

    @Test func `a namespace terminates before it goes`() throws {
        let object = try pod(#"{"metadata":{"name":"x"},"spec":{"finalizers":["kubernetes"]}}"#)
        guard case .mark(let marked) = DeletionPlan(object, TestKinds.namespaces, options(), now: now) else {
            Issue.record("not marked")
            return
        }
        #expect(marked["status"]?["phase"] == "Terminating")
        #expect(DeletionPlan(marked, TestKinds.namespaces, options(), now: now) == .unchanged)
    }
}

@Suite struct `Deletion` {
    private typealias Fixture = APIServerFixture
    private let configMaps = APIServerFixture.configMaps

    @Test func `an object waits for its finalizers and goes with the last one`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.call(.post, configMaps, #"{"metadata":{"name":"a","finalizers":["x.example/one"]}}"#)
            let marked = try await api.call(.delete, "\(configMaps)/a")
            #expect(marked.status == 200 && marked.metadata["deletionTimestamp"] != nil)
            #expect(try await api.call(.delete, "\(configMaps)/a").json == marked.json)
            let more = try await api.patch(
                "\(configMaps)/a", "merge-patch+json", #"{"metadata":{"finalizers":["x.example/one","x.example/two"]}}"#)
            #expect(more.status == 422 && more.message.contains(#"found new finalizers []string{"x.example/two"}"#))
            let watch = try await api.watch("\(configMaps)?watch=true&resourceVersion=\(marked.revision)")
            let last = try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"metadata":{"finalizers":null}}"#)
            #expect(last.status == 200 && last.revision == marked.revision)
            #expect(try await api.call(.get, "\(configMaps)/a").status == 404)
            #expect(try await watch.take(1) == ["DELETED a"])
        }
    }

    @Test func `preconditions protect another object of the same name`() async throws {
        try await Fixture.run { (api) async throws in
            let created = try await api.createConfigMap("a")
            let wrong = #"{"preconditions":{"uid":"00000000-0000-0000-0000-000000000000"}}"#
            #expect(try await api.call(.delete, "\(configMaps)/a", wrong).message.contains("does not match the UID in record"))
            let stale = #"{"preconditions":{"resourceVersion":"1"}}"#
            #expect(
                try await api.call(.delete, "\(configMaps)/a", stale).message.contains(
                    "the ResourceVersion in the precondition (1)"))
            let right = #"{"preconditions":{"resourceVersion":"\#(created.revision)"}}"#
            #expect(try await api.call(.delete, "\(configMaps)/a", right).status == 200)
            #expect(try await api.call(.delete, "\(configMaps)/a?propagationPolicy=Sideways").status == 422)
        }
    }

    @Test func `a namespace goes when it is finalized`() async throws {
        try await Fixture.run { (api) async throws in
            let path = "/api/v1/namespaces/n"
            try await api.call(.post, "/api/v1/namespaces", #"{"metadata":{"name":"n"},"spec":{"finalizers":["kubernetes"]}}"#)
            #expect(try await api.call(.delete, path).json["status"]?["phase"] == "Terminating")
            #expect(try await api.call(.get, path).status == 200)
            let done = #"{"metadata":{"name":"n"},"spec":{"finalizers":[]}}"#
            #expect(try await api.call(.put, "\(path)/finalize", done).status == 200)
            #expect(try await api.call(.get, path).status == 404)
        }
    }
}
