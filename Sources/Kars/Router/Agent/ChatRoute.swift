import KarsCore

/// `POST /v1/chat/completions`, buffered and streamed, through every step of the pipeline (DESIGN 3).
///
/// Buffered and streamed answers meet the same judge. Whatever becomes of a call, its budget is settled exactly once: with
/// what the provider counted, else with what was seen, and with nothing only when the provider never got it.
struct ChatRoute: Sendable {
    let pipeline: Pipeline
    let backend: any ModelBackend
    let budget: BudgetKeeper
    let config: RouterConfig
    let log: Log

    func handle(_ request: HTTPServerRequest, _ reply: Reply) async throws(Refusal) {
        let body = try await request.body(governedUpTo: config.limits.requestBytes)
        let call = try await admit(body)
        let started = request.arrival
        do throws(Refusal) {
            let answer = try await perform(call, reply.trace)
            if call.request.isStreamed, answer.status == 200, answer.isEventStream {
                try await stream(answer, for: call, reply)
            } else {
                try await forward(answer, for: call, reply)
            }
            finish(call, .ok, started)
        } catch {
            finish(call, .error, started)
            log.info(
                "inference.refused",
                [
                    "trace_id": .string(reply.trace.description), "stage": .string(error.stage.rawValue),
                    "code": .string(error.code),
                ])
            throw error
        }
    }

    // MARK: - Before the provider

    /// Everything that is decided before a byte leaves: one record, one reservation.
    private func admit(_ body: [UInt8]) async throws(Refusal) -> GovernedCall {
        let now = Instant.now()
        let policy = pipeline.policies.current
        let request: ChatRequest
        do {
            request = try ChatRequest(parsing: body, limits: JSONLimits(maxBytes: config.limits.requestBytes))
        } catch {
            throw .invalidRequest("\(error)")
        }
        let model = policy.inference.preferredModel ?? request.model ?? config.provider.model
        let action = pipeline.action(.inference, "inference:chat_completions:\(model.forAction)")
        let digest = EvidenceEvent.digest(body)
        var outcome = pipeline.judge(action, carrying: digest, under: policy, now: now)
        if case .failure(let refusal) = outcome, refusal.ticket != nil {
            outcome = await pipeline.waitForApproval(
                after: refusal, of: action, under: policy, within: config.limits.approvalWait)
        }
        let grant: Pipeline.Grant
        switch outcome {
        case .success(let given): grant = given
        case .failure(let refusal):
            throw pipeline.recordRefusal(action, refusal, under: policy, detailDigest: digest)
        }
        let reservation: BudgetKeeper.Reservation
        do throws(Refusal) {
            reservation = try budget.reserve(
                promptTokens: request.estimatedPromptTokens, completionTokens: request.totalOutputTokens,
                limits: policy.limits(otherwise: config.budget))
        } catch {
            throw pipeline.recordRefusal(action, error, under: policy, detailDigest: digest)
        }
        do throws(Refusal) {
            try await pipeline.recordDurably(action, .success(grant), under: policy, detailDigest: digest)
            let withheld = try withheldTools(of: request, under: policy)
            let edits = ChatRequestEdits(
                model: model, includesStreamUsage: request.isStreamed, withheldTools: withheld,
                maxOutputTokens: reservation.outputCap)
            return GovernedCall(
                request: request, body: request.rewritten(edits), model: model, action: action, policy: policy,
                reservation: reservation, output: outputPolicy(policy))
        } catch {
            budget.release(reservation)
            throw error
        }
    }

    private func outputPolicy(_ policy: EnforcedPolicy) -> OutputPolicy {
        var output = policy.inference.output
        if config.suppressesExfiltrationURLs { output.exfiltration = .off }
        return output
    }

    /// Tools that policy refuses are taken out, each recorded. This charges no rate: nothing is called yet.
    private func withheldTools(of request: ChatRequest, under policy: EnforcedPolicy) throws(Refusal) -> [ChatRequest.Tool] {
        var withheld: [ChatRequest.Tool] = []
        for tool in request.tools {
            let action = pipeline.toolAction(tool.name)
            guard let refusal = pipeline.preview(action, under: policy) else { continue }
            try pipeline.record(action, .failure(refusal), under: policy)
            withheld.append(tool)
        }
        return withheld
    }

