import KarsCore
import Testing

@testable import Kars

@Suite struct `API path` {
    private func resource(_ path: String) -> ResourcePath? {
        if case .resource(let resource)? = APIPath(path) { resource } else { nil }
    }

    @Test func `collections, objects and subresources are told apart, in core and named groups`() {
        let pods = resource("/api/v1/namespaces/ns/pods")
        #expect(pods?.groupVersionResource == GroupVersionResource(group: "", version: "v1", resource: "pods"))
        #expect(pods?.namespace == "ns" && pods?.name == nil)
        let scale = resource("/apis/apps/v1/namespaces/ns/deployments/d/scale")
        #expect(scale?.groupVersion == GroupVersion(group: "apps", version: "v1"))
        #expect(scale?.name == "d" && scale?.subresource == "scale")
        #expect(resource("/api/v1/pods")?.namespace == nil)
        #expect(resource("/api/v1/nodes/n")?.name == "n")
        let proxy = resource("/api/v1/namespaces/ns/pods/p/proxy/a/b")
        #expect(proxy?.subresource == "proxy" && proxy?.rest == "a/b")
    }

    @Test func `a namespace is an object, its status a subresource, and what is in it neither`() {
        let object = resource("/api/v1/namespaces/ns")
        #expect(object?.resource == "namespaces" && object?.name == "ns" && object?.namespace == nil)
        #expect(object?.accessNamespace == "ns")
        for subresource in ["status", "finalize"] {
            let path = resource("/api/v1/namespaces/ns/\(subresource)")
            #expect(path?.resource == "namespaces" && path?.name == "ns" && path?.subresource == subresource)
        }
        #expect(resource("/api/v1/namespaces")?.name == nil)
    }

    @Test func `the old watch path is recognised`() {
        let watch = resource("/api/v1/watch/namespaces/ns/pods/p")
        #expect(watch?.isDeprecatedWatch == true && watch?.name == "p")
        // A resource may be called so.
        #expect(resource("/api/v1/watch")?.resource == "watch")
    }

    @Test func `names are decoded, broken encoding is refused`() {
        #expect(resource("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode")?.name == "system:node")
        #expect(resource("/apis/rbac.authorization.k8s.io/v1/clusterroles/a+b")?.name == "a+b")
        for path in ["/api/v1/pods/%", "/api/v1/pods/%4", "/api/v1/pods/%zz", "/api/v1/pods/%+1", "/api/v1/pods/%ff"] {
            #expect(APIPath(path) == nil, "\(path)")
        }
    }

    @Test func `everything else is a plain path`() {
        for path in ["/", "/healthz", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v3/api/v1"] {
            #expect(APIPath(path) == .other(path))
        }
        #expect(APIPath("/apis/apps/v1/") == .other("/apis/apps/v1"))
    }

    @Test func `every prefix of a path is read without a trap`() {
        let path = "/apis/apps/v1/namespaces/n%20s/deployments/d%3a/proxy/%7e/x"
        for end in path.indices { _ = APIPath(path[..<end]) }
    }
}

@Suite struct `Query` {
    @Test func `values are decoded, and what is broken is left out`() {
        let query = QueryItems("labelSelector=a%3Db%2Cc&x=1+2&x=3&flag&bad=%zz")
        #expect(query["labelSelector"] == "a=b,c")
        #expect(query.all("x") == ["1 2", "3"])
        #expect(query["flag"] == "")
        #expect(query["bad"] == nil)
    }

    @Test(arguments: [
        ("watch=true", true), ("watch=1", true), ("watch", true), ("watch=yes", true), ("watch=false", false), ("watch=0", false),
        ("watch=False", false),
    ]) func `a flag is true unless it says no`(text: String, expected: Bool) {
        #expect(QueryItems(text).flag("watch") == expected)
    }

