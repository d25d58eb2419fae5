import KarsCore
import Testing

@Suite struct `Kubernetes requests` {
    private let widgets = GroupVersionResource(group: "golden.example.com", version: "v1", resource: "widgets")

    private func line(_ request: KubernetesRequest) throws -> String { "\(request.method) \(try request.httpTarget())" }

    @Test func `paths and queries as the server expects them`() throws {
        #expect(try line(.get(.pods, namespace: "n", name: "p")) == "GET /api/v1/namespaces/n/pods/p")
        #expect(try line(.get(.nodes, name: "n1", subresource: "status")) == "GET /api/v1/nodes/n1/status")
        var list = ListOptions(labelSelector: "app=list,n!=0", fieldSelector: "metadata.name=l1", limit: 2)
        list.resourceVersion = "296"
        list.match = .exact
        #expect(
            try line(.list(widgets, namespace: "golden", list))
                == "GET /apis/golden.example.com/v1/namespaces/golden/widgets"
                + "?labelSelector=app%3Dlist,n!%3D0&fieldSelector=metadata.name%3Dl1&limit=2&resourceVersion=296"
                + "&resourceVersionMatch=Exact")
        var watch = WatchOptions(resourceVersion: "5")
        watch.timeout = .seconds(30)
        #expect(
            try line(.watch(widgets, watch))
                == "GET /apis/golden.example.com/v1/widgets?resourceVersion=5&watch=true&allowWatchBookmarks=true&timeoutSeconds=30"
        )
        #expect(KubernetesRequest.watch(widgets, watch).longestSilence == .seconds(40))
    }

    @Test func `writes carry their options and media types`() throws {
        let object: JSONObject = ["metadata": ["name": "w", "namespace": "n"]]
        #expect(
            try line(.create(widgets, object, WriteOptions(isDryRun: true, fieldManager: "m", fieldValidation: .strict)))
                == "POST /apis/golden.example.com/v1/namespaces/n/widgets?dryRun=All&fieldManager=m&fieldValidation=Strict")
        let apply = KubernetesRequest.apply(widgets, object, fieldManager: "m")
        #expect(
            try line(apply) == "PATCH /apis/golden.example.com/v1/namespaces/n/widgets/w?fieldManager=m&force=true")
        #expect(apply.contentType == "application/apply-patch+yaml")
        #expect(
            KubernetesRequest.patch(.strategicMerge, widgets, name: "w", [:]).contentType
                == "application/strategic-merge-patch+json")
        #expect(try line(.update(widgets, object, subresource: "status")).hasSuffix("/widgets/w/status"))
        #expect(KubernetesRequest.get(widgets, name: "w").contentType == nil)
    }

    @Test func `deletion says in its body how`() throws {
        #expect(KubernetesRequest.delete(widgets, name: "w").body == nil)
        let options = DeleteOptions(uid: "u", resourceVersion: "7", propagation: .foreground, gracePeriodSeconds: 0)
        #expect(
            KubernetesRequest.delete(widgets, name: "w", options).body == [
                "kind": "DeleteOptions", "apiVersion": "v1", "preconditions": ["uid": "u", "resourceVersion": "7"],
                "propagationPolicy": "Foreground", "gracePeriodSeconds": 0,
            ])
        #expect(
            try line(.deleteCollection(widgets, namespace: "n", ListOptions(labelSelector: "a=b")))
                == "DELETE /apis/golden.example.com/v1/namespaces/n/widgets?labelSelector=a%3Db")
    }

    @Test func `subresources and reviews`() throws {
        #expect(try line(.evict(namespace: "n", pod: "p")) == "POST /api/v1/namespaces/n/pods/p/eviction")
        let token = KubernetesRequest.token(namespace: "n", serviceAccount: "s", audiences: ["a"], expirationSeconds: 600)
        #expect(try line(token) == "POST /api/v1/namespaces/n/serviceaccounts/s/token")
        #expect(token.body?["spec"] == ["audiences": ["a"], "expirationSeconds": 600])
        let scale = KubernetesRequest.scale(.deployments, namespace: "n", name: "d", replicas: 3)
        #expect(try line(scale) == "PATCH /apis/apps/v1/namespaces/n/deployments/d/scale")
        let own = KubernetesRequest.reviewAccess(AccessReview(verb: "get", .path("/metrics")))
        #expect(try line(own) == "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
        let other = AccessReview(
            verb: "list", .object(ObjectPath(widgets, namespace: "n", subresource: "status")), user: "alice")
        #expect(try line(.reviewAccess(other)) == "POST /apis/authorization.k8s.io/v1/subjectaccessreviews")
        #expect(
            KubernetesRequest.reviewAccess(other).body?["spec"]?["resourceAttributes"] == [
                "verb": "list", "group": "golden.example.com", "version": "v1", "resource": "widgets", "namespace": "n",
                "subresource": "status",
            ])
        let exec = KubernetesRequest.exec(
            namespace: "n", pod: "p", command: ["sh", "-c", "a b&c"], StreamOptions(container: "x"))
        #expect(
            try line(exec)
                == "GET /api/v1/namespaces/n/pods/p/exec?command=sh&command=-c&command=a%20b%26c&container=x&stdout=true&stderr=true"
        )
    }

    @Test(arguments: ["", ".", "..", "a/b", "..%2Fsecrets", "a%"])
    func `a name that would lead elsewhere is refused`(name: String) {
        #expect(throws: APIStatus.self) { try KubernetesRequest.get(.pods, namespace: "n", name: name).httpTarget() }
        #expect(throws: APIStatus.self) { try KubernetesRequest.get(.pods, namespace: name, name: "p").httpTarget() }
    }

    @Test func `other characters in names are escaped`() throws {
        #expect(try line(.get(.nodes, name: "system:node ä?#")) == "GET /api/v1/nodes/system:node%20%C3%A4%3F%23")
    }
}

