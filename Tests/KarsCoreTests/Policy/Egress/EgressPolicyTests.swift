import KarsCore
import KarsTesting
import Testing

@Suite struct `Egress policy` {
    static let now = UTCTime(seconds: 1_800_000_000)

    static func rules(_ texts: String...) -> [EgressRule] { texts.compactMap { try? EgressRule(parsing: $0) } }

    func decide(_ policy: EgressPolicy, _ destination: String, now: UTCTime = now) throws -> EgressPolicy.Decision {
        let (host, port) = try Host.authority(destination)
        return policy.decide(host, port: port ?? 443, now: now)
    }

    func refusedBy(_ decision: EgressPolicy.Decision) -> String? {
        guard case .refuse(let refusal) = decision else { return nil }
        return refusal.rule
    }

    @Test(arguments: [
        ("github.com", "egress:allowlist:github.com:443"), ("GitHub.com.", "egress:allowlist:github.com:443"),
        ("api.example.org", "egress:allowlist:*.example.org:443"), ("a.b.example.org", "egress:allowlist:*.example.org:443"),
        ("plain.example:80", "egress:allowlist:plain.example:80"), ("9.9.9.9", "egress:allowlist:9.9.9.9:443"),
        ("[2606:4700::1111]", "egress:allowlist:[2606:4700::1111]:443"),
    ])
    func `what a rule names is allowed by that rule`(destination: String, rule: String) throws {
        let policy = EgressPolicy(
            .init(baseline: Self.rules("github.com", "*.example.org", "plain.example:80", "9.9.9.9", "[2606:4700::1111]:443")))
        #expect(try decide(policy, destination) == .allow(rule: rule))
    }

    @Test(arguments: [
        ("github.com:80", "egress:default-deny"), ("api.github.com", "egress:default-deny"),
        ("example.org", "egress:default-deny"),
        ("notexample.org", "egress:default-deny"), ("plain.example", "egress:default-deny"), ("1.1.1.1", "egress:ip-literal"),
        ("[::1]", "egress:ip-literal"), ("localhost", "egress:default-deny"),
    ])
    func `everything else is refused and says so`(destination: String, rule: String) throws {
        let policy = EgressPolicy(.init(baseline: Self.rules("github.com", "*.example.org", "plain.example:80")))
        let decision = try decide(policy, destination)
        #expect(refusedBy(decision) == rule)
        guard case .refuse(let refusal) = decision else { return }
        #expect(refusal.reason.contains("not in allowlist"))
        #expect(refusal.status == 403)
        #expect(refusal.stage == .policy)
    }

    @Test func `without an allowlist nothing is permitted, not even by an approval`() throws {
        let approval = EgressGrant(
            name: "a", rules: Self.rules("x.example"), effectiveAt: Self.now, expiresAt: Self.now.advanced(by: .seconds(60)))
        let policy = EgressPolicy(.init(baseline: nil, approvals: [approval], granted: Self.rules("y.example")))
        #expect(refusedBy(try decide(policy, "x.example")) == "egress:no-allowlist")
        #expect(refusedBy(try decide(policy, "y.example")) == "egress:no-allowlist")
        #expect(policy.mergedRules(at: Self.now) == [])
    }

