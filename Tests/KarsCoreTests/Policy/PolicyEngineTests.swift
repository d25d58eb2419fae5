import KarsCore
import KarsTesting
import Testing

/// Short forms for building profiles and asking questions.
enum PolicyFixture {
    typealias Rule = PolicyProfile.Rule

    static func allow(_ patterns: String..., name: String = "allow", priority: Int = 0, when: [String: [String]] = [:]) -> Rule {
        Rule(
            name: name, kind: .capability(denied: [], allowed: patterns.map { ActionPattern($0) }), conditions: when,
            priority: priority)
    }

    static func deny(_ patterns: String..., name: String = "deny", priority: Int = 0, when: [String: [String]] = [:]) -> Rule {
        Rule(
            name: name, kind: .capability(denied: patterns.map { ActionPattern($0) }, allowed: []), conditions: when,
            priority: priority)
    }

    static func approve(_ patterns: String..., name: String = "approve", priority: Int = 0, minimum: Int = 1) -> Rule {
        Rule(
            name: name, kind: .approval(actions: patterns.map { ActionPattern($0) }, minimumApprovals: minimum),
            priority: priority)
    }

    static func limit(_ pattern: String, _ maxCalls: Int, per window: Duration, name: String = "limit") -> Rule {
        Rule(name: name, kind: .rateLimit(actions: [ActionPattern(pattern)], maxCalls: maxCalls, window: window))
    }

    static func engine(_ rules: Rule..., otherwise: PolicyProfile.DefaultDecision? = nil) -> PolicyEngine {
        PolicyEngine(PolicyProfile(defaultDecision: otherwise, rules: rules))
    }

    static func action(_ name: String, _ attributes: [String: String] = [:], principal: String = "demo") -> Action {
        Action(surface: .tool, principal: principal, name: name, attributes: attributes)
    }
}

extension Verdict {
    var isAllowed: Bool { if case .allow = self { true } else { false } }
    var isRefused: Bool { if case .refuse = self { true } else { false } }
    /// As a word and the rule: `deny no-shell`.
    var summary: String {
        switch self {
        case .allow(let rule): "allow \(rule)"
        case .refuse(let refusal): "deny \(refusal.rule ?? "-")"
        case .requiresApproval(let rule, let minimum): "approve \(rule) \(minimum)"
        }
    }
}

@Suite struct `Policy engine` {
    typealias F = PolicyFixture

    @Test func `nothing is allowed by an empty profile, and the refusal says so`() {
        let engine = PolicyEngine(PolicyProfile())
        guard case .refuse(let refusal) = engine.evaluate(F.action("tool:search:")) else {
            Issue.record("an empty profile allowed a call")
            return
        }
        #expect(refusal.stage == .policy)
        #expect(refusal.status == 403)
        #expect(refusal.code == "policy_denied")
        #expect(refusal.rule == "default")
        #expect(refusal.reason.contains("not in allowlist"))
    }

    @Test func `a profile that failed to load denies everything and says why`() {
        let engine = PolicyEngine.denyingAll(because: "a.yaml:3:1: expected a list")
        guard case .refuse(let refusal) = engine.evaluate(F.action("inference:models")) else {
            Issue.record("a failed profile allowed a call")
            return
        }
        #expect(refusal.code == "policy_unavailable")
        #expect(refusal.reason.contains("a.yaml:3:1"))
    }

    @Test func `the default decision is allow only when the profile says so`() {
        #expect(F.engine(otherwise: .allow).evaluate(F.action("tool:x:")).summary == "allow default")
        #expect(F.engine(otherwise: .deny).evaluate(F.action("tool:x:")).summary == "deny default")
    }

