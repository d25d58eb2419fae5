import KarsCore
import Testing

@Suite struct `Policy files in JSON` {
    static func policy(_ text: String) throws(PolicyFileError) -> InferenceRules {
        try InferenceRules(parsing: Array(text.utf8))
    }

    @Test func `what happens to findings in answers is read, and a word that is not known is an error`() throws {
        let policy = try Self.policy(#"{"outputScan":{"credentials":"block","injection":"off"}}"#)
        #expect(policy.output == OutputPolicy(credentials: .block, injection: .off, exfiltration: .observe))
        #expect(try Self.policy(policy.json.description) == policy)
        #expect(InferenceRules().json["outputScan"] == nil)
        for text in [#"{"outputScan":{"credentials":"blok"}}"#, #"{"outputScan":{"injection":"redact"}}"#, #"{"outputScan":1}"#] {
            #expect(throws: PolicyFileError.self) { try Self.policy(text) }
        }
    }

    @Test func `an inference policy is read whole`() throws {
        let policy = try Self.policy(
            #"""
            {"appliesTo":{"sandboxName":"x"},"tokenBudget":{"perRequestTokens":100,"dailyTokens":1000,"monthlyTokens":null},
             "contentSafety":{"hate":"Low","selfHarm":"SAFE","sexual":"medium","violence":"Severe","requirePromptShields":true},
             "modelPreference":{"primary":{"provider":"azure-openai","deployment":"gpt"},
               "fallback":[{"deployment":"small"},{"deployment":""},{"deployment":"gpt"},7]},"displayName":"d","later":1}
            """#)
        #expect(policy.limits == TokenLimits(perRequest: 100, daily: 1_000))
        #expect(policy.contentSafety.ceilings == [.hate: .low, .selfHarm: .safe, .sexual: .medium])
        #expect(policy.contentSafety.requiresPromptShields)
        #expect(policy.models == ["gpt", "small"])
        #expect(policy.displayName == "d")
        #expect(policy.warnings.count == 3)
    }

    @Test(arguments: [
        "{}", #"{"tokenBudget":null,"contentSafety":null,"modelPreference":null}"#, #"{"tokenBudget":{"dailyTokens":0}}"#,
    ])
    func `what is absent limits nothing`(text: String) throws {
        #expect(try Self.policy(text) == InferenceRules())
    }

    @Test(arguments: [
        "", "[]", #"{"tokenBudget":7}"#, #"{"tokenBudget":{"dailyTokens":"1000"}}"#, #"{"tokenBudget":{"dailyTokens":-1}}"#,
        #"{"tokenBudget":{"dailyTokens":1.5}}"#, #"{"contentSafety":[]}"#, #"{"contentSafety":{"requirePromptShields":"yes"}}"#,
        #"{"tokenBudget":{},"tokenBudget":{}}"#,
    ])
    func `a mistake that would lift a limit is an error`(text: String) {
        #expect(throws: PolicyFileError.self) { try Self.policy(text) }
    }

    @Test func `a bad primary means no preference`() throws {
        let policy = try Self.policy(#"{"modelPreference":{"primary":{},"fallback":[{"deployment":"x"}]}}"#)
        #expect(policy.models.isEmpty)
        #expect(policy.preferredModel == nil)
        #expect(policy.warnings.count == 1)
    }

    @Test func `an allow list is read in its order, with 443 as the usual port`() throws {
        let text = #"{"schemaVersion":1,"endpoints":[{"host":"B.example","port":8443},{"host":"*.a.example"}]}"#
        let rules = try EgressAllowlist.rules(parsing: Array(text.utf8))
        #expect(rules.map(\.description) == ["b.example:8443", "*.a.example:443"])
    }

    @Test(arguments: [
        (#"{"endpoints":[]}"#, "schemaVersion"), (#"{"schemaVersion":2,"endpoints":[]}"#, "schemaVersion"),
        (#"{"schemaVersion":1}"#, "endpoints"), (#"{"schemaVersion":1,"endpoints":[{}]}"#, "endpoints[0].host"),
        (#"{"schemaVersion":1,"endpoints":[{"host":"a b"}]}"#, "endpoints[0].host"),
        (#"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":0}]}"#, "endpoints[0].port"),
        (#"{"schemaVersion":1,"endpoints":[{"host":"*"}]}"#, "endpoints[0].host"),
    ])
    func `a bad entry is named`(text: String, expected: String) {
        let error = #expect(throws: PolicyFileError.self) { try EgressAllowlist.rules(parsing: Array(text.utf8)) }
        #expect(error?.description.contains("allowlist.json: \(expected)") == true)
    }

    @Test func `an approval carries its hosts and its end`() throws {
        let text = #"""
            {"schemaVersion":1,"approvalName":"pip","sandbox":"x","hosts":[{"host":"pypi.org","port":443}],"reason":"r",
             "effectiveAt":"2026-01-02T03:04:05Z","expiresAt":"2026-01-02T04:04:05Z"}
            """#
        let approval = try EgressGrant(parsing: Array(text.utf8), file: "approval-pip.json")
        #expect(approval.name == "pip")
        #expect(approval.rules.map(\.host) == ["pypi.org"])
        #expect(approval.expiresAt.duration(since: approval.effectiveAt) == .seconds(3_600))
        for member in ["approvalName", "effectiveAt", "expiresAt", "hosts", "schemaVersion"] {
            #expect(throws: PolicyFileError.self) {
                try EgressGrant(parsing: Array(text.replacing("\"\(member)\"", with: "\"x\"").utf8), file: "a")
            }
        }
    }
}