    private func perform(_ call: GovernedCall, _ trace: TraceID) async throws(Refusal) -> ModelAnswer {
        do {
            return try await backend.send(
                ModelCall(body: call.body, model: call.model, isStreamed: call.request.isStreamed, trace: trace))
        } catch {
            // Without an answer nothing was counted: what may have been paid for counts as reserved.
            if error.mayHaveCost { budget.settle(call.reservation, usedTokens: nil) } else { budget.release(call.reservation) }
            throw pipeline.recordRefusal(call.action, error.refusal, under: call.policy)
        }
    }

    // MARK: - Buffered

    private func forward(_ answer: ModelAnswer, for call: GovernedCall, _ reply: Reply) async throws(Refusal) {
        let outcome: (view: ChatAnswer, json: JSON, body: [UInt8])
        do throws(Refusal) {
            outcome = try await read(answer)
        } catch {
            if answer.status < 300 { budget.settle(call.reservation, usedTokens: nil) } else { budget.release(call.reservation) }
            throw pipeline.recordRefusal(call.action, error, under: call.policy)
        }
        var progress = ChatStreamProgress()
        let called = progress.take(outcome.view)
        settle(call, progress, countsPrompt: answer.status < 300)
        var judge = AnswerJudge(pipeline: pipeline, call: call)
        let body: [UInt8]
        do {
            defer { judge.reportFlags(config.contentFlags) }
            if let refusal = judge.refusal(for: outcome.view, calledTools: called) { throw refusal }
            if let refusal = judge.refusalAtEnd(isError: answer.status >= 300) { throw refusal }
            body = try judge.filtered(answer: outcome.json)?.encoded() ?? outcome.body
        }
        var headers = reply.headers(contentType: "application/json")
        headers.addForwarded(from: answer.headers)
        if let reason = outcome.view.providerFilterReason {
            headers.add("x-kars-decision", "blocked")
            headers.add("x-kars-decision-by", "InferencePolicy")
            headers.add("x-kars-decision-reason", reason)
        }
        await reply.send(status: answer.status, headers: headers, body: body)
    }

    /// Reads and understands a buffered answer; what cannot be understood does not reach the agent.
    private func read(_ answer: ModelAnswer) async throws(Refusal) -> (view: ChatAnswer, json: JSON, body: [UInt8]) {
        switch answer.status {
        case 200..<300, 400..<401, 402..<403, 404..<407, 408..<600: break
        case 401, 403, 407:
            // The provider's text may quote the credential; the agent learns only that it was not accepted.
            await answer.body.cancel()
            throw .providerRefusedCredential(status: answer.status)
        default:
            await answer.body.cancel()
            throw .providerGarbled("status \(answer.status) is not an answer to a chat completion")
        }
        if answer.isEventStream {
            await answer.body.cancel()
            throw .providerGarbled("an event stream came where one answer was expected")
        }
        let body = try await answer.body.whole(upTo: config.limits.answerBytes)
        do {
            let json = try JSON(parsing: body, limits: JSONLimits(maxBytes: config.limits.answerBytes))
            guard json.objectValue != nil else { throw Refusal.providerGarbled("it is not a JSON object") }
            return (ChatAnswer(json), json, body)
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw .providerGarbled("status \(answer.status), and the body is not JSON")
        }
    }

    // MARK: - Streamed