    @Test(arguments: [
        ("inference:*", "inference:chat_completions:gpt", true), ("inference:*", "inference", false),
        ("*", "anything:at:all", true), ("foundry.*", "foundry.web:x", true), ("foundry.*", "foundry:x", false),
        ("spawn:create:worker", "spawn:create:worker", true), ("spawn:create:worker", "spawn:create:worker2", false),
        ("spawn:create:worker", "spawn:create:worker:x", false), ("tool:read_file", "tool:read_file:", true),
        ("tool:read_file", "tool:read_file:notes.txt", true), ("tool:read_file", "tool:read_file2:x", false),
        ("tool:*", "tool.invoke:x", false), ("inf*nce:x", "inference:x", false), ("Tool:x", "tool:x", false),
        ("egress:https://a.example", "egress:https://a.example/x", true),
        ("egress:https://a.example", "egress:https://a.example.evil.example/", false),
        ("egress:https://a.example", "egress:https://a.example:8443/", false),
        ("egress:https://a.example/*", "egress:HTTPS://A.example/x", true),
        ("inference:chat_completions:llama3", "inference:chat_completions:llama3:70b", false),
    ])
    func `an allowance covers what it names and no more`(pattern: String, name: String, isAllowed: Bool) {
        #expect(F.engine(F.allow(pattern)).evaluate(F.action(name)).isAllowed == isAllowed)
    }

    @Test(arguments: [
        ("tool:write_file", "tool:write_file:/etc/hosts", true), ("tool:write_file", "tool:write_files:", false),
        ("spawn", "spawn:create:x", true), ("egress:https://a.example", "egress:https://a.example:444/", true),
        ("egress:https://a.example", "egress:https://a.example?x", true), ("shell", "shell:ls", true),
        ("tool:x", "TOOL:x", true),
    ])
    func `a denial covers everything under what it names`(pattern: String, name: String, isDenied: Bool) {
        #expect(F.engine(F.deny(pattern), otherwise: .allow).evaluate(F.action(name)).isRefused == isDenied)
    }

    @Test(arguments: ["", ":", "sh ell:ls", " shell:rm", "tool\u{0}:x", "täst:x"])
    func `an action without a proper verb is refused whatever the profile says`(name: String) {
        #expect(F.engine(F.allow("*"), otherwise: .allow).evaluate(F.action(name)).isRefused)
    }

    @Test func `higher priority is asked first, and deny wins a tie over approval over allow`() {
        let tie = F.engine(F.allow("a:*"), F.approve("a:b"), F.deny("a:b:c"))
        #expect(tie.evaluate(F.action("a:x")).summary == "allow allow")
        #expect(tie.evaluate(F.action("a:b")).summary == "approve approve 1")
        #expect(tie.evaluate(F.action("a:b:c")).summary == "deny deny")
        let ranked = F.engine(F.deny("a:*", priority: 10), F.allow("a:b", priority: 20))
        #expect(ranked.evaluate(F.action("a:b")).summary == "allow allow")
        #expect(ranked.evaluate(F.action("a:c")).summary == "deny deny")
    }

    @Test func `conditions compare exactly, by list, and against what the action is`() {
        let engine = F.engine(
            F.deny("mesh:*", name: "low-trust", priority: 9, when: ["trust": ["low", "none"]]),
            F.allow("mesh:*", when: ["action.category": ["mesh"], "principal": ["demo"], "action.command": ["hello"]]))
        #expect(engine.evaluate(F.action("mesh:hello world", ["trust": "low"])).summary == "deny low-trust")
        #expect(engine.evaluate(F.action("mesh:hello world", ["trust": "Low"])).summary == "allow allow")
        #expect(engine.evaluate(F.action("mesh:hello world")).summary == "allow allow")
        #expect(engine.evaluate(F.action("mesh:bye")).summary == "deny default")
        #expect(engine.evaluate(F.action("mesh:hello", principal: "other")).summary == "deny default")
    }

    @Test func `a caller's context cannot forge what the action is`() {
        let engine = F.engine(F.allow("tool:*", when: ["action.detail": ["safe:"]]))
        #expect(engine.evaluate(F.action("tool:evil:", ["action.detail": "safe:"])).isRefused)
        #expect(engine.evaluate(F.action("tool:safe:")).isAllowed)
    }

    @Test func `reasons name the rule and the subject but no argument`() {
        guard
            case .refuse(let shell) = F.engine(F.deny("shell:curl")).evaluate(F.action("shell:curl -H 'token: hunter2' x")),
            case .refuse(let url) = F.engine().evaluate(F.action("egress:https://me:hunter2@a.example/?k=hunter2"))
        else {
            Issue.record("not refused")
            return
        }
        #expect(shell.reason == "rule 'deny' denies `shell:curl`")
        #expect(!url.reason.contains("hunter2"))
    }

