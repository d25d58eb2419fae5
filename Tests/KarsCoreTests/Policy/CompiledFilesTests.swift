import KarsCore
import Testing

@Suite struct `Compiled policies` {
    private func spec<Spec: SchemaRecord>(_ json: JSON, _ type: Spec.Type = Spec.self) throws -> Spec {
        try Spec(reading: json, at: "spec")
    }

    private func digest(_ file: String, of compiled: CompiledFiles) -> PolicyDigest? {
        compiled.files[file].map { PolicyDigest(name: file, body: Array($0.utf8)) }
    }

    static let labels: JSON = ["sandboxMatchLabels": ["kars.azure.com/component": "sandbox"]]

    // MARK: ToolPolicy

    @Test func `a profile is published as it was written, and its digest is the router's`() throws {
        let text = "version: \"1.0\"\nagent: a\npolicies: []\n"
        let compiled = try spec(["appliesTo": Self.labels, "agtProfile": ["inline": .string(text)]], ToolPolicy.Spec.self)
            .compiled()
        #expect(compiled.files["agt-profile.yaml"] == text)
        #expect(compiled.digest == PolicyDigest(files: [("agt-profile.yaml", Array(text.utf8))]))
        #expect(compiled.digest == digest("agt-profile.yaml", of: compiled))
    }

