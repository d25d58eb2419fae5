import KarsCore
import KarsTesting
import Testing

/// A manifest and whether it is one.
private struct Row: Sendable, CustomTestStringConvertible {
    let name: String
    let isSound: Bool
    let spec: JSON

    init(_ name: String, _ isSound: Bool, _ spec: JSON) {
        self.name = name
        self.isSound = isSound
        self.spec = spec
    }

    var testDescription: String { name }
}

private let digest = "sha256:" + String(repeating: "a", count: 64)
private func bundle(_ type: String) -> JSON {
    ["registry": "r.example", "repository": "p/q", "digest": .string(digest), "artifactType": .string(type)]
}
private let labels: JSON = ["sandboxMatchLabels": ["a": "b"]]

@Suite struct `Policy kinds` {
    static let kinds = [
        ToolPolicy.definition, InferencePolicy.definition, KarsMemory.definition, McpServer.definition, EgressApproval.definition,
        A2AAgent.definition, TrustGraph.definition,
    ]

    @Test(arguments: kinds.map(\.kind))
    func `an API server takes the definition, cost of its rules included`(name: String) throws {
        let kind = try #require(Self.kinds.first { $0.kind == name })
        #expect(ServedKind(kind).rules.faults.map(\.description) == [])
    }

    private func check<Kind: KarsResource>(_ kind: Kind.Type, _ row: Row) where Kind.Spec: CheckedSpec {
        let (server, controller) = Kind.judge(row.spec)
        #expect(server.isEmpty == row.isSound, "the server: \(server)")
        #expect(controller.isEmpty == row.isSound, "the controller: \(controller)")
    }

    @Test(arguments: [
        Row("least", true, ["appliesTo": labels]), Row("no labels", false, ["appliesTo": [:]]), Row("nothing", false, [:]),
        Row("inline profile", true, ["appliesTo": labels, "agtProfile": ["inline": "version: \"1.0\"\n"]]),
        Row(
            "signed profile", true,
            ["appliesTo": labels, "agtProfile": ["bundleRef": bundle("application/vnd.kars.agt-profile.v1+yaml")]]),
        Row("profile of another kind", false, ["appliesTo": labels, "agtProfile": ["bundleRef": bundle("application/json")]]),
        Row(
            "two profiles", false,
            [
                "appliesTo": labels,
                "agtProfile": ["inline": "x", "bundleRef": bundle("application/vnd.kars.agt-profile.v1+yaml")],
            ]),
        Row("caps", true, ["appliesTo": labels, "commerce": ["dailyCap": "USD 100.00", "counterpartyAllowlist": ["shop"]]]),
        Row("cap without currency", false, ["appliesTo": labels, "commerce": ["dailyCap": "100"]]),
        Row("mode", true, ["appliesTo": labels, "approval": ["mode": "always"]]),
        Row("unknown mode", false, ["appliesTo": labels, "approval": ["mode": "sometimes"]]),
        Row("threshold missing", false, ["appliesTo": labels, "approval": ["mode": "aboveThreshold"]]),
        Row("threshold", true, ["appliesTo": labels, "approval": ["mode": "aboveThreshold", "threshold": "EUR 5"]]),
        Row("window", true, ["appliesTo": labels, "rateLimit": ["rps": 5, "burst": 10, "window": "24h"]]),
        Row("window in words", false, ["appliesTo": labels, "rateLimit": ["window": "a day"]]),
        Row("negative rate", false, ["appliesTo": labels, "rateLimit": ["rps": -1]]),
    ])
    fileprivate func `a tool policy is sound to both or to neither`(row: Row) { check(ToolPolicy.self, row) }

