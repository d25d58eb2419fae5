import KarsCore
import Testing

@testable import Kars

@Suite struct `Serving of custom resources` {
    private typealias Fixture = APIServerFixture
    private let definitions = CustomResourceDefinitions.resource.path()
    private let gadgets = "/apis/x.example/v1/namespaces/default/gadgets"

    private func definition(_ plural: String, kind: String, versions: [String] = ["v1"]) -> String {
        let list = versions.enumerated().map { index, version in
            #"{"name":"\#(version)","served":true,"storage":\#(index == 0),"subresources":{"status":{}},"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer","default":1,"maximum":9}}},"status":{"type":"object","properties":{"phase":{"type":"string"}}}}}}}"#
        }
        return #"""
            {"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"\#(plural).x.example"},
            "spec":{"group":"x.example","scope":"Namespaced","names":{"plural":"\#(plural)","singular":"\#(kind.lowercased())","kind":"\#(kind)","listKind":"\#(kind)List"},
            "versions":[\#(list.joined(separator: ","))]}}
            """#
    }

    private func gadget(_ name: String, version: String = "v1", finalizer: Bool = false) -> String {
        let finalizers = finalizer ? #","finalizers":["x.example/hold"]"# : ""
        return #"{"apiVersion":"x.example/\#(version)","kind":"Gadget","metadata":{"name":"\#(name)"\#(finalizers)},"spec":{}}"#
    }

    private func condition(_ type: String, _ answer: APIServerFixture.Answer) -> String? {
        (answer.json["status"]?["conditions"]?.arrayValue ?? []).first { $0["type"]?.stringValue == type }?["status"]?.stringValue
    }

    @Test func `a definition is served as soon as it is answered, with its defaults and bounds`() async throws {
        try await Fixture.run { (api) async throws in
            #expect(try await api.call(.get, gadgets).text == "404 page not found\n")
            #expect(try await api.call(.post, definitions, definition("gadgets", kind: "Gadget")).status == 201)
            let established = try await api.call(.get, "\(definitions)/gadgets.x.example")
            #expect(condition("Established", established) == "True")
            #expect(established.json["status"]?["storedVersions"] == ["v1"])
            let created = try await api.call(.post, gadgets, gadget("a"))
            #expect(created.status == 201 && created.json["spec"]?["size"] == 1 && created.metadata["generation"] == 1)
            let large = try await api.patch("\(gadgets)/a", "merge-patch+json", #"{"spec":{"size":10}}"#)
            #expect(large.status == 422)
            let status = try await api.patch(
                "\(gadgets)/a/status", "merge-patch+json", #"{"spec":{"size":5},"status":{"phase":"On"}}"#)
            #expect(status.json["spec"]?["size"] == 1 && status.json["status"]?["phase"] == "On")
            #expect(try await api.patch("\(gadgets)/a", "strategic-merge-patch+json", "{}").status == 415)
            // What custom resources answer to methods at the wrong place.
            #expect(try await api.call(.put, gadgets, gadget("a")).message == "name must be provided")
            #expect(try await api.call(.post, "\(gadgets)/a", gadget("a")).reason == "AlreadyExists")
        }
    }

    @Test func `an apply creates, takes over and is refused by others`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.call(.post, definitions, definition("gadgets", kind: "Gadget"))
            func apply(_ manager: String, _ size: Int, force: Bool = false) async throws -> APIServerFixture.Answer {
                let body = #"{"apiVersion":"x.example/v1","kind":"Gadget","metadata":{"name":"a"},"spec":{"size":\#(size)}}"#
                return try await api.patch(
                    "\(gadgets)/a?fieldManager=\(manager)\(force ? "&force=true" : "")", "apply-patch+yaml", body)
            }
            let created = try await apply("one", 2)
            #expect(created.status == 201)
            #expect(try await apply("one", 2).revision == created.revision)
            let refused = try await apply("two", 3)
            #expect(refused.status == 409 && refused.json["details"]?["causes"]?[0]?["field"] == ".spec.size")
            #expect(try await apply("two", 3, force: true).json["spec"]?["size"] == 3)
            let unknown = try await api.patch(
                "\(gadgets)/a?fieldManager=one", "apply-patch+yaml",
                #"{"apiVersion":"x.example/v1","kind":"Gadget","metadata":{"name":"a"},"spec":{"bogus":1}}"#)
            #expect(unknown.status == 500 && unknown.message.contains(".spec.bogus: field not declared in schema"))
        }
    }

    @Test func `names that another definition has are not accepted`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.call(.post, definitions, definition("gadgets", kind: "Gadget"))
            try await api.call(.post, definitions, definition("things", kind: "Gadget"))
            let second = try await api.call(.get, "\(definitions)/things.x.example")
            #expect(condition("NamesAccepted", second) == "False" && condition("Established", second) == "False")
            #expect(try await api.call(.get, "/apis/x.example/v1/things").status == 404)
        }
    }

    @Test func `every served version shows the same objects`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.call(.post, definitions, definition("gadgets", kind: "Gadget", versions: ["v1", "v2"]))
            try await api.call(.post, gadgets, gadget("a"))
            let other = try await api.call(.get, gadgets.replacing("/v1/", with: "/v2/") + "/a")
            #expect(other.json["apiVersion"] == "x.example/v2" && other.json["spec"]?["size"] == 1)
            let list = try await api.call(.get, "/apis/x.example/v2/gadgets")
            #expect(list.json["items"]?[0]?["apiVersion"] == "x.example/v2")
            // A definition that is changed is served as it is now.
            #expect(
                try await api.patch(
                    "\(definitions)/gadgets.x.example", "json-patch+json", #"[{"op":"remove","path":"/spec/versions/1"}]"#
                ).status == 200)
            #expect(try await api.call(.get, "/apis/x.example/v2/gadgets").status == 404)
        }
    }

    @Test func `a deleted definition takes its objects with it, once their finalizers are gone`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.call(.post, definitions, definition("gadgets", kind: "Gadget"))
            try await api.call(.post, gadgets, gadget("free"))
            try await api.call(.post, gadgets, gadget("held", finalizer: true))
            let path = "\(definitions)/gadgets.x.example"
            let deleted = try await api.call(.delete, path)
            #expect(deleted.status == 200 && condition("Terminating", deleted) == "True")
            #expect(try await api.call(.get, gadgets).names == ["held"])
            let refused = try await api.call(.post, gadgets, gadget("late"))
            #expect(
                refused.status == 405 && refused.message == "create not allowed while custom resource definition is terminating")
            try await api.patch("\(gadgets)/held", "merge-patch+json", #"{"metadata":{"finalizers":null}}"#)
            #expect(try await api.call(.get, path).status == 404)
            #expect(try await api.call(.get, gadgets).text == "404 page not found\n")
            // And a new one starts afresh.
            try await api.call(.post, definitions, definition("gadgets", kind: "Gadget"))
            #expect(try await api.call(.get, gadgets).names == [])
        }
    }
}
