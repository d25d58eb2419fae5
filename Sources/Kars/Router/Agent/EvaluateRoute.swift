import KarsCore

/// `POST /agt/evaluate`: a runtime asks whether it may run a tool, before it does.
struct EvaluateRoute: Sendable {
    let pipeline: Pipeline
    /// Longest question in bytes.
    var maxBytes = 256 * 1024

    func handle(_ request: HTTPServerRequest, _ reply: Reply) async throws(Refusal) {
        let question = try EvaluationRequest(parsing: try await request.body(governedUpTo: maxBytes))
        await reply.send(
            status: 200, headers: reply.headers(contentType: "application/json"),
            body: try await answer(question, now: .now()).body)
    }

    func answer(_ question: EvaluationRequest, now: Instant) async throws(Refusal) -> EvaluationAnswer {
        let policy = pipeline.policies.current
        let action = pipeline.action(.tool, question.action, attributes: question.attributes)
        var outcome = pipeline.judge(action, tool: question.tool, under: policy, now: now)
        if case .failure(let refusal) = outcome, refusal.ticket != nil {
            outcome = await pipeline.waitForApproval(
                after: refusal, of: question.recorded(action), under: policy, within: question.wait)
        }
        try await pipeline.recordDurably(
            question.recorded(action), outcome, under: policy,
            detailDigest: EvidenceEvent.digest(Array(question.action.utf8)))
        switch outcome {
        case .success(let grant):
            return EvaluationAnswer(decision: .allow, rule: grant.rule, reason: "allowed by rule '\(grant.rule)'")
        case .failure(let refusal): return EvaluationAnswer(refusal)
        }
    }
}