    @Test(arguments: [
        Row("least", true, ["appliesTo": [:]]), Row("nothing", false, [:]),
        Row("action", true, ["appliesTo": ["action": "*"]]), Row("unknown action", false, ["appliesTo": ["action": "chats"]]),
        Row("budget", true, ["appliesTo": [:], "tokenBudget": ["perRequestTokens": 1, "dailyTokens": 2, "monthlyTokens": 2]]),
        Row("a day above the month", false, ["appliesTo": [:], "tokenBudget": ["dailyTokens": 3, "monthlyTokens": 2]]),
        Row("a call above the month", false, ["appliesTo": [:], "tokenBudget": ["perRequestTokens": 3, "monthlyTokens": 2]]),
        Row("negative budget", false, ["appliesTo": [:], "tokenBudget": ["dailyTokens": -1]]),
        Row("severity", true, ["appliesTo": [:], "contentSafety": ["hate": "Safe", "violence": "High"]]),
        Row("unknown severity", false, ["appliesTo": [:], "contentSafety": ["hate": "low"]]),
        Row("model", true, ["appliesTo": [:], "modelPreference": ["primary": ["provider": "demo", "deployment": "demo"]]]),
        Row(
            "model without name", false,
            ["appliesTo": [:], "modelPreference": ["primary": ["provider": "demo", "deployment": ""]]]),
        Row(
            "unknown provider", false, ["appliesTo": [:], "modelPreference": ["primary": ["provider": "x", "deployment": "y"]]]),
        Row("no primary", false, ["appliesTo": [:], "modelPreference": ["fallback": []]]),
        Row("scan", true, ["appliesTo": [:], "outputScan": ["credentials": "redact", "injection": "observe"]]),
        Row("scan misspelt", false, ["appliesTo": [:], "outputScan": ["credentials": "blok"]]),
        Row("signed", true, ["appliesTo": [:], "bundleRef": bundle("application/vnd.kars.inference-policy.v1+json")]),
        Row(
            "signed and said", false,
            [
                "appliesTo": [:], "bundleRef": bundle("application/vnd.kars.inference-policy.v1+json"),
                "tokenBudget": ["dailyTokens": 1],
            ]),
    ])
    fileprivate func `an inference policy is sound to both or to neither`(row: Row) { check(InferencePolicy.self, row) }

    @Test(arguments: [
        Row("whole", true, ["sandboxRef": ["name": "a"], "storeName": "s1", "scope": "agent_x"]),
        Row("scope missing", false, ["sandboxRef": ["name": "a"], "storeName": "s1"]),
        Row("store missing", false, ["sandboxRef": ["name": "a"], "scope": "x"]),
        Row("colon in the scope", false, ["sandboxRef": ["name": "a"], "storeName": "s1", "scope": "a:b"]),
        Row("no days", false, ["sandboxRef": ["name": "a"], "storeName": "s1", "scope": "x", "retentionDays": 0]),
        Row("signed", true, ["sandboxRef": ["name": "a"], "bundleRef": bundle("application/vnd.kars.memory-binding.v1+json")]),
        Row(
            "signed and said", false,
            ["sandboxRef": ["name": "a"], "scope": "x", "bundleRef": bundle("application/vnd.kars.memory-binding.v1+json")]),
    ])
    fileprivate func `a memory is sound to both or to neither`(row: Row) { check(KarsMemory.self, row) }

    @Test(arguments: [
        Row("nothing", true, [:]), Row("development", true, ["url": "http://127.0.0.1:3000/mcp"]),
        Row(
            "production", true, ["url": "https://mcp.example", "productionMode": true, "oauth": ["issuer": "https://id.example"]]),
        Row("production without issuer", false, ["url": "https://mcp.example", "productionMode": true]),
        Row(
            "production in the clear", false,
            ["url": "http://mcp.example", "productionMode": true, "oauth": ["issuer": "https://id.example"]]),
        Row("issuer in the clear", false, ["oauth": ["issuer": "http://id.example"]]),
        Row("plain proof", false, ["oauth": ["issuer": "https://id.example", "pkce": "plain"]]),
        Row("variable", true, ["bearerFromEnv": "TOKEN_1"]), Row("no variable", false, ["bearerFromEnv": "1 TOKEN"]),
        Row("signed", true, ["bundleRef": bundle("application/vnd.kars.mcp-server-bundle.v1+json"), "bearerFromEnv": "T"]),
        Row(
            "signed and said", false,
            ["bundleRef": bundle("application/vnd.kars.mcp-server-bundle.v1+json"), "url": "https://a.b"]),
    ])
    fileprivate func `a server of tools is sound to both or to neither`(row: Row) { check(McpServer.self, row) }

