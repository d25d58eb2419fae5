import KarsCore
import Testing

@testable import Kars

@Suite struct `REST of objects` {
    private typealias Fixture = APIServerFixture
    private let configMaps = APIServerFixture.configMaps

    @Test func `an object is created, read, listed and deleted, each with its version`() async throws {
        try await Fixture.run { (api) async throws in
            let created = try await api.createConfigMap("a")
            #expect(created.status == 201)
            #expect(created.metadata["uid"]?.stringValue?.count == 36)
            #expect(created.metadata["creationTimestamp"]?.stringValue.flatMap { UTCTime(rfc3339: $0) } != nil)
            #expect(created.headers["audit-id"] != nil)
            let read = try await api.call(.get, "\(configMaps)/a")
            #expect(read.json == created.json)
            #expect(try await api.createConfigMap("a").reason == "AlreadyExists")
            let list = try await api.call(.get, configMaps)
            #expect(list.names == ["a"])
            #expect(list.revision == created.revision)
            #expect(list.json["items"]?[0]?["kind"] == nil)
            let deleted = try await api.call(.delete, "\(configMaps)/a")
            #expect(deleted.status == 200 && deleted.json["status"]?.stringValue == "Success")
            #expect(deleted.json["details"]?["uid"] == created.json["metadata"]?["uid"])
            #expect(try await api.call(.get, "\(configMaps)/a").status == 404)
            #expect(try await api.call(.delete, "\(configMaps)/a").message == "configmaps \"a\" not found")
        }
    }

    @Test func `bodies are JSON or YAML, of the right kind, with a name that is allowed`() async throws {
        try await Fixture.run { (api) async throws in
            let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yam\ndata:\n  k: \"1\"\n"
            let created = try await api.call(.post, configMaps, yaml, headers: ["content-type": "application/yaml"])
            #expect(created.status == 201)
            let read = try await api.call(.get, "\(configMaps)/yam", headers: ["accept": "application/yaml"])
            #expect(read.headers["content-type"] == "application/yaml")
            #expect(read.text.hasPrefix("kind: ConfigMap\n"))
            for (body, status) in [
                ("{\"apiVersion\":", 400), ("", 400), ("[]", 400), ("{\"apiVersion\":\"v2\",\"kind\":\"ConfigMap\"}", 400),
                ("{\"apiVersion\":\"v1\",\"kind\":\"Secret\"}", 400), ("{\"metadata\":{\"name\":\"A\"}}", 422), ("{}", 422),
                ("{\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}}", 400),
                ("{\"metadata\":{\"name\":\"a\"},\"immutable\":\"yes\"}", 400),
                ("{\"metadata\":{\"name\":\"a\",\"labels\":{\"-\":\"\"}}}", 422),
                ("{\"metadata\":{\"name\":\"a\"},\"data\":{\"bad\":\"1\"}}", 422),
            ] {
                #expect(try await api.call(.post, configMaps, body).status == status, "\(body)")
            }
            #expect(try await api.call(.post, configMaps, "x", headers: ["content-type": "text/plain"]).status == 415)
            #expect(try await api.call(.get, configMaps, headers: ["accept": "text/html"]).status == 406)
        }
    }

    @Test func `unknown and repeated fields are refused, warned of or dropped, as asked`() async throws {
        try await Fixture.run { (api) async throws in
            let body = #"{"metadata":{"name":"a"},"data":{"k":"1","k":"2"},"bogus":1}"#
            let strict = try await api.call(.post, "\(configMaps)?fieldValidation=Strict", body)
            #expect(
                strict.message
                    == "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"data.k\", unknown field \"bogus\""
            )
            let warned = try await api.call(.post, "\(configMaps)?dryRun=All", body)
            #expect(warned.status == 201)
            #expect(
                warned.headers.values("warning") == [#"299 - "duplicate field \"data.k\"""#, #"299 - "unknown field \"bogus\"""#])
            #expect(warned.json["data"]?["k"] == "2" && warned.json["bogus"] == nil)
            let ignored = try await api.call(.post, "\(configMaps)?fieldValidation=Ignore", body)
            #expect(ignored.status == 201 && !ignored.headers.contains("warning"))
            #expect(try await api.call(.post, "\(configMaps)?fieldValidation=Maybe", body).status == 422)
        }
    }