    private func stream(_ answer: ModelAnswer, for call: GovernedCall, _ reply: Reply) async throws(Refusal) {
        var inspector = ChatStreamInspector(
            judge: AnswerJudge(pipeline: pipeline, call: call), hidesUsageEvent: !call.request.asksForStreamUsage,
            maxEventBytes: config.limits.eventBytes)
        // The provider's own head is sent only when the first bytes have passed: until then a refusal has a status of its own.
        var hasStarted = false
        var stop: Refusal?
        do throws(StreamEnd) {
            while true {
                let part: [UInt8]?
                do throws(Refusal) { part = try await answer.body.next() } catch { throw .provider(error) }
                let step = part.map { inspector.push($0) } ?? inspector.finish()
                if !step.forward.isEmpty {
                    if !hasStarted {
                        var headers = reply.headers(contentType: "text/event-stream")
                        headers.add("cache-control", "no-cache")
                        headers.addForwarded(from: answer.headers)
                        hasStarted = true
                        do { try await reply.response.start(HTTPResponseHead(status: 200, headers: headers)) } catch {
                            throw .client
                        }
                    }
                    do { try await reply.response.write(step.forward) } catch { throw .client }
                }
                if let refusal = step.stop { throw .judged(refusal) }
                if part == nil { break }
            }
        } catch {
            switch error {
            case .provider(let refusal): stop = pipeline.recordRefusal(call.action, refusal, under: call.policy)
            case .judged(let refusal):
                // The judge has recorded its own refusals; what could not be read is recorded here.
                stop =
                    refusal.stage == .perform
                    ? pipeline.recordRefusal(call.action, refusal, under: call.policy) : refusal
            case .client: stop = .clientGone
            }
        }
        var judge = inspector.judge
        if stop == nil { stop = judge.refusalAtEnd(isError: inspector.hasProviderError) }
        judge.reportFlags(config.contentFlags)
        if stop != nil { await answer.body.cancel() }
        settle(call, inspector.progress, countsPrompt: true)
        if !hasStarted {
            throw stop
                ?? pipeline.recordRefusal(
                    call.action, .providerGarbled("the event stream was empty"), under: call.policy)
        }
        // A client that is gone by now has nothing to be told, and the call is settled.
        if let stop, stop.code != Refusal.clientGone.code { try? await reply.response.write(stop.event) }
        try? await reply.response.finish()
    }

    private enum StreamEnd: Error {
        case provider(Refusal)
        case judged(Refusal)
        case client
    }

    // MARK: - After the provider

    private func settle(_ call: GovernedCall, _ progress: ChatStreamProgress, countsPrompt: Bool) {
        if let usage = progress.usage {
            budget.settle(call.reservation, usedTokens: usage.totalTokens)
            pipeline.metrics.tokens[call.model, .input].increment(by: UInt64(usage.promptTokens))
            pipeline.metrics.tokens[call.model, .output].increment(by: UInt64(usage.completionTokens))
        } else if countsPrompt {
            budget.settle(
                call.reservation, usedTokens: progress.estimatedTokens(prompt: call.request.estimatedPromptTokens))
        } else {
            budget.release(call.reservation)
        }
    }

    private func finish(_ call: GovernedCall, _ status: RouterMetrics.RequestStatus, _ started: Instant) {
        pipeline.metrics.inferenceRequests[call.model, status].increment()
        pipeline.metrics.inferenceLatency[call.model].observe(Instant.now().duration(since: started))
    }
}

/// A call that may go out: what is sent, and what must be settled.
struct GovernedCall: Sendable {
    var request: ChatRequest
    /// What goes on the wire.
    var body: [UInt8]
    var model: String
    var action: Action
    var policy: EnforcedPolicy
    var reservation: BudgetKeeper.Reservation
    /// What happens to findings in the answer.
    var output: OutputPolicy
}

extension ChatRequest {
    /// What the client allows for all answers together; nil when it sets no maximum.
    var totalOutputTokens: Int? {
        maxOutputTokens.map { limit in
            let product = limit.multipliedReportingOverflow(by: choiceCount)
            return product.overflow ? .max : product.partialValue
        }
    }
}

extension BudgetLedger.Reservation {
    /// What to tell the provider where the client set no maximum: only once the budget is too small for the usual answer,
    /// because not every provider knows the member.
    var outputCap: Int? {
        completionAllowance.flatMap { $0 < BudgetLedger.defaultCompletionTokens ? $0 : nil }
    }
}

extension String {
    /// A client's text as the last part of an action name: one line, bounded, so that it can stand in rules and records.
    var forAction: String {
        guard utf8.count > 128 || utf8.contains(where: { $0 < 0x21 || $0 == 0x7f }) else { return self }
        var text = ""
        for scalar in unicodeScalars.prefix(128) {
            text.unicodeScalars.append(scalar.value < 0x21 || scalar.value == 0x7f ? "_" : scalar)
        }
        return text
    }
}

extension HTTPHeaders {
    /// The fields of a provider's answer that help a client and tell nothing about credentials.
    private static let forwarded = HTTPFieldNames([
        "retry-after", "x-request-id", "x-ms-request-id", "apim-request-id", "openai-processing-ms", "openai-version",
        "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
        "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens",
    ])

    mutating func addForwarded(from provider: HTTPHeaders) { add(Self.forwarded, from: provider) }
}