    static let key = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    static let keys: JSON = [["kid": "k1", "alg": "EdDSA", "publicKeyB64u": .string(key)]]

    @Test(arguments: [
        Row("least", true, ["endpointUrl": "http://a.example/x", "signingKeys": keys]),
        Row("no key", false, ["endpointUrl": "http://a.example", "signingKeys": []]),
        Row("no address", false, ["endpointUrl": "/a2a", "signingKeys": keys]),
        Row("address with a user", false, ["endpointUrl": "https://u:p@a.example/", "signingKeys": keys]),
        Row("production in the clear", false, ["endpointUrl": "http://a.example", "productionMode": true, "signingKeys": keys]),
        Row("production", true, ["endpointUrl": "https://a.example", "productionMode": true, "signingKeys": keys]),
        Row(
            "one name for two keys", false,
            [
                "endpointUrl": "https://a.example",
                "signingKeys": [
                    ["kid": "k1", "alg": "EdDSA", "publicKeyB64u": .string(key)],
                    ["kid": "k1", "alg": "EdDSA", "publicKeyB64u": .string(key)],
                ],
            ]),
        Row(
            "short key", false,
            [
                "endpointUrl": "https://a.example",
                "signingKeys": [["kid": "k1", "alg": "EdDSA", "publicKeyB64u": "11qYAYKxCrfVS"]],
            ]),
        Row(
            "another algorithm", false,
            ["endpointUrl": "https://a.example", "signingKeys": [["kid": "k1", "alg": "RS256", "publicKeyB64u": .string(key)]]]),
        Row(
            "peers", true,
            [
                "endpointUrl": "https://a.example", "signingKeys": keys,
                "federation": [
                    ["label": "b", "kind": "in-cluster", "agentRef": "b"],
                    ["label": "c", "kind": "external", "endpointUrl": "https://c.example", "pinnedKid": "k"],
                ],
            ]),
        Row(
            "a peer outside that is not pinned", false,
            [
                "endpointUrl": "https://a.example", "signingKeys": keys,
                "federation": [["label": "c", "kind": "external", "endpointUrl": "https://c.example"]],
            ]),
    ])
    fileprivate func `an agent is sound to both or to neither`(row: Row) { check(A2AAgent.self, row) }

    private static func edge(_ changes: KeyValuePairs<String, JSON>) -> JSON {
        var edge: JSONObject = [
            "from": "a", "to": "b", "score": 500, "issuedAt": 1000, "signature": .string(String(repeating: "A", count: 86)),
        ]
        for (name, value) in changes { edge[name] = value }
        return .object(edge)
    }
    private static func graph(_ edge: JSON, vertices: [String] = ["a", "b"]) -> JSON {
        [
            "vertices": .array(vertices.map { ["id": .string($0), "alg": "EdDSA", "publicKeyB64u": .string(key)] }),
            "edges": [edge],
        ]
    }

    @Test(arguments: [
        Row("edge", true, graph(edge([:]))), Row("no vertex", false, graph(edge([:]), vertices: [])),
        Row("one name for two vertices", false, graph(edge([:]), vertices: ["a", "a"])),
        Row("a line end in a name", false, graph(edge(["from": "a\nb"]))),
        Row("a control character in a name", false, graph(edge([:]), vertices: ["a\u{7}"])),
        Row("too much", false, graph(edge(["score": 1001]))),
        Row("ends before it begins", false, graph(edge(["notAfter": 999]))), Row("ends", true, graph(edge(["notAfter": 1000]))),
        Row("short signature", false, graph(edge(["signature": "AAAA"]))),
    ])
    fileprivate func `a graph is sound to both or to neither`(row: Row) { check(TrustGraph.self, row) }

