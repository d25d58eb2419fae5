import KarsCore
import Testing

@testable import Kars

@Suite struct `Serving` {
    private typealias Fixture = APIServerFixture
    private let configMaps = APIServerFixture.configMaps

    @Test func `paths that nothing serves are told apart`() async throws {
        try await Fixture.run { (api) async throws in
            #expect(try await api.call(.get, "/nosuch").text == "404 page not found\n")
            #expect(try await api.call(.get, "/apis/nosuch.example.com/v1").text == "404 page not found\n")
            #expect(try await api.call(.get, "/apis/nosuch.example.com/v1/things").text == "404 page not found\n")
            let unknown = try await api.call(.get, "/api/v1/namespaces/default/nosuchthings")
            #expect(unknown.status == 404 && unknown.message == "the server could not find the requested resource")
            for (method, path) in [
                (HTTPMethod.post, "\(configMaps)/x"), (.put, configMaps), (.patch, configMaps), (.options, "\(configMaps)/x"),
                (.post, "/api/v1/configmaps"), (.delete, "/api/v1/namespaces"),
            ] {
                #expect(try await api.call(method, path, "{}").status == 405, "\(method) \(path)")
            }
        }
    }

    @Test func `health, version and discovery are served`() async throws {
        try await Fixture.run { (api) async throws in
            for path in ["/healthz", "/livez", "/readyz", "/readyz/ping"] { #expect(try await api.call(.get, path).text == "ok") }
            let verbose = try await api.call(.get, "/readyz?verbose")
            #expect(verbose.text.hasPrefix("[+]ping ok\n") && verbose.text.hasSuffix("readyz check passed\n"))
            #expect(try await api.call(.get, "/version").json["minor"] == "36")
            #expect(try await api.call(.get, "/").json["paths"]?.arrayValue?.contains("/api/v1") == true)
            for path in ["/api", "/apis", "/api/v1", "/openapi/v3", "/openapi/v3/api/v1"] {
                #expect(try await api.call(.get, path).status == 200, "\(path)")
            }
            let aggregated: HTTPHeaders = [
                "accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
            ]
            let groups = try await api.call(.get, "/apis", headers: aggregated)
            let tag = try #require(groups.headers["etag"])
            var again = aggregated
            again.add("if-none-match", tag)
            #expect(try await api.call(.get, "/apis", headers: again).status == 304)
        }
    }

    @Test func `who may not is told exactly what`() async throws {
        try await Fixture.run { (api) async throws in
            let alice: HTTPHeaders = ["x-user": "alice"]
            #expect(try await api.call(.get, configMaps, headers: ["x-user": "nobody"]).status == 401)
            for (method, path, message) in [
                (
                    HTTPMethod.get, "\(configMaps)?watch=true",
                    #"configmaps is forbidden: User "alice" cannot watch resource "configmaps" in API group "" in the namespace "default""#
                ),
                (
                    .get, "\(configMaps)/a",
                    #"configmaps "a" is forbidden: User "alice" cannot get resource "configmaps" in API group "" in the namespace "default""#
                ),
                (
                    .delete, "/api/v1/namespaces/n",
                    #"namespaces "n" is forbidden: User "alice" cannot delete resource "namespaces" in API group "" in the namespace "n""#
                ),
                (
                    .put, "/api/v1/namespaces/n/status",
                    #"namespaces "n" is forbidden: User "alice" cannot update resource "namespaces/status" in API group "" in the namespace "n""#
                ),
                (.get, "/metrics", #"forbidden: User "alice" cannot get path "/metrics""#),
            ] {
                let answer = try await api.call(method, path, headers: alice)
                #expect(answer.status == 403 && answer.message == message)
                #expect(answer.headers["x-content-type-options"] == "nosniff")
            }
        }
    }

    @Test func `whoever may act as another is the other`() async throws {
        let asBob = AccessAttributes(
            verb: "impersonate",
            target: .resource(
                GroupVersionResource(group: "", version: "v1", resource: "users"), subresource: nil, namespace: nil, name: "bob"))
        let authorizer = OpenAuthorizer(rights: ["alice": [asBob]])
        try await Fixture.run(change: { $0.authorizer = authorizer }) { (api) async throws in
            let bob = try await api.call(.get, configMaps, headers: ["x-user": "alice", "impersonate-user": "bob"])
            #expect(bob.status == 403 && bob.message.contains(#"User "bob" cannot list"#))
            let carol = try await api.call(.get, configMaps, headers: ["x-user": "alice", "impersonate-user": "carol"])
            #expect(carol.message.contains(#"User "alice" cannot impersonate-on:user-info:list resource"#))
            let group = try await api.call(
                .get, configMaps, headers: ["x-user": "alice", "impersonate-user": "bob", "impersonate-group": "system:masters"])
            #expect(group.message.contains(#"User "alice" cannot impersonate"#))
            #expect(try await api.call(.get, configMaps, headers: ["impersonate-group": "dev"]).status == 500)
        }
    }

    @Test func `admission changes and refuses, and its warnings arrive`() async throws {
        try await Fixture.run(change: { $0.admission = [StampingStep(), RefusingStep()] }) { (api) async throws in
            let created = try await api.createConfigMap("a")
            #expect(created.json["data"]?["stamp"] == "create")
            #expect(created.headers.values("warning") == [#"299 - "stamped""#])
            #expect(try await api.createConfigMap("a", value: "refuse").status == 403)
            #expect(try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"data":{"k":"refuse"}}"#).status == 403)
            #expect(try await api.call(.delete, "\(configMaps)/a").status == 200)
        }
    }

    @Test func `long answers are compressed for those who take it`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.createConfigMap("a", value: String(repeating: "x", count: 200_000))
            let plain = try await api.call(.get, "\(configMaps)/a")
            let packed = try await api.call(.get, "\(configMaps)/a", headers: ["accept-encoding": "gzip"])
            #expect(packed.headers["content-encoding"] == "gzip" && packed.body.count < 10_000)
            #expect(try Gzip.decompress(packed.body, limit: 1 << 20) == plain.body)
        }
    }
}

private struct StampingStep: AdmissionStep {
    let phase = AdmissionPhase.mutating

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard request.verb != .delete else { return [] }
        object["data", default: .object(JSONObject())].setMember("stamp", .string(request.verb.rawValue))
        return ["stamped"]
    }
}

private struct RefusingStep: AdmissionStep {
    let phase = AdmissionPhase.validating

    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String] {
        guard object["data"]?["k"] != "refuse" else { throw .forbidden(request.resource, name: object.name, "no") }
        return []
    }
}
