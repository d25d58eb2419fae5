import KarsCore

extension Bench {
    /// One policy decision with 100 rules: a model call, a tool call, a shell line and one that no rule mentions.
    static let policy = Case(name: "policy") {
        let engine = PolicyEngine(PolicyProfile(rules: (0..<100).map(policyRule)))
        let rates = RuleRates()
        let questions: [(String, String)] = [
            ("model call", "inference:chat_completions:gpt-4.1"), ("tool call", "tool:tool-93:some argument"),
            ("url", "egress:https://host-57.example/a/path"), ("shell", "shell:program-41 -la /sandbox"),
            ("compound shell", "shell:program-41 -la | program-11 -n 5 && program-21 done"),
            ("unknown", "memory:search"),
        ]
        let repeats = 20_000
        return questions.map { question in
            let action = Action(surface: .tool, principal: "demo", name: question.1, attributes: ["tool": "x"])
            let seconds = medianSeconds {
                for _ in 0..<repeats { keep(engine.decide(action, rates: rates, now: Instant(nanoseconds: 0))) }
            }
            return Figure(name: question.0, value: seconds / Double(repeats) * 1e9, unit: "ns")
        }
    }

    private static func policyRule(_ index: Int) -> PolicyProfile.Rule {
        let patterns =
            switch index % 5 {
            case 0: ["inference:chat_completions:model-\(index)", "inference:chat_completions:*"]
            case 1: ["shell:program-\(index)", "shell:program-\(index)-*"]
            case 2: ["egress:https://host-\(index).example/*"]
            case 3: ["tool:tool-\(index)"]
            default: ["mesh:send:peer-\(index)"]
            }
        return PolicyProfile.Rule(
            name: "rule-\(index)", kind: .capability(denied: [], allowed: patterns.map { ActionPattern($0) }), priority: index % 7
        )
    }
}
