import KarsCore

/// Judges what a provider answered, whole or event by event, by the policy the call was admitted under.
///
/// Content is held against the policy's floor, and each tool that the model calls is decided by its verb. A refusal is
/// recorded here, once, so that the route only has to pass it on.
struct AnswerJudge: ChatJudge, Sendable {
    let pipeline: Pipeline
    let call: GovernedCall
    private var safety: ContentSafety
    /// Everything the provider's filter said, for reporting whatever the floor is.
    private var annotations = SafetyAnnotations()

    init(pipeline: Pipeline, call: GovernedCall) {
        self.pipeline = pipeline
        self.call = call
        safety = ContentSafety(call.policy.inference.contentSafety)
    }

    mutating func refusal(for answer: ChatAnswer, calledTools: [String]) -> Refusal? {
        let prompt = answer.promptAnnotations + (answer.errorAnnotation.map { [$0] } ?? [])
        for annotation in prompt { annotations.observe(prompt: annotation) }
        for annotation in answer.completionAnnotations { annotations.observe(completion: annotation) }
        if let refusal = safety.inspect(
            prompt: prompt, completion: answer.completionAnnotations,
            hasContent: answer.textBytes > 0 || !answer.toolCalls.isEmpty)
        {
            return pipeline.recordRefusal(call.action, refusal, under: call.policy)
        }
        for name in calledTools {
            let action = pipeline.toolAction(name)
            let outcome = pipeline.judge(action, under: call.policy, now: .now())
            do throws(Refusal) {
                try pipeline.record(action, outcome, under: call.policy)
            } catch {
                return error
            }
            if case .failure(let refusal) = outcome { return refusal }
        }
        return nil
    }

    /// What is still missing once the whole answer has been seen. A provider's error carries no answer to shield.
    mutating func refusalAtEnd(isError: Bool) -> Refusal? {
        guard !isError, let refusal = safety.finish() else { return nil }
        return pipeline.recordRefusal(call.action, refusal, under: call.policy)
    }

    /// Counts and records what the provider flagged, whatever the policy makes of it. Once, after the answer.
    func reportFlags(_ config: ContentFlags.Config) {
        guard !annotations.isEmpty else { return }
        let flags = ContentFlags(annotations, config: config)
        guard !flags.isEmpty else { return }
        for category in flags.categories {
            pipeline.metrics.contentFlags[RouterMetrics.ContentCategory(rawValue: category) ?? .unknown].increment()
        }
        pipeline.recordFlags(flags, of: call.action, under: call.policy)
    }
}