    private static func grant(_ host: String, ttl: String = "PT2H", reason: String = "because") -> JSON {
        ["sandbox": "a", "hosts": [["host": .string(host)]], "reason": .string(reason), "ttl": .string(ttl)]
    }

    @Test(
        arguments: [
            Row("host", true, grant("api.example.com")), Row("upper case", true, grant("API.Example.com")),
            Row("control character in the reason", false, grant("a.example", reason: "a\u{1b}[31m")),
            Row("lines in the reason", true, grant("a.example", reason: "a\n\tb")),
            Row("port", true, ["sandbox": "a", "hosts": [["host": "a.example", "port": 8443]], "reason": "r", "ttl": "PT1S"]),
            Row("no port", false, ["sandbox": "a", "hosts": [["host": "a.example", "port": 0]], "reason": "r", "ttl": "PT1S"]),
            Row("no host", false, ["sandbox": "a", "hosts": [], "reason": "r", "ttl": "PT1S"]),
        ]
            + [
                "*.example.com", "*", "10.0.0.1", "2130706433", "0x7f.1", "[::1]", "169.254.169.254", "localhost", "metadata",
                "metadata.google.internal", "kubernetes.default.svc", "Kubernetes.Default.SVC.cluster.local", "printer.local",
                "a..b",
                "-a.example", "a.example.", "a b.example", "x.home.arpa", "", "ex\u{e4}mple.com",
            ].map { Row("host \($0)", false, grant($0)) }
            + ["", "P", "PT", "PT0S", "P0D", "P1W", "P1Y", "P1M", "1H", "PT1.5H", "PT-1H", "PT1S1H", "p1d", "P1DT", "PT1H "].map {
                // A trailing T says nothing and is harmless; both sides take it.
                Row("ttl \($0)", $0 == "P1DT", grant("a.example", ttl: $0))
            } + ["P1D", "PT90M", "P1DT2H3M4S", "PT86400S"].map { Row("ttl \($0)", true, grant("a.example", ttl: $0)) })
    fileprivate func `a grant is sound to both or to neither`(row: Row) { check(EgressApproval.self, row) }

    @Test func `a grant never changes`() {
        let served = ServedKind(EgressApproval.definition)
        func object(_ ttl: String) -> JSONObject { ["metadata": ["name": "g"], "spec": Self.grant("a.example", ttl: ttl)] }
        #expect(served.admit(object("PT1H"), replacing: object("PT1H")).faults == [])
        #expect(!served.admit(object("PT9H"), replacing: object("PT1H")).faults.isEmpty)
    }

    @Test func `names are short enough for labels`() {
        let spec: JSON = ["appliesTo": labels]
        #expect(ToolPolicy.judge(spec, name: String(repeating: "a", count: 63)).server == [])
        #expect(!ToolPolicy.judge(spec, name: String(repeating: "a", count: 64)).server.isEmpty)
    }
}

@Suite struct `ISO 8601 durations` {
    @Test(
        arguments: [("PT1S", 1), ("P1D", 86_400), ("P1DT2H3M4S", 93_784), ("PT90M", 5400), ("P1DT", 86_400)] as [(String, Int)])
    func `are whole seconds`(text: String, seconds: Int) { #expect(ISO8601Duration.seconds(text) == seconds) }

    /// What the schema takes is what the reader takes, on texts made of the letters that matter.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `reader and pattern agree`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let schema = StructuralSchema.string.with(\.maxLength, ISO8601Duration.maxLength).matching(ISO8601Duration.pattern)
        let nonzero = StructuralSchema.string.matching(ISO8601Duration.nonzeroPattern)
        let letters = Array("PTDHMS0012Y. ")
        for _ in 0..<300 {
            let text =
                "P"
                + String((0..<Int.random(in: 0...8, using: &random)).map { _ in letters.randomElement(using: &random) ?? "P" })
            let isTaken = (schema.validate(.string(text), at: "t") + nonzero.validate(.string(text), at: "t")).isEmpty
            #expect(isTaken == (ISO8601Duration.seconds(text) != nil), "\(text)")
        }
    }
}