    @Test func `a dry run does everything but store`() async throws {
        try await Fixture.run { (api) async throws in
            let tried = try await api.call(.post, "\(configMaps)?dryRun=All", #"{"metadata":{"name":"a"}}"#)
            #expect(tried.status == 201 && tried.revision.isEmpty)
            #expect(try await api.call(.get, "\(configMaps)/a").status == 404)
            let kept = try await api.createConfigMap("a")
            let patched = try await api.patch("\(configMaps)/a?dryRun=All", "merge-patch+json", #"{"data":{"k":"2"}}"#)
            #expect(patched.json["data"]?["k"] == "2")
            #expect(try await api.call(.delete, "\(configMaps)/a?dryRun=All").status == 200)
            #expect(try await api.call(.get, "\(configMaps)/a").json == kept.json)
            #expect(try await api.call(.post, "\(configMaps)?dryRun=Some", "{}").status == 422)
        }
    }

    @Test func `a name is made from its beginning`() async throws {
        try await Fixture.run { (api) async throws in
            var names: Set<String> = []
            for _ in 0..<5 {
                let created = try await api.call(.post, configMaps, #"{"metadata":{"generateName":"x-"}}"#)
                let name = try #require(created.metadata["name"]?.stringValue)
                #expect(name.hasPrefix("x-") && name.utf8.count == 7)
                names.insert(name)
            }
            #expect(names.count == 5)
        }
    }

    @Test func `an update needs the version it saw, if it names one`() async throws {
        try await Fixture.run { (api) async throws in
            let first = try await api.createConfigMap("a")
            func body(_ version: String, _ value: String) -> String {
                #"{"metadata":{"name":"a","resourceVersion":"\#(version)"},"data":{"k":"\#(value)"}}"#
            }
            let second = try await api.call(.put, "\(configMaps)/a", body(first.revision, "2"))
            #expect(second.status == 200 && second.revision != first.revision)
            #expect(second.metadata["uid"] == first.metadata["uid"])
            #expect(try await api.call(.put, "\(configMaps)/a", body(first.revision, "3")).reason == "Conflict")
            let same = try await api.call(.put, "\(configMaps)/a", body("", "2"))
            #expect(same.revision == second.revision)
            let third = try await api.call(.put, "\(configMaps)/a", body("", "3"))
            #expect(third.status == 200 && third.revision != second.revision)
            #expect(try await api.call(.put, "\(configMaps)/b", body("", "3")).status == 400)
            #expect(try await api.call(.put, "\(configMaps)/b", #"{"metadata":{"name":"b"}}"#).status == 404)
            let other = #"{"metadata":{"name":"a","uid":"00000000-0000-0000-0000-000000000000"}}"#
            #expect(try await api.call(.put, "\(configMaps)/a", other).message.contains("Precondition failed: UID"))
        }
    }

    @Test func `a lease is created by an update, and not overwritten blindly`() async throws {
        try await Fixture.run { (api) async throws in
            let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
            #expect(try await api.call(.put, path, #"{"metadata":{"name":"l"},"spec":{"a":1}}"#).status == 201)
            #expect(try await api.call(.put, path, #"{"metadata":{"name":"l"},"spec":{"a":2}}"#).status == 422)
        }
    }

    @Test func `patches of many writers are all made`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.createConfigMap("a")
            try await withThrowingTaskGroup(of: Int.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"data":{"w\#(writer)":"1"}}"#).status
                    }
                }
                for try await status in group { #expect(status == 200) }
            }
            let data = try await api.call(.get, "\(configMaps)/a").json["data"]?.objectValue
            #expect(data?.count == 5)
        }
    }

    @Test func `a patch of the wrong type, or that does not fit, says so`() async throws {
        try await Fixture.run { (api) async throws in
            try await api.createConfigMap("a")
            #expect(try await api.patch("\(configMaps)/a", "json", "{}").status == 415)
            #expect(
                try await api.patch("\(configMaps)/a", "merge-patch+json", "{").message
                    == "error decoding patch: unexpected end of JSON input")
            #expect(try await api.patch("\(configMaps)/a", "merge-patch+json", "[]").status == 400)
            #expect(try await api.patch("\(configMaps)/a", "json-patch+json", "{}").status == 400)
            #expect(try await api.patch("\(configMaps)/none", "merge-patch+json", "{}").status == 404)
            let stale = try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"metadata":{"resourceVersion":"1"}}"#)
            #expect(stale.reason == "Conflict")
            let renamed = try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"metadata":{"name":"b"}}"#)
            #expect(renamed.status == 422 && renamed.message.contains("field is immutable"))
            let wrong = try await api.patch("\(configMaps)/a", "merge-patch+json", #"{"immutable":"yes"}"#)
            #expect(wrong.status == 422 && wrong.message.hasPrefix(" \"\" is invalid: patch: Invalid value: "))
            #expect(
                try await api.patch("\(configMaps)/a", "apply-patch+yaml", "a: 1").message.contains(
                    "fieldManager: Required value"))
        }
    }

    @Test func `status and the rest are written apart`() async throws {
        try await Fixture.run { (api) async throws in
            let pods = "/api/v1/namespaces/default/pods"
            let created = try await api.call(.post, pods, #"{"metadata":{"name":"p"},"spec":{"a":1},"status":{"phase":"Lies"}}"#)
            #expect(created.json["status"] == nil && created.metadata["generation"] == 1)
            let status = try await api.patch(
                "\(pods)/p/status", "merge-patch+json", #"{"spec":{"a":2},"status":{"phase":"Running"}}"#)
            #expect(status.json["spec"]?["a"] == 1 && status.json["status"]?["phase"] == "Running")
            #expect(status.metadata["generation"] == 1)
            let whole = try await api.patch("\(pods)/p", "merge-patch+json", #"{"spec":{"a":2},"status":{"phase":"Failed"}}"#)
            #expect(whole.json["spec"]?["a"] == 2 && whole.json["status"]?["phase"] == "Running")
            #expect(whole.metadata["generation"] == 2)
            #expect(try await api.call(.get, "\(pods)/p/status").json == whole.json)
            #expect(try await api.call(.get, "\(configMaps)/a/status").status == 404)
        }
    }

    @Test func `replicas are scaled through their own view`() async throws {
        try await Fixture.run { (api) async throws in
            let pods = "/api/v1/namespaces/default/pods"
            try await api.call(
                .post, pods, #"{"metadata":{"name":"p"},"spec":{"replicas":2,"selector":{"matchLabels":{"b":"2","a":"1"}}}}"#)
            let scale = try await api.call(.get, "\(pods)/p/scale")
            #expect(scale.json["kind"] == "Scale" && scale.json["spec"]?["replicas"] == 2)
            #expect(scale.json["status"]?["selector"] == "a=1,b=2")
            let scaled = try await api.patch("\(pods)/p/scale", "merge-patch+json", #"{"spec":{"replicas":5}}"#)
            #expect(scaled.json["spec"]?["replicas"] == 5)
            let put = #"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"p"},"spec":{"replicas":7}}"#
            #expect(try await api.call(.put, "\(pods)/p/scale", put).json["spec"]?["replicas"] == 7)
            #expect(try await api.call(.get, "\(pods)/p").json["spec"]?["replicas"] == 7)
            let negative = put.replacing("7", with: "-1")
            #expect(try await api.call(.put, "\(pods)/p/scale", negative).status == 422)
        }
    }

    @Test func `large bodies and objects are refused, not stored`() async throws {
        try await Fixture.run { (api) async throws in
            let huge = try await api.call(.post, configMaps, #"{"data":{"k":"\#(String(repeating: "x", count: 3 << 20))"}}"#)
            #expect(huge.status == 413 && huge.message == "Request entity too large: limit is 3145728")
            let large = try await api.createConfigMap("a", value: String(repeating: "x", count: 2 << 20))
            #expect(large.status == 413)
            #expect(try await api.call(.get, configMaps).names.isEmpty)
        }
    }

    @Test func `a full disk is told and nothing is half done`() async throws {
        try await Fixture.run(store: { $0.maxFileBytes = 40 * 4096 }) { (api) async throws in
            var created = 0
            var last = try await api.createConfigMap("n0", value: String(repeating: "x", count: 20_000))
            while last.status == 201, created < 100 {
                created += 1
                last = try await api.createConfigMap("n\(created)", value: String(repeating: "x", count: 20_000))
            }
            #expect(last.status == 500 && last.reason == "InternalError" && last.message.contains("cannot grow"))
            #expect(try await api.call(.get, configMaps).names.count == created)
            #expect(try await api.call(.get, "/readyz").status == 200)
        }
    }
}
