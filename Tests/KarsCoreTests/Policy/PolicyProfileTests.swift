import KarsCore
import Testing

@Suite struct `Policy profile` {
    static func load(_ files: (String, String)..., semantics: PolicyProfile.Semantics? = nil) throws(PolicyProfileError)
        -> PolicyProfile
    {
        try PolicyProfile.load(files: files.map { (name: $0.0, bytes: Array($0.1.utf8)) }, semantics: semantics)
    }

    static func problems(_ text: String) -> [String] {
        do {
            _ = try load(("p.yaml", text))
            return []
        } catch { return error.problems.map(\.description) }
    }

    static let sample = """
        version: "1.0"
        agent: demo-agent
        policies:
          - name: no-shell
            type: capability
            denied_actions: ["shell:rm"]
            allowed_actions: []
            conditions: {}
            priority: 0
            scope: global
          - name: bulk
            type: approval
            actions: ["admin:bulk*"]
            min_approvals: 2
          - name: burst
            type: rate_limit
            actions: ["inference:*"]
            max_calls: 500
            window: "60s"
        """

    @Test func `the profile of the fact sheet is read whole`() throws {
        let profile = try Self.load(("p.yaml", Self.sample))
        #expect(profile.agents == ["demo-agent"])
        #expect(profile.semantics == .kars)
        #expect(profile.defaultDecision == nil)
        #expect(profile.warnings.isEmpty)
        #expect(
            profile.rules == [
                PolicyProfile.Rule(
                    name: "no-shell", kind: .capability(denied: [ActionPattern("shell:rm")], allowed: []), file: "p.yaml"),
                PolicyProfile.Rule(
                    name: "bulk", kind: .approval(actions: [ActionPattern("admin:bulk*")], minimumApprovals: 2), file: "p.yaml"),
                PolicyProfile.Rule(
                    name: "burst", kind: .rateLimit(actions: [ActionPattern("inference:*")], maxCalls: 500, window: .seconds(60)),
                    file: "p.yaml"),
            ])
    }

    @Test func `version 1 is read past what it does not know, with a warning that says where`() throws {
        let text = Self.sample.replacing("type: approval", with: "type: quorum").replacing("priority: 0", with: "prioriti: 9")
        let profile = try Self.load(("p.yaml", text))
        #expect(profile.rules.map(\.name) == ["no-shell", "burst"])
        #expect(
            profile.warnings.map(\.description) == [
                "p.yaml:9:5: unknown field 'prioriti': expected allowed_actions, denied_actions",
                "p.yaml:12:11: unknown type 'quorum': expected capability, approval or rate_limit",
            ])
    }

    @Test(arguments: [
        ("version: \"1.0\"", "version: \"2\""), ("agent: demo-agent", "agent: demo-agent\nstrict: true"),
    ])
    func `a strict file with anything unknown is refused, every problem at once`(old: String, new: String) {
        let text =
            Self.sample.replacing(old, with: new).replacing("type: approval", with: "type: quorum").replacing(
                "denied_actions", with: "denied_action") + "\nextra: 1\n"
        let problems = Self.problems(text)
        #expect(problems.count == 4, "\(problems)")
        #expect(problems.contains { $0.contains("unknown field 'denied_action'") })
        #expect(problems.contains { $0.contains("neither allows nor denies") })
        #expect(problems.contains { $0.contains("unknown type 'quorum'") })
        #expect(problems.contains { $0.contains("unknown field 'extra'") })
    }

    @Test(arguments: [
        ("version: 1\nagent: a\npolicies: []", "p.yaml:1:10: expected version as a string"),
        ("agent: a\npolicies: []", "p.yaml:1:1: missing field version"),
        ("version: \"1.0\"\nrules: []", "missing field agent"),
        ("version: \"3\"\nagent: a\npolicies: []", "p.yaml:1:10: expected version \"1.0\" or \"2\""),
        ("version: \"1.0\"\nagent: a\npolicies: {}", "p.yaml:3:11: expected a list"),
        ("version: \"1.0\"\nagent: a\npolicies: [x]", "p.yaml:3:12: expected a rule"),
        ("version: \"1.0\"\nagent: a\npolicies:\n- type: capability", "p.yaml:4:3: missing field name"),
        ("version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: approval, actions: a}", "expected actions as a list"),
        ("version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: approval, actions: [1]}", "expected a pattern as a string"),
        (
            "version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: rate_limit, actions: [a], max_calls: 1, window: 1d}",
            "expected window"
        ),
        (
            "version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: rate_limit, actions: [a], max_calls: 1}",
            "missing field window"
        ),
        ("version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: capability, priority: -1}", "expected priority"),
        (
            "version: \"1.0\"\nagent: a\npolicies:\n- {name: x, type: capability, conditions: [a]}",
            "expected conditions as a mapping"
        ),
        ("version: \"1.0\"\nagent: a\ndefaultDecision: maybe\npolicies: []", "p.yaml:3:18: expected allow or deny"),
        ("a: [", "p.yaml"), ("", "expected a profile"), ("- 1", "expected a mapping"),
        ("version: \"1.0\"\nversion: \"1.0\"", "p.yaml:2:1"),
    ])
    func `what cannot be meant is refused with its place`(text: String, expected: String) {
        #expect(Self.problems(text).contains { $0.contains(expected) }, "\(Self.problems(text))")
    }

    @Test(arguments: [("60", 60), ("\"60\"", 60), ("60s", 60), ("5m", 300), ("2h", 7_200)])
    func `windows are seconds unless a unit follows`(text: String, seconds: Int) throws {
        let profile = try Self.load(("p.yaml", Self.sample.replacing("\"60s\"", with: text)))
        guard case .rateLimit(_, _, let window)? = profile.rules.last?.kind else {
            Issue.record("no rate limit")
            return
        }
        #expect(window == .seconds(seconds))
    }

    @Test func `conditions may be values, lists and mappings`() throws {
        let text = """
            version: "2"
            agent: a
            policies:
              - name: x
                type: capability
                allowed_actions: ["*"]
                conditions: {env: dev, level: [1, 2], debug: true, action: {command: ls}}
            """
        let conditions = try Self.load(("p.yaml", text)).rules.first?.conditions
        #expect(conditions == ["env": ["dev"], "level": ["1", "2"], "debug": ["true"], "action.command": ["ls"]])
    }

    @Test func `files merge in the order of their paths, whatever order they come in`() throws {
        let a = "version: \"2\"\nagent: a\npolicies:\n- {name: one, type: capability, allowed_actions: [\"a:*\"]}\n"
        let b =
            "version: \"2\"\nagent: b\ndefaultDecision: allow\npolicies:\n- {name: one, type: capability, denied_actions: [\"b:*\"]}\n"
        let forwards = try Self.load(("a.yaml", a), ("b.yaml", b))
        #expect(forwards == (try Self.load(("b.yaml", b), ("a.yaml", a))))
        #expect(forwards.agents == ["a", "b"])
        #expect(forwards.rules.map(\.file) == ["a.yaml", "b.yaml"])
        #expect(forwards.defaultDecision == .allow)
        let strictest = try Self.load(
            ("a.yaml", a), ("b.yaml", b), ("c.yaml", "version: \"2\"\nagent: c\ndefaultDecision: deny\npolicies: []"))
        #expect(strictest.defaultDecision == .deny)
        #expect(
            try Self.load(("c.yaml", "version: \"2\"\nagent: c\ndefaultDecision: deny\npolicies: []"), ("d.yaml", b))
                .defaultDecision == .deny)
    }

    @Test func `compatibility is one for all files, or settled by configuration`() throws {
        let agt = "version: \"1.0\"\nagent: a\ncompatibility: agt-1\npolicies: []\n"
        #expect(try Self.load(("a.yaml", agt)).semantics == .agt1)
        #expect(throws: PolicyProfileError.self) { try Self.load(("a.yaml", agt), ("b.yaml", Self.sample)) }
        #expect(try Self.load(("a.yaml", agt), ("b.yaml", Self.sample), semantics: .agt1).semantics == .agt1)
        #expect(try Self.load(("b.yaml", Self.sample), semantics: .agt1).semantics == .agt1)
    }

    @Test func `no files make a profile that denies`() throws {
        #expect(PolicyEngine(try PolicyProfile.load(files: [])).evaluate(PolicyFixture.action("tool:x:")).isRefused)
    }

    @Test func `patterns that do not mean what they seem are pointed out`() throws {
        let text = """
            version: "1.0"
            agent: a
            policies:
              - name: x
                type: capability
                allowed_actions: ["a*b", "Tool:x", "egress:https://a.example*", "egress:https://a.example/*", "egress:*", " x:y"]
            """
        let warnings = try Self.load(("p.yaml", text)).warnings.map(\.text)
        #expect(warnings.count == 4, "\(warnings)")
        #expect(warnings.contains { $0.contains("only at the end") })
        #expect(warnings.contains { $0.contains("lower case") })
        #expect(warnings.contains { $0.contains("egress:https://a.example*") })
    }

    @Test func `a huge file and a flood of mistakes stay bounded`() {
        #expect(Self.problems(String(repeating: "#", count: PolicyProfile.maxFileBytes + 1)).count == 1)
        let flood = "version: \"2\"\nagent: a\npolicies:\n" + String(repeating: "- 1\n", count: 5_000)
        #expect(Self.problems(flood).count == 100)
    }
}