    @Test func `a profile that the router would refuse is refused with its line`() throws {
        let text = "version: \"2\"\nagent: a\npolicies:\n  - name: r\n    type: capability\n    denied_acti0ns: [\"x\"]\n"
        let fault = #expect(throws: CompileFault.self) {
            try spec(["appliesTo": Self.labels, "agtProfile": ["inline": .string(text)]], ToolPolicy.Spec.self).compiled()
        }
        #expect(fault?.reason == "InvalidSpec")
        #expect(fault?.message.contains("agt-profile.yaml:6:") == true, "\(fault?.message ?? "")")
    }

    @Test func `everything else of a ToolPolicy is in profile.json, absent fields as null`() throws {
        let compiled = try spec(
            ["appliesTo": Self.labels, "rateLimit": ["rps": 5], "commerce": ["dailyCap": "USD 1"]], ToolPolicy.Spec.self
        ).compiled()
        let json = try JSON(parsing: compiled.files["profile.json"] ?? "")
        #expect(json["rateLimit"] == ["rps": 5, "burst": .null, "window": .null])
        #expect(
            json["commerce"] == ["dailyCap": "USD 1", "monthlyCap": .null, "perTransferCap": .null, "counterpartyAllowlist": []])
        #expect(json["approval"] == .null)
        #expect(compiled.digest == nil)
        #expect(compiled.files.count == 1)
    }

    @Test func `a signed document is refused while nobody can check it`() throws {
        let reference: JSON = [
            "registry": "r", "repository": "p", "digest": .string("sha256:" + String(repeating: "0", count: 64)),
            "artifactType": .string(OciArtifactRef.MediaType.agtProfile.rawValue),
        ]
        let fault = #expect(throws: CompileFault.self) {
            try spec(["appliesTo": Self.labels, "agtProfile": ["bundleRef": reference]], ToolPolicy.Spec.self).compiled()
        }
        #expect(fault?.reason == "DependencyMissing")
    }

    // MARK: InferencePolicy

    static let inference: JSON = [
        "appliesTo": ["action": "chat"], "tokenBudget": ["perRequestTokens": 100, "dailyTokens": 2000],
        "contentSafety": ["hate": "Low", "requirePromptShields": true],
        "modelPreference": [
            "primary": ["provider": "azure-openai", "deployment": "gpt-4.1"],
            "fallback": [["provider": "openai", "deployment": "gpt-4o-mini"]],
        ], "displayName": "d",
    ]

    @Test func `an inference policy reads back in the router as what it said`() throws {
        let compiled = try spec(Self.inference, InferencePolicy.Spec.self).compiled()
        let text = compiled.files["inference-policy.json"] ?? ""
        let rules = try InferenceRules(parsing: Array(text.utf8))
        #expect(rules.limits == TokenLimits(perRequest: 100, daily: 2000, monthly: nil))
        #expect(rules.models == ["gpt-4.1", "gpt-4o-mini"])
        #expect(rules.contentSafety.ceilings == [.hate: .low])
        #expect(rules.contentSafety.requiresPromptShields)
        #expect(rules.displayName == "d")
        #expect(rules.warnings == [])
        #expect(compiled.digest == digest("inference-policy.json", of: compiled))
    }

    @Test func `the bytes of an inference policy are fixed`() throws {
        let compiled = try spec(["appliesTo": [:]], InferencePolicy.Spec.self).compiled()
        let expected = """
            {"appliesTo":{"action":null,"sandboxMatchLabels":{},"sandboxName":null},"contentSafety":null,"displayName":null,\
            "modelPreference":null,"tokenBudget":null}
            """
        #expect(compiled.files == ["inference-policy.json": expected])
        #expect(compiled.versionHash == Hex.encode(SHA256.hash(Array(expected.utf8)).prefix(16)))
        #expect(compiled.versionHash.count == 32)
    }

    @Test func `content safety that nobody says is the floor's`() throws {
        for said: JSON in [["appliesTo": [:]], ["appliesTo": [:], "contentSafety": ["hate": "Safe"]]] {
            let compiled = try spec(said, InferencePolicy.Spec.self).compiled(floor: .medium)
            let rules = try InferenceRules(parsing: Array((compiled.files["inference-policy.json"] ?? "").utf8))
            let hate: SafetySeverity = said["contentSafety"] == nil ? .medium : .safe
            #expect(rules.contentSafety.ceilings == [.hate: hate, .selfHarm: .medium, .sexual: .medium, .violence: .medium])
        }
    }

    @Test(arguments: ["hate", "selfHarm", "sexual", "violence"])
    func `content safety below the floor is not compiled`(category: String) throws {
        func policy(_ severity: JSON) throws -> InferencePolicy.Spec {
            try spec(["appliesTo": [:], "contentSafety": .object([category: severity])], InferencePolicy.Spec.self)
        }
        let fault = #expect(throws: CompileFault.self) { try policy("High").compiled(floor: .medium) }
        #expect(fault?.message.contains("spec.contentSafety.\(category): High is weaker than") == true, "\(fault?.message ?? "")")
        #expect(throws: CompileFault.self) { try policy("Low").compiled(floor: .safe) }
        _ = try policy("High").compiled(floor: .high)
        _ = try policy("High").compiled()
    }

    @Test func `the order in which labels are written makes no difference`() throws {
        let one = try spec(["appliesTo": ["sandboxMatchLabels": ["a": "1", "b": "2"]]], InferencePolicy.Spec.self).compiled()
        let other = try spec(["appliesTo": ["sandboxMatchLabels": ["b": "2", "a": "1"]]], InferencePolicy.Spec.self).compiled()
        #expect(one == other)
    }

    @Test func `what an answer may hold reaches the router`() throws {
        let compiled = try spec(["appliesTo": [:], "outputScan": ["credentials": "block"]], InferencePolicy.Spec.self).compiled()
        let rules = try InferenceRules(parsing: Array((compiled.files["inference-policy.json"] ?? "").utf8))
        #expect(rules.output.credentials == .block)
        #expect(rules.output.injection == OutputPolicy().injection)
    }

    // MARK: KarsMemory

    @Test func `a binding reads back as what it said`() throws {
        let compiled = try spec(
            ["sandboxRef": ["name": "a"], "storeName": "s1", "scope": "agent_x", "retentionDays": 30], KarsMemory.Spec.self
        ).compiled()
        let binding = try MemoryBinding(parsing: Array((compiled.files["binding.json"] ?? "").utf8))
        #expect(
            binding == MemoryBinding(store: "s1", sandbox: "a", scope: "agent_x", retentionDays: 30, deletesWithSandbox: true))
        #expect(compiled.digest == digest("binding.json", of: compiled))
    }

    @Test(arguments: [
        "{}", "[]", #"{"storeName":"S","sandboxRef":{"name":"a"},"scope":"x"}"#,
        #"{"storeName":"s","sandboxRef":{},"scope":"x"}"#,
        #"{"storeName":"s","sandboxRef":{"name":"a"},"scope":"x:y"}"#,
        #"{"storeName":"s","sandboxRef":{"name":"a"},"scope":"x","retentionDays":0}"#,
        #"{"storeName":"s/../t","sandboxRef":{"name":"a"},"scope":"x"}"#,
    ])
    func `a binding that could mean another scope is refused`(text: String) {
        #expect(throws: PolicyFileError.self) { try MemoryBinding(parsing: Array(text.utf8)) }
    }

    @Test func `no prefix of a binding is one`() throws {
        let bytes = MemoryBinding(store: "s", sandbox: "a", scope: "x").json.encoded()
        for end in 0..<bytes.count { #expect(throws: PolicyFileError.self) { try MemoryBinding(parsing: Array(bytes[..<end])) } }
    }

    // MARK: Golden digests (spec/router 27)

    @Test func `digests are those of the specification`() throws {
        func digest(_ name: String, _ body: String) -> String { PolicyDigest(name: name, body: Array(body.utf8)).description }
        let list = #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443},{"host":"b.example","port":8443}]}"#
        let merged = try MergedAllowlist.digest(baseline: list, files: [:], at: UTCTime(seconds: 0))
        #expect(merged.description == "sha256:198b19f6015f413581c14e4019c761aeb2a37e40b65352a4d9d6f66dbd1a1161")
        let none = try MergedAllowlist.digest(baseline: nil, files: [:], at: UTCTime(seconds: 0))
        #expect(none.description == "sha256:a4e8758c709436be73354af3b0d55e47d25f3b443c9e827c53b4c73fd67e2d9f")
        #expect(
            digest("binding.json", #"{"storeName":"s1","scope":"agent_x"}"#)
                == "sha256:db77825fa20713ef1989db8b310ecdf162af6ef6d7aedb96a1cea202fdf201ee")
    }

    // MARK: McpServer, A2AAgent

    @Test func `what a server of tools needs is in two files`() throws {
        let server = try spec(
            [
                "url": "https://mcp.example", "productionMode": true, "oauth": ["issuer": "https://id.example"],
                "scopes": ["read"],
                "allowedTools": ["*"],
            ], McpServer.Spec.self)
        #expect(server.keyIssuer == "https://id.example")
        let keys = try JSONWebKeySet(
            parsing: Array(#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","d":"secret","kid":"1"}]}"#.utf8))
        let compiled = try server.compiled(keys: keys)
        #expect(
            try JSON(parsing: compiled.files["meta.json"] ?? "")
                == ["issuer": "https://id.example", "url": "https://mcp.example", "scopes": ["read"], "allowedTools": ["*"]])
        #expect(
            try JSON(parsing: compiled.files["jwks.json"] ?? "") == [
                "keys": [["kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "1"]]
            ])
    }

    @Test(arguments: [
        "{}", #"{"keys":{}}"#, #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#, #"{"keys":[{"kty":"RSA","n":"x"}]}"#,
        #"{"keys":[{"kty":"EC","crv":"P-256","x":"a","y":"b","use":"enc"}]}"#, "nonsense",
    ])
    func `keys that check nothing, and secrets, are no key set`(text: String) {
        #expect(throws: CompileFault.self) { try JSONWebKeySet(parsing: Array(text.utf8)) }
    }

    @Test func `a server for some sandboxes is not for others`() throws {
        let server = try spec(["allowedSandboxes": ["matchLabels": ["team": "a"]]], McpServer.Spec.self)
        #expect(server.admits(sandboxLabels: ["team": "a", "x": "y"]))
        #expect(!server.admits(sandboxLabels: ["team": "b"]))
        #expect(!server.admits(sandboxLabels: [:]))
    }

    @Test func `a card tells nothing of keys, peers and policies`() throws {
        let agent = try spec(
            [
                "endpointUrl": "https://a.example/a2a", "capabilities": ["streaming"], "policyRefs": ["toolPolicy": "inner"],
                "signingKeys": [["kid": "k1", "alg": "EdDSA", "publicKeyB64u": .string(`Policy kinds`.key)]],
                "federation": [["label": "b", "kind": "in-cluster", "agentRef": "b"]],
            ], A2AAgent.Spec.self)
        let compiled = try agent.compiled(name: "writer", namespace: "team")
        let card = try JSON(parsing: compiled.files["agent.json"] ?? "")
        #expect(card["name"] == "writer")
        #expect(
            card["supportedInterfaces"]?[0] == [
                "url": "https://a.example/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0",
            ])
        #expect(card["capabilities"]?["streaming"] == true)
        for name in ["signingKeys", "federation", "policyRefs", "trust"] { #expect(card[name] == nil) }
        let trust = try JSON(parsing: compiled.files["trust.json"] ?? "")
        #expect(trust["signingKeys"]?[0]?["kid"] == "k1")
        #expect(trust["policyRefs"]?["toolPolicy"] == "inner")
    }
}

@Suite struct `Trust graphs` {
    private let alice = Ed25519.PrivateKey(), bob = Ed25519.PrivateKey()
    private static let now = 1_800_000_000

    private func vertex(_ id: String, _ key: Ed25519.PrivateKey) -> TrustGraph.Vertex {
        var vertex = TrustGraph.Vertex()
        vertex.id = id
        vertex.publicKeyB64u = Base64.encodeURL(key.publicKey.rawBytes)
        return vertex
    }

    private func edge(
        _ from: String, _ to: String, score: Int = 800, issuedAt: Int = now - 100, notAfter: Int? = nil,
        by key: Ed25519.PrivateKey
    ) -> TrustGraph.Edge {
        var edge = TrustGraph.Edge()
        (edge.from, edge.to, edge.score, edge.issuedAt, edge.notAfter) = (from, to, score, issuedAt, notAfter)
        edge.signature = Base64.encodeURL(key.sign(Array(edge.signedText.utf8)))
        return edge
    }

    private func judged(_ edges: [TrustGraph.Edge], at now: Int = now) -> TrustGraph.Compiled {
        var spec = TrustGraph.Spec()
        spec.vertices = [vertex("alice", alice), vertex("bob", bob)]
        spec.edges = edges
        return spec.judged(at: now)
    }

    @Test func `an edge that its vertex signed holds`() throws {
        let compiled = judged([edge("alice", "bob", by: alice)])
        #expect(compiled.edges.count == 1)
        #expect(compiled.rejected.isEmpty)
        #expect(compiled.nextTurn == nil)
        let policy = try compiled.policy(inputEdges: 1)
        let json = try JSON(parsing: policy.files["graph.json"] ?? "")
        #expect(json["versionHash"]?.stringValue?.count == 16)
        #expect(json["edges"]?[0]?["score"] == 800)
    }

    @Test func `each way of being wrong has its name`() {
        var unsigned = edge("alice", "bob", by: alice)
        unsigned.score = 900
        var garbled = edge("alice", "bob", by: alice)
        garbled.signature = "!!"
        var short = edge("alice", "bob", by: alice)
        short.signature = "AAAA"
        let rows: [(TrustGraph.Edge, TrustGraph.Rejection)] = [
            (edge("carol", "bob", by: alice), .unknownFrom), (edge("alice", "carol", by: alice), .unknownTo),
            (edge("alice", "bob", by: bob), .signatureMismatch), (unsigned, .signatureMismatch),
            (edge("alice", "bob", score: 1001, by: alice), .scoreOutOfRange), (garbled, .signatureDecodeError),
            (short, .signatureLengthError), (edge("alice", "bob", notAfter: Self.now - 200, by: alice), .invertedExpiry),
            (edge("alice", "bob", notAfter: Self.now - 1, by: alice), .expired),
            (edge("alice", "bob", issuedAt: Self.now + 301, by: alice), .notYetIssued),
            (edge("alice", "bob\nbob", by: alice), .controlCharacter),
        ]
        for (edge, reason) in rows { #expect(judged([edge]).rejected.map(\.reason) == [reason], "\(reason)") }
    }

    @Test func `it says when to look again`() {
        let compiled = judged([
            edge("alice", "bob", notAfter: Self.now + 50, by: alice), edge("bob", "alice", issuedAt: Self.now + 400, by: bob),
        ])
        #expect(compiled.edges.count == 1)
        #expect(compiled.nextTurn == Self.now + 51)
        #expect(judged([edge("alice", "bob", notAfter: Self.now + 50, by: alice)], at: Self.now + 51).edges.isEmpty)
        #expect(judged([edge("bob", "alice", issuedAt: Self.now + 400, by: bob)], at: Self.now + 100).edges.count == 1)
    }

    @Test func `a sandbox gets the edges by which it vouches itself`() throws {
        let compiled = judged([edge("alice", "bob", by: alice), edge("bob", "alice", by: bob)])
        let slice = try compiled.slice(for: "alice")
        #expect(slice["edges"]?.arrayValue?.count == 1)
        #expect(slice["edges"]?[0]?["to"] == "bob")
        #expect(try compiled.slice(for: "carol")["vertices"] == [])
    }
}

@Suite struct `Router reports` {
    static let digest = "sha256:" + String(repeating: "0a", count: 32)
    static let text = """
        {"schema_version":1,"sandbox":"demo","count":2,"entries":[\
        {"kind":"AgtProfile","digest":"\(digest)","source_path":"/p","loaded_at":"x","last_error":null},\
        {"kind":"Later","digest":null}]}
        """

    @Test func `what is known is read, what is not is passed over`() throws {
        let report = try RouterReport(parsing: Array(Self.text.utf8), from: "demo")
        #expect(report.entries == [.profile: RouterReport.Entry(digest: Self.digest)])
    }

    @Test func `no prefix of an answer is one`() {
        let bytes = Array(Self.text.utf8)
        for end in 0..<bytes.count {
            #expect(throws: RouterReport.Fault.self) { try RouterReport(parsing: Array(bytes[..<end]), from: "demo") }
        }
    }

    @Test func `an answer about another sandbox is none`() {
        #expect(throws: RouterReport.Fault.otherSandbox("demo")) {
            try RouterReport(parsing: Array(Self.text.utf8), from: "other")
        }
    }

    @Test(
        arguments: [
            (#""schema_version":1"#, #""schema_version":2"#), (#""count":2"#, #""count":3"#), (#""sandbox":"demo","#, ""),
            ("\"\(digest)\"", "\"sha256:0\""), ("\"\(digest)\"", "17"), (#""kind":"Later""#, #""kind":"AgtProfile""#),
            (#""last_error":null"#, #""last_error":{}"#), (#"{"kind":"Later","digest":null}"#, "null"),
        ] as [(String, String)])
    func `what could be read in two ways is not read`(part: String, other: String) {
        let text = Self.text.replacing(part, with: other)
        #expect(text != Self.text)
        #expect(throws: RouterReport.Fault.self) { try RouterReport(parsing: Array(text.utf8), from: "demo") }
    }

    @Test func `uses of grants are whole numbers by name`() throws {
        func report(_ uses: String) throws -> RouterReport {
            let text = Self.text.replacing(#""sandbox":"demo""#, with: #""sandbox":"demo","approval_uses":\#(uses)"#)
            return try RouterReport(parsing: Array(text.utf8), from: "demo")
        }
        #expect(try report(#"{"visit":3,"other":0}"#).approvalUses == ["visit": 3, "other": 0])
        #expect(try RouterReport(parsing: Array(Self.text.utf8), from: "demo").approvalUses == [:])
        for wrong in ["3", #"{"visit":-1}"#, #"{"visit":1.5}"#, #"{"visit":"3"}"#, "[]"] {
            #expect(throws: RouterReport.Fault.self) { try report(wrong) }
        }
        let many = (0...RouterReport.maxApprovals).map { #""g\#($0)":1"# }.joined(separator: ",")
        #expect(throws: RouterReport.Fault.self) { try report("{\(many)}") }
    }

    @Test func `an error text cannot drive a terminal, and is short`() throws {
        let long = #"\u001b[2J"# + String(repeating: "x", count: 5000)
        let text = Self.text.replacing(#""last_error":null"#, with: "\"last_error\":\"\(long)\"")
        let error = try RouterReport(parsing: Array(text.utf8), from: "demo").entries[.profile]?.lastError ?? ""
        #expect(error.hasPrefix(" [2J"))
        #expect(error.utf8.count <= 1024)
    }
}
