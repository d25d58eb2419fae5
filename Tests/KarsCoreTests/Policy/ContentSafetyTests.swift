import KarsCore
import Testing

@Suite struct `Content safety` {
    static let floor = ContentSafetyFloor(ceilings: [.hate: .low, .selfHarm: .safe, .sexual: .medium, .violence: .medium])
    static let shielded = ContentSafetyFloor(requiresPromptShields: true)
    static let bothShields = #"{"jailbreak":{"filtered":false,"detected":false},"indirect_attack":{"filtered":false}}"#

    static func json(_ text: String) throws -> JSON { try JSON(parsing: text) }

    static func answer(prompt: String = "{}", completion: String = "{}") throws -> JSON {
        try json(
            #"""
            {"choices":[{"index":0,"message":{"content":"x"}},{"index":1,"content_filter_results":\#(completion)}],
             "prompt_filter_results":[{"prompt_index":0,"content_filter_results":\#(prompt)}]}
            """#)
    }

    @Test(arguments: [
        (#"{"hate":{"filtered":false,"severity":"low"}}"#, nil),
        (#"{"hate":{"filtered":false,"severity":"medium"}}"#, "Hate is Medium"),
        (#"{"hate":{"severity":"HIGH"}}"#, "Hate is High"), (#"{"self_harm":{"severity":"low"}}"#, "SelfHarm is Low"),
        (#"{"sexual":{"filtered":true}}"#, "Sexual is High"), (#"{"violence":{"severity":"extreme"}}"#, "Violence is High"),
        (#"{"violence":{"severity":"high"},"hate":{"severity":"high"}}"#, "Hate is High"), (#"{"hate":7,"violence":{}}"#, nil),
        (#"{"profanity":{"filtered":true,"detected":true}}"#, nil),
    ])
    func `what is graded above its ceiling is refused, on prompt and on any answer`(annotation: String, expected: String?) throws
    {
        for answer in [try Self.answer(prompt: annotation), try Self.answer(completion: annotation)] {
            var safety = ContentSafety(Self.floor)
            let refusal = safety.inspect(answer: answer, hasContent: true)
            #expect((refusal == nil) == (expected == nil))
            if let expected {
                #expect(refusal?.reason.contains(expected) == true)
                #expect(refusal?.reason.contains("content safety") == true)
                #expect(refusal?.status == 403)
                #expect(refusal?.code == "inference_policy_content_safety_exceeded")
                #expect(refusal?.type == "content_policy_violation")
            }
            #expect((safety.finish() == nil) == (expected == nil))
        }
    }

    @Test func `an error answer is held against the floor too`() throws {
        var safety = ContentSafety(Self.floor)
        let error = try Self.json(
            #"{"error":{"code":"content_filter","innererror":{"content_filter_result":{"violence":{"filtered":true,"severity":"high"}}}}}"#
        )
        #expect(safety.inspect(answer: error, hasContent: false) != nil)
    }

    @Test func `a floor that asks for nothing refuses nothing`() throws {
        var safety = ContentSafety(ContentSafetyFloor())
        #expect(safety.inspect(answer: try Self.answer(prompt: #"{"hate":{"severity":"high"}}"#), hasContent: true) == nil)
        #expect(safety.finish() == nil)
    }

    @Test(arguments: [
        ("{}", true), (#"{"jailbreak":{"filtered":false}}"#, true), (bothShields, false),
        (#"{"jailbreak":{},"indirect_attack":{"filtered":false}}"#, true),
        (#"{"jailbreak":{"filtered":false,"detected":true},"indirect_attack":{"filtered":false}}"#, true),
        (#"{"jailbreak":{"filtered":false},"indirect_attack":{"filtered":true}}"#, true),
    ])
    func `required shields must both have looked and found nothing`(annotation: String, isRefused: Bool) throws {
        var safety = ContentSafety(Self.shielded)
        let refusal = safety.inspect(answer: try Self.answer(prompt: annotation), hasContent: true)
        #expect((refusal != nil) == isRefused)
        if let refusal {
            #expect(refusal.code == "inference_policy_prompt_shields_required")
            #expect(refusal.reason.contains("prompt"))
        }
    }

    @Test func `shields over the answer are no shields over the prompt`() throws {
        var safety = ContentSafety(Self.shielded)
        #expect(safety.inspect(answer: try Self.answer(completion: Self.bothShields), hasContent: true) != nil)
    }

    @Test func `in a stream shields may come before the first content and not after`() throws {
        let role = try Self.json(#"{"choices":[{"delta":{"role":"assistant"}}]}"#)
        let shields = try Self.json(
            #"{"choices":[],"prompt_filter_results":[{"prompt_index":0,"content_filter_results":\#(Self.bothShields)}]}"#)
        let text = try Self.json(#"{"choices":[{"delta":{"content":"x"}}]}"#)
        var good = ContentSafety(Self.shielded)
        #expect(good.inspect(answer: role, hasContent: false) == nil)
        #expect(good.inspect(answer: shields, hasContent: false) == nil)
        #expect(good.inspect(answer: text, hasContent: true) == nil)
        #expect(good.finish() == nil)
        var late = ContentSafety(Self.shielded)
        #expect(late.inspect(answer: role, hasContent: false) == nil)
        #expect(late.inspect(answer: text, hasContent: true) != nil)
        // Once refused, always refused.
        #expect(late.inspect(answer: shields, hasContent: false) != nil)
        #expect(late.finish() != nil)
        var never = ContentSafety(Self.shielded)
        #expect(never.inspect(answer: role, hasContent: false) == nil)
        #expect(never.finish() != nil)
    }

    @Test func `the worst of several events counts`() throws {
        var safety = ContentSafety(Self.floor)
        func event(_ severity: String) throws -> JSON {
            try Self.json(
                #"{"choices":[{"delta":{"content":"x"},"content_filter_results":{"sexual":{"severity":"\#(severity)"}}}]}"#)
        }
        #expect(safety.inspect(answer: try event("low"), hasContent: true) == nil)
        #expect(safety.inspect(answer: try event("medium"), hasContent: true) == nil)
        #expect(safety.inspect(answer: try event("safe"), hasContent: true) == nil)
        #expect(safety.annotations.graded[.sexual]?.severity == .medium)
        #expect(safety.inspect(answer: try event("high"), hasContent: true) != nil)
    }

    @Test func `flags list what was filtered and what was only detected, with the penalty`() throws {
        var annotations = SafetyAnnotations()
        annotations.observe(
            prompt: try Self.json(
                #"""
                {"jailbreak":{"detected":true,"filtered":false},"hate":{"filtered":true,"severity":"high"},
                 "violence":{"filtered":false,"severity":"low"},"sexual":{"filtered":false,"severity":"safe"}}
                """#))
        let flags = ContentFlags(annotations)
        #expect(flags.filtered == ["hate"])
        #expect(flags.detected == ["jailbreak", "violence"])
        #expect(flags.trustPenalty == 200)
        let quiet = ContentFlags(annotations, config: ContentFlags.Config(minimumSeverity: .medium, suppressed: [.hate]))
        #expect(quiet.categories == ["jailbreak"])
        #expect(ContentFlags(SafetyAnnotations()).isEmpty)
    }
}
