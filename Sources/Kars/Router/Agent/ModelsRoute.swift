import KarsCore

/// `GET /v1/models`: what the provider offers. A question about names, not a call that costs; still recorded by its verb.
struct ModelsRoute: Sendable {
    let pipeline: Pipeline
    let backend: any ModelBackend
    let config: RouterConfig

    func handle(_ reply: Reply) async throws(Refusal) {
        let policy = pipeline.policies.current
        let action = pipeline.action(.inference, "inference:models:list")
        let outcome = pipeline.judge(action, under: policy, now: .now())
        try pipeline.record(action, outcome, under: policy)
        if case .failure(let refusal) = outcome { throw refusal }
        let answer: ModelAnswer
        do { answer = try await backend.models(trace: reply.trace) } catch { throw error.refusal }
        guard answer.status == 200 else {
            await answer.body.cancel()
            throw [401, 403, 407].contains(answer.status)
                ? .providerRefusedCredential(status: answer.status)
                : .providerGarbled("it answered the list of models with status \(answer.status)")
        }
        let body = try await answer.body.whole(upTo: config.limits.answerBytes)
        guard let json = try? JSON(parsing: body), json.objectValue != nil else {
            throw .providerGarbled("its list of models is not JSON")
        }
        await reply.send(status: 200, headers: reply.headers(contentType: "application/json"), body: body)
    }
}