    @Test func `options that contradict each other are refused with every reason`() {
        #expect(throws: APIStatus.self) { try ListOptions(QueryItems("resourceVersionMatch=Exact"), isWatch: false) }
        #expect(throws: APIStatus.self) { try ListOptions(QueryItems("sendInitialEvents=true"), isWatch: true) }
        #expect(throws: APIStatus.self) { try ListOptions(QueryItems("limit=many"), isWatch: false) }
        do throws(APIStatus) {
            _ = try ListOptions(
                QueryItems("resourceVersionMatch=Exact&resourceVersion=0&continue=x&sendInitialEvents=1"), isWatch: false)
            Issue.record("accepted")
        } catch {
            #expect(error.code == 422 && error.causes.count == 3)
        }
    }
}

@Suite struct `Continue token` {
    @Test func `comes back as it went out`() throws {
        for (namespace, name) in [("default", "a"), ("", "cluster-admin"), ("n", "system:x")] {
            let key = StoreKey(
                collection: CollectionName(group: "", resource: "x"), namespace: namespace, name: name)
            let token = ContinueToken(revision: 42, after: key)
            #expect(try ContinueToken(token.text) == token)
            for end in token.text.indices { #expect(throws: APIStatus.self) { try ContinueToken(String(token.text[..<end])) } }
        }
    }

    @Test(arguments: [
        ("zzz", "invalid continue token: continue key is not valid: invalid character 'Ï' looking for beginning of value"),
        ("", "invalid continue token: continue key is not valid: unexpected end of JSON input"),
        ("*", "invalid continue token: continue key is not valid: illegal base64 data at input byte 0"),
        (
            Base64.encodeURL(Array(#"{"v":"x"}"#.utf8)),
            "invalid continue token: continue key is not valid: server does not recognize this encoded version \"x\""
        ),
    ]) func `says what is wrong with another`(text: String, message: String) {
        do throws(APIStatus) {
            _ = try ContinueToken(text)
            Issue.record("accepted")
        } catch {
            #expect(error.code == 400 && error.message == message)
        }
    }
}

@Suite struct `Content negotiation` {
    @Test(
        arguments: [
            (nil, AnswerFormat(encoding: .json)), ("", AnswerFormat(encoding: .json)), ("*/*", AnswerFormat(encoding: .json)),
            ("application/yaml", AnswerFormat(encoding: .yaml)),
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", AnswerFormat(shape: .table)),
            ("application/vnd.kubernetes.protobuf,application/json", AnswerFormat(encoding: .json)),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", AnswerFormat(encoding: .json)),
            (
                "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io, application/yaml;q=0.5",
                AnswerFormat(encoding: .yaml)
            ),
            ("application/json;q=0.1,application/yaml", AnswerFormat(encoding: .yaml)), ("text/html", nil),
            ("application/vnd.kubernetes.protobuf", nil), ("application/json;q=0", nil),
        ] as [(String?, AnswerFormat?)]) func `the best of what is offered`(accept: String?, expected: AnswerFormat?)
    {
        #expect(AnswerFormat(accept: accept, shapes: [.table, .partialMetadata]) == expected)
    }
}

@Suite struct `Names` {
    @Test(arguments: [
        (NameRule.subdomain, "a.b-c.1", true), (.subdomain, "A", false), (.subdomain, "-a", false), (.subdomain, "a..b", false),
        (.subdomain, "", false), (.subdomain, String(repeating: "a", count: 254), false), (.label, "a-1", true),
        (.label, "a.b", false),
        (.label, String(repeating: "a", count: 64), false), (.label1035, "a1", true), (.label1035, "1a", false),
        (.pathSegment, "system:a B", true), (.pathSegment, "a/b", false), (.pathSegment, "..", false),
        (.pathSegment, "a%b", false),
    ]) func `are what their rule allows`(rule: NameRule, name: String, isValid: Bool) {
        #expect(rule.faults(in: name).isEmpty == isValid)
    }

    @Test func `the beginning of a name may end in a hyphen, not in a dot`() {
        #expect(NameRule.subdomain.faults(in: "a-", isPrefix: true).isEmpty)
        #expect(!NameRule.subdomain.faults(in: "a.", isPrefix: true).isEmpty)
        #expect(!NameRule.subdomain.faults(in: "a-").isEmpty)
    }
}