    // MARK: Rates

    @Test func `a rate rule has its own window per principal and says when to retry`() {
        let engine = F.engine(F.allow("*"), F.limit("inference:*", 2, per: .seconds(60)))
        let rates = RuleRates()
        let start = Instant(nanoseconds: 1_000_000_000_000)
        let call = F.action("inference:chat_completions:m")
        #expect(engine.decide(call, rates: rates, now: start).isAllowed)
        #expect(engine.decide(call, rates: rates, now: start.advanced(by: .seconds(20))).isAllowed)
        guard case .refuse(let refusal) = engine.decide(call, rates: rates, now: start.advanced(by: .seconds(30))) else {
            Issue.record("the third call within the window was allowed")
            return
        }
        #expect(refusal.stage == .rate)
        #expect(refusal.status == 429)
        #expect(refusal.rule == "limit")
        #expect(refusal.retryAfter == .seconds(30))
        #expect(
            engine.decide(F.action("inference:x", principal: "other"), rates: rates, now: start.advanced(by: .seconds(30)))
                .isAllowed)
        #expect(engine.decide(F.action("tool:x:"), rates: rates, now: start.advanced(by: .seconds(30))).isAllowed)
        #expect(engine.decide(call, rates: rates, now: start.advanced(by: .seconds(60))).isAllowed)
        #expect(engine.decide(call, rates: rates, now: start.advanced(by: .seconds(61))).isRefused)
    }

    @Test func `denied calls and previews are not charged, and one full window does not drain another`() {
        let engine = F.engine(
            F.allow("a:*"), F.deny("a:no"), F.limit("a:*", 2, per: .seconds(60), name: "wide"),
            F.limit("a:x", 1, per: .seconds(60), name: "narrow"))
        let rates = RuleRates()
        let now = Instant(nanoseconds: 1)
        for _ in 0..<5 {
            #expect(engine.decide(F.action("a:no"), rates: rates, now: now).summary == "deny deny")
            #expect(engine.evaluate(F.action("a:x")).isAllowed)
        }
        #expect(engine.decide(F.action("a:x"), rates: rates, now: now).isAllowed)
        #expect(engine.decide(F.action("a:x"), rates: rates, now: now).summary == "deny narrow")
        #expect(engine.decide(F.action("a:x"), rates: rates, now: now).summary == "deny narrow")
        #expect(engine.decide(F.action("a:y"), rates: rates, now: now).isAllowed)
        #expect(engine.decide(F.action("a:y"), rates: rates, now: now).summary == "deny wide")
    }

    // MARK: Properties

    static let verbs = ["tool", "shell", "inference", "egress", "mesh"]
    static let subjects = ["a", "b", "a:x", "a b", "ls", "rm -rf /", "ls; rm x", "$X", "https://a.example/p", "env A=1 ls"]

    static func randomPattern(_ random: inout SeededRandom) -> String {
        let whole = "\(verbs.randomElement(using: &random) ?? ""):\(subjects.randomElement(using: &random) ?? "")"
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return String(whole.prefix(Int.random(in: 0...whole.count, using: &random))) + "*"
        case 1: return String(whole.split(separator: " ").first ?? "*")
        default: return whole
        }
    }

    static func randomRule(_ random: inout SeededRandom, priority: Int) -> F.Rule {
        let patterns = (0..<Int.random(in: 1...3, using: &random)).map { _ in ActionPattern(randomPattern(&random)) }
        let name = "r\(Int.random(in: 0..<1_000, using: &random))"
        let kind: F.Rule.Kind =
            switch Int.random(in: 0..<4, using: &random) {
            case 0: .approval(actions: patterns, minimumApprovals: 1)
            case 1: .capability(denied: patterns, allowed: [])
            default: .capability(denied: [], allowed: patterns)
            }
        return F.Rule(name: name, kind: kind, priority: priority)
    }

    static var probes: [Action] { verbs.flatMap { verb in subjects.map { F.action("\(verb):\($0)") } } }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `adding a denial never allows more`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let rules = (0..<12).map { _ in Self.randomRule(&random, priority: Int.random(in: 0..<4, using: &random)) }
        let denial = F.Rule(
            name: "extra", kind: .capability(denied: [ActionPattern(Self.randomPattern(&random))], allowed: []),
            priority: Int.random(in: 0..<5, using: &random))
        for otherwise in PolicyProfile.DefaultDecision.allCases {
            let before = PolicyEngine(PolicyProfile(defaultDecision: otherwise, rules: rules))
            let after = PolicyEngine(PolicyProfile(defaultDecision: otherwise, rules: rules + [denial]))
            for probe in Self.probes where after.evaluate(probe).isAllowed {
                #expect(before.evaluate(probe).isAllowed, "\(probe.name)")
            }
        }
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func `the order of rules with different priorities never matters`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let rules = (0..<12).map { Self.randomRule(&random, priority: $0) }
        let ordered = PolicyEngine(PolicyProfile(rules: rules))
        let shuffled = PolicyEngine(PolicyProfile(rules: rules.shuffled(using: &random)))
        for probe in Self.probes { #expect(ordered.evaluate(probe) == shuffled.evaluate(probe), "\(probe.name)") }
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func `the trie finds what comparing one pattern after the other finds`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let patterns = (0..<40).map { _ in Self.randomPattern(&random) }.filter { !$0.hasPrefix("sh") && $0 != "*" && $0 != "s*" }
        for probe in Self.probes where !probe.name.hasPrefix("shell") {
            let engine = PolicyEngine(
                PolicyProfile(rules: patterns.map { F.allow($0, name: $0, priority: $0.utf8.count) }))
            let expected = patterns.filter { pattern in
                let plain = ActionPattern(pattern)
                return plain.matchesText(probe.name)
                    || !plain.isPrefix && (pattern + ":" == probe.name)
                    || !plain.isPrefix && pattern.hasPrefix("tool:") && pattern.split(separator: ":").count == 2
                        && probe.name.hasPrefix(pattern + ":")
                    || !plain.isPrefix && pattern.hasPrefix("egress:") && probe.name.hasPrefix(pattern + "/")
            }.map(\.utf8.count).max()
            switch engine.evaluate(probe) {
            case .allow(let rule): #expect(rule.utf8.count == expected, "\(probe.name): \(rule)")
            default: #expect(expected == nil, "\(probe.name)")
            }
        }
    }

    // MARK: AGT 1

    @Test func `under AGT 1 rules run in file order and what is left is allowed`() {
        let profile = PolicyProfile(
            semantics: .agt1,
            rules: [
                F.deny("shell:rm", name: "no-rm"), F.allow("inference:*", name: "inference"),
                F.limit("inference:*", 1, per: .seconds(60)), F.approve("admin:bulk*", minimum: 2),
                F.allow("data.read", name: "data"),
            ])
        let engine = PolicyEngine(profile)
        #expect(engine.evaluate(F.action("shell:rm")).summary == "deny no-rm")
        #expect(engine.evaluate(F.action("shell:rm -rf /")).summary == "allow default")
        #expect(engine.evaluate(F.action("inference:x")).summary == "allow inference")
        #expect(engine.evaluate(F.action("admin:bulk-delete")).summary == "approve approve 2")
        #expect(engine.evaluate(F.action("data.read")).summary == "allow data")
        #expect(engine.evaluate(F.action("data.write")).summary == "deny data")
        #expect(engine.evaluate(F.action("other:x")).summary == "allow default")
        #expect(PolicyEngine(PolicyProfile(semantics: .agt1)).evaluate(F.action("unknown")).isAllowed)
    }

    @Test func `under AGT 1 a rate rule that matches is final`() {
        let engine = PolicyEngine(
            PolicyProfile(semantics: .agt1, rules: [F.limit("a:*", 1, per: .seconds(10)), F.deny("a:x")]))
        let rates = RuleRates()
        #expect(engine.decide(F.action("a:x"), rates: rates, now: Instant(nanoseconds: 5)).summary == "allow limit")
        guard case .refuse(let refusal) = engine.decide(F.action("a:x"), rates: rates, now: Instant(nanoseconds: 5)) else {
            Issue.record("the second call was allowed")
            return
        }
        #expect(refusal.status == 429)
        #expect(refusal.retryAfter == .seconds(10))
    }
}
