import KarsCore
import KarsTesting
import Testing

@testable import Kars

/// How pods come to a node, as in the records pod-runs and pod-scheduling-gate of `golden-node.jsonl`.
@Suite struct `Pod binding` {
    private static let pods = "/api/v1/namespaces/default/pods"

    private static func body(_ name: String, _ more: String = "") -> String {
        #"{"metadata":{"name":"\#(name)"},"spec":{"containers":[{"name":"c","image":"host"}]\#(more)}}"#
    }

    private static func bind(_ name: String, _ fixture: APIServerFixture) async throws -> APIServerFixture.Answer {
        try await fixture.call(
            .post, "\(pods)/\(name)/binding",
            #"{"apiVersion":"v1","kind":"Binding","metadata":{"name":"\#(name)"},"target":{"kind":"Node","name":"n"}}"#)
    }

    @Test func `a binding is told in a condition and is no change of what is wanted`() async throws {
        try await APIServerFixture.run(change: { $0.builtIn = BuiltInKinds.all }) { fixture in
            #expect(try await fixture.call(.post, Self.pods, Self.body("p")).status == 201)
            #expect(try await Self.bind("p", fixture).status == 201)
            let pod = try await fixture.call(.get, "\(Self.pods)/p").json
            #expect(pod["spec"]?["nodeName"] == "n")
            #expect(pod["metadata"]?["generation"] == 1)
            let condition = pod["status"]?["conditions"]?[0]
            #expect(condition?["type"] == "PodScheduled" && condition?["status"] == "True")
            #expect(condition?["observedGeneration"] == nil)
            #expect(try await Self.bind("p", fixture).status == 409)
        }
    }

    @Test func `a pod with a gate says so from the start, and is not bound`() async throws {
        try await APIServerFixture.run(change: { $0.builtIn = BuiltInKinds.all }) { fixture in
            let made = try await fixture.call(
                .post, Self.pods, Self.body("p", #","schedulingGates":[{"name":"example.com/wait"}]"#))
            let condition = made.json["status"]?["conditions"]?[0]
            #expect(condition?["reason"] == "SchedulingGated" && condition?["status"] == "False")
            #expect(condition?["lastTransitionTime"] == made.json["metadata"]?["creationTimestamp"])
            #expect(try await Self.bind("p", fixture).status == 409)
        }
    }
}