    @Test func `an approval holds from its start to its end`() throws {
        let end = Self.now.advanced(by: .seconds(60))
        let approval = EgressGrant(name: "deploy", rules: Self.rules("x.example:8443"), effectiveAt: Self.now, expiresAt: end)
        let policy = EgressPolicy(.init(baseline: [], approvals: [approval]))
        #expect(
            refusedBy(try decide(policy, "x.example:8443", now: Self.now.advanced(by: .seconds(-1)))) == "egress:default-deny")
        #expect(try decide(policy, "x.example:8443") == .allow(rule: "egress:approval:deploy:x.example:8443"))
        #expect(refusedBy(try decide(policy, "x.example:8443", now: end)) == "egress:approval:deploy")
        #expect(policy.mergedRules(at: Self.now).count == 1)
        #expect(policy.mergedRules(at: end).isEmpty)
    }

    @Test func `a lasting rule wins over an expired approval of the same host`() throws {
        let approval = EgressGrant(
            name: "old", rules: Self.rules("x.example"), effectiveAt: UTCTime(seconds: 0), expiresAt: UTCTime(seconds: 1))
        let policy = EgressPolicy(.init(baseline: Self.rules("*.example"), approvals: [approval]))
        #expect(try decide(policy, "x.example") == .allow(rule: "egress:allowlist:*.example:443"))
    }

    @Test func `the operator's denial wins over every grant, in both modes`() throws {
        for mode in EgressPolicy.Mode.allCases {
            let policy = EgressPolicy(
                .init(
                    mode: mode, baseline: Self.rules("x.example", "*.y.example"),
                    denied: Self.rules("x.example", "*.y.example").map(\.pattern)))
            #expect(refusedBy(try decide(policy, "x.example")) == "egress:denied:x.example")
            #expect(refusedBy(try decide(policy, "x.example:80")) == "egress:denied:x.example")
            #expect(refusedBy(try decide(policy, "a.y.example")) == "egress:denied:*.y.example")
        }
    }

    @Test func `learn mode lets names through, never addresses, dotless names or what is blocked`() throws {
        var list = BlockList()
        list.insert(try HostName("bad.example"))
        let policy = EgressPolicy(.init(mode: .learn, baseline: nil, blockList: list))
        #expect(try decide(policy, "any.example:8080") == .learn)
        #expect(refusedBy(try decide(policy, "1.1.1.1")) == "egress:ip-literal")
        #expect(refusedBy(try decide(policy, "localhost")) == "egress:no-allowlist")
        #expect(refusedBy(try decide(policy, "x.bad.example")) == "egress:blocklist:bad.example")
        #expect(refusedBy(try decide(policy, "a.tk.")) == "egress:high-risk-tld:tk")
    }

    @Test func `the block list wins over the allowlist`() throws {
        var list = BlockList()
        list.insert(try HostName("bad.example"))
        let policy = EgressPolicy(.init(baseline: Self.rules("bad.example", "ok.tk"), blockList: list))
        guard case .refuse(let refusal) = try decide(policy, "bad.example") else {
            Issue.record("bad.example was not refused")
            return
        }
        #expect(refusal.type == "blocklist_violation")
        #expect(refusedBy(try decide(policy, "ok.tk")) == "egress:high-risk-tld:tk")
    }

    @Test func `a name may be resolved when some port of it is permitted`() throws {
        let policy = EgressPolicy(.init(baseline: Self.rules("x.example:8443")))
        #expect(policy.decideName(try HostName("x.example"), now: Self.now) == .allow(rule: "egress:allowlist:x.example:8443"))
        #expect(refusedBy(policy.decideName(try HostName("leak.x.example"), now: Self.now)) == "egress:default-deny")
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `adding a denial never allows more, and adding a grant never less`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let names = ["a.example", "b.example", "c.a.example", "d.c.a.example", "example"]
        func randomRule() -> EgressRule? {
            let text = (Bool.random(using: &random) ? "*." : "") + (names.randomElement(using: &random) ?? "")
            return try? EgressRule(host: text, port: [80, 443].randomElement(using: &random) ?? 443)
        }
        let baseline = (0..<Int.random(in: 0...4, using: &random)).compactMap { _ in randomRule() }
        let extra = try #require(randomRule())
        let before = EgressPolicy(.init(baseline: baseline))
        let more = EgressPolicy(.init(baseline: baseline + [extra]))
        let less = EgressPolicy(.init(baseline: baseline, denied: [extra.pattern]))
        for name in names {
            for port in [80, 443] as [UInt16] {
                let host = try Host(name)
                let allowed = { (policy: EgressPolicy) in self.refusedBy(policy.decide(host, port: port, now: Self.now)) == nil }
                #expect(allowed(before) == baseline.contains { $0.port == port && $0.matches(host) })
                if allowed(before) { #expect(allowed(more)) }
                if allowed(less) { #expect(allowed(before)) }
            }
        }
    }

    @Test func `the merged document has the bytes of the digest vectors`() throws {
        let policy = EgressPolicy(.init(baseline: Self.rules("b.example:8443", "a.example", "A.example.")))
        #expect(
            String(decoding: policy.mergedDocument(at: Self.now), as: UTF8.self)
                == #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443},{"host":"b.example","port":8443}]}"#)
        #expect(
            String(decoding: EgressPolicy(.init(baseline: [])).mergedDocument(at: Self.now), as: UTF8.self)
                == #"{"schemaVersion":1,"endpoints":[]}"#)
    }

    @Test(arguments: ["*", "*.", "a.*.b", "*a.b", "*.1.2.3.4", "*.*.a", "a.b:0", "http://a.b", ""])
    func `patterns other than a host or a suffix are refused`(text: String) {
        #expect(throws: HostName.Problem.self) { try EgressRule(parsing: text) }
    }
}

@Suite struct `Address policy` {
    @Test func `only public addresses are reachable by default`() throws {
        let policy = AddressPolicy()
        for text in [
            "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.1.1", "::1", "fd00::1", "64:ff9b::8.8.8.8", "::ffff:10.0.0.1",
            "224.0.0.1",
        ] {
            #expect(policy.refusal(of: try #require(IPAddress(text))) != nil, "\(text)")
        }
        #expect(policy.refusal(of: try #require(IPAddress("93.184.216.34"))) == nil)
        #expect(policy.refusal(of: try #require(IPAddress("::ffff:93.184.216.34"))) == nil)
    }

    @Test func `permitted prefixes open private addresses and never this host, metadata or multicast`() throws {
        let everything = AddressPolicy(permitted: [try #require(IPPrefix("0.0.0.0/0")), try #require(IPPrefix("::/0"))])
        for text in ["10.0.0.1", "100.64.1.1", "192.168.1.1", "fd00::1", "198.18.0.1", "64:ff9b::8.8.8.8"] {
            #expect(everything.refusal(of: try #require(IPAddress(text))) == nil, "\(text)")
        }
        for text in [
            "127.0.0.1", "169.254.169.254", "169.254.1.1", "168.63.129.16", "0.0.0.0", "0.1.1.1", "224.0.0.1", "255.255.255.255",
            "::", "::1",
            "fe80::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254",
            "64:ff9b::127.0.0.1",
            "2002:7f00:1::1", "::127.0.0.1", "100.100.100.200",
        ] {
            #expect(everything.refusal(of: try #require(IPAddress(text))) != nil, "\(text)")
        }
    }

    @Test func `refused prefixes win over public and permitted ones`() throws {
        let policy = AddressPolicy(
            permitted: [try #require(IPPrefix("10.0.0.0/8"))],
            refused: [try #require(IPPrefix("10.1.0.0/16")), try #require(IPPrefix("20.0.0.0/8"))])
        #expect(policy.refusal(of: try #require(IPAddress("10.2.0.1"))) == nil)
        #expect(policy.refusal(of: try #require(IPAddress("10.1.0.1"))) == "in refused prefix 10.1.0.0/16")
        #expect(policy.refusal(of: try #require(IPAddress("20.1.1.1"))) != nil)
    }

    @Test func `a list of prefixes is read whole, with every problem`() {
        let (prefixes, problems) = AddressPolicy.prefixes(
            parsing: "10.20.0.0/16, fd00:1::/32,127.0.0.0/8,169.254.0.0/16,10.0.0.1/8,x")
        #expect(prefixes.map(\.description) == ["10.20.0.0/16", "fd00:1::/32"])
        #expect(problems.count == 4)
        #expect(AddressPolicy.prefixes(parsing: "").prefixes.isEmpty)
    }
}
