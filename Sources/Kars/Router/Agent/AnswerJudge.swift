import KarsCore

/// Judges what a provider answered, whole or event by event, by the policy the call was admitted under.
///
/// Content is held against the policy's floor, each tool that the model calls is decided by its verb, and credentials are taken
/// out of the texts. A refusal is recorded here, once, so that the route only has to pass it on.
struct AnswerJudge: ChatJudge, Sendable {
    let pipeline: Pipeline
    let call: GovernedCall
    private var safety: ContentSafety
    /// Everything the provider's filter said, for reporting whatever the floor is.
    private var annotations = SafetyAnnotations()
    private var output: ChatOutputFilter

    init(pipeline: Pipeline, call: GovernedCall) {
        self.pipeline = pipeline
        self.call = call
        safety = ContentSafety(call.policy.inference.contentSafety)
        output = ChatOutputFilter(call.output)
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

    /// A buffered answer as the agent may see it; nil leaves it as it is.
    mutating func filtered(answer: JSON) throws(Refusal) -> JSON? {
        let changed = output.filter(answer: answer)
        try refuseOutput()
        return changed
    }

    mutating func filtered(event: JSON) throws(Refusal) -> JSON? {
        let changed = output.filter(event: event)
        try refuseOutput()
        return changed
    }

    mutating func remainder() throws(Refusal) -> JSON? {
        let rest = output.finish()
        try refuseOutput()
        return rest
    }

    private func refuseOutput() throws(Refusal) {
        if let refusal = output.refusal { throw pipeline.recordRefusal(call.action, refusal, under: call.policy) }
    }

    /// What is still missing once the whole answer has been seen. A provider's error carries no answer to shield.
    mutating func refusalAtEnd(isError: Bool) -> Refusal? {
        guard !isError, let refusal = safety.finish() else { return nil }
        return pipeline.recordRefusal(call.action, refusal, under: call.policy)
    }

    /// Counts and records what the provider flagged and what the texts held, whatever the policy makes of it. Once, after the
    /// answer.
    func reportFlags(_ config: ContentFlags.Config) {
        reportOutput()
        guard !annotations.isEmpty else { return }
        let flags = ContentFlags(annotations, config: config)
        guard !flags.isEmpty else { return }
        for category in flags.categories {
            pipeline.metrics.contentFlags[RouterMetrics.ContentCategory(rawValue: category) ?? .unknown].increment()
        }
        pipeline.recordFinding(
            .inference, "content_flag:" + flags.categories.joined(separator: ","), .flagged,
            "the provider's filter flagged \(call.action.name)", under: call.policy)
    }

    private func reportOutput() {
        let metrics = pipeline.metrics
        if !output.credentials.isEmpty {
            for kind in output.credentials { metrics.redactions[kind.rawValue].increment() }
            metrics.responseThreats[.credentialLeakage].increment()
            let kinds = Redactor.Kind.allCases.filter(output.credentials.contains).map(\.rawValue)
            let isRemoved = call.output.credentials == .redact
            pipeline.recordFinding(
                .inference, "credential_redacted:" + kinds.joined(separator: ","), isRemoved ? .sanitized : .flagged,
                "the answer to \(call.action.name) held what looks like a credential"
                    + (isRemoved ? ", which was taken out" : ""), under: call.policy)
        }
        if !output.threats.isEmpty {
            let labels = ThreatScanner.Threat.allCases.filter(output.threats.contains).map(\.rawValue)
            for label in labels { metrics.responseThreats[RouterMetrics.ResponseThreat(rawValue: label) ?? .other].increment() }
            pipeline.recordFinding(
                .inference, "response_threat:" + labels.joined(separator: ","), .flagged,
                "the answer to \(call.action.name) may be steering the agent", under: call.policy)
        }
    }
}