@Suite struct `Watch decoder` {
    static let stream = Array(
        (#"{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"a","resourceVersion":"5"}}}"# + "\n\r\n"
            + #"{"type":"MODIFIED","object":{"metadata":{"name":"ä"}}}"# + "\n"
            + #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9","annotations":{"k8s.io/initial-events-end":"true"}}}}"#
            + "\n"
            + #"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410}}"#
            + "\n").utf8)
    static let events: [WatchEvent] = [
        .added(["kind": "Pod", "metadata": ["name": "a", "resourceVersion": "5"]]), .modified(["metadata": ["name": "ä"]]),
        .bookmark(resourceVersion: "9", endsInitialEvents: true), .failed(.expired("too old")),
    ]

    @Test(arguments: 0...stream.count)
    func `splitting the stream anywhere changes nothing, and a prefix gives the events it holds`(cut: Int) {
        var decoder = WatchDecoder()
        let first = decoder.push(Array(Self.stream[..<cut]))
        #expect(Self.events.starts(with: first))
        #expect(first + decoder.push(Array(Self.stream[cut...])) == Self.events)
        #expect(!decoder.isMidLine)
    }

    @Test(arguments: [
        "nonsense\n", "{}\n", #"{"type":"NEW","object":{}}"# + "\n", #"{"type":"BOOKMARK","object":{}}"# + "\n",
        #"{"type":"ERROR","object":{}}"# + "\n",
    ])
    func `what makes no sense ends it`(text: String) {
        var decoder = WatchDecoder()
        guard case .failed(let status)? = decoder.push(Array(text.utf8)).last else { Issue.record("expected a failure"); return }
        #expect(status.reason == .malformedAnswer)
        #expect(decoder.push(Self.stream) == [])
    }

    @Test func `a line without end is cut off`() {
        var decoder = WatchDecoder()
        decoder.maxLineBytes = 100
        #expect(decoder.push([UInt8](repeating: 0x20, count: 100)) == [])
        guard case .failed? = decoder.push([0x20]).last else { Issue.record("expected a failure"); return }
    }
}

@Suite struct `Channel messages` {
    @Test func `they are read as they are written`() {
        for message in [ChannelMessage.data(channel: 1, [1, 2]), .data(channel: 0, []), .end(channel: 0)] {
            #expect(ChannelMessage(parsing: message.bytes, .v5) == message)
        }
        #expect(ChannelMessage(parsing: [255, 0], .v4) == .data(channel: 255, [0]))
        #expect(ChannelMessage(parsing: [255], .v5) == nil && ChannelMessage(parsing: [], .v4) == nil)
    }

    @Test func `how a process ended is read as it is written`() {
        for exit in [RemoteExit.code(0), .code(42), .failed(.internalError("no runtime"))] {
            #expect(RemoteExit(reading: exit.json.encoded()) == exit)
        }
        guard case .failed = RemoteExit(reading: []) else { Issue.record("expected a failure"); return }
    }
}

@Suite struct Discovery {
    @Test func `kinds are found by all their names`() throws {
        var discovery = APIDiscovery()
        try discovery.add([
            "kind": "APIGroupDiscoveryList",
            "items": [
                [
                    "metadata": ["name": "apps"],
                    "versions": [
                        [
                            "version": "v1",
                            "resources": [
                                [
                                    "resource": "deployments", "responseKind": ["kind": "Deployment"], "scope": "Namespaced",
                                    "singularResource": "deployment", "verbs": ["get", "list", "proxy"], "shortNames": ["deploy"],
                                    "categories": ["all"],
                                    "subresources": [["subresource": "scale", "verbs": ["get", "patch"]]],
                                ]
                            ],
                        ]
                    ],
                ]
            ],
        ])
        for name in ["deployments", "Deployment", "deploy", "deploy.apps", "deployments.apps"] {
            #expect(discovery.resource(named: name)?.resource == .deployments)
        }
        #expect(discovery.resource(named: "deploy.other") == nil)
        #expect(discovery[kind: GroupVersionKind(group: "apps", version: "v1", kind: "Deployment")]?.verbs == [.get, .list])
        #expect(discovery.subresources[.deployments] == ["scale": [.get, .patch]])
        #expect(throws: APIStatus.self) { try discovery.add(["kind": "APIGroupList"]) }
    }
}
