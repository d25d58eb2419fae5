import KarsCore

/// Sends model calls to a provider over the network.
///
/// The request is built from scratch: of what the agent sent only the governed body travels on. The agent's own
/// authorization, cookies and every other header end here (spec/router 26.1). Redirects are not followed and calls are not
/// repeated: a completion that was begun may have been paid for.
struct RemoteBackend: ModelBackend {
    let endpoint: ProviderEndpoint
    let timeouts: HTTPClientTimeouts
    /// The client's `send`.
    let transport: @Sendable (HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse

    func send(_ call: ModelCall) async throws(ModelFailure) -> ModelAnswer {
        let target: String
        do {
            target = try endpoint.chatTarget(model: call.model)
        } catch {
            throw ModelFailure(refusal: .invalidRequest("\(error)"), mayHaveCost: false)
        }
        var headers = baseHeaders(call.trace)
        headers.add("content-type", "application/json")
        headers.add("accept", call.isStreamed ? "text/event-stream" : "application/json")
        return try await exchange(.post, target, headers, .bytes(call.body))
    }

    func models(trace: TraceID) async throws(ModelFailure) -> ModelAnswer {
        var headers = baseHeaders(trace)
        headers.add("accept", "application/json")
        return try await exchange(.get, endpoint.modelsTarget, headers, .none)
    }

    private func baseHeaders(_ trace: TraceID) -> HTTPHeaders {
        var headers = HTTPHeaders()
        if let credential = endpoint.credential { headers.add(credential.name, credential.value) }
        headers.add("user-agent", "kars-router")
        // What is compressed could not be inspected as it passes.
        headers.add("accept-encoding", "identity")
        headers.add(TraceID.header, trace.description)
        return headers
    }

    private func exchange(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: HTTPClientRequest.Body
    ) async throws(ModelFailure) -> ModelAnswer {
        var url = endpoint.origin
        url.target = target
        let response: HTTPClientResponse
        do {
            response = try await transport(
                HTTPClientRequest(method: method, url: url, headers: headers, body: body, timeouts: timeouts))
        } catch {
            throw ModelFailure(refusal: Refusal(provider: error), mayHaveCost: error.mayHaveBeenProcessed)
        }
        if let encoding = response.head.headers["content-encoding"], encoding.lowercased() != "identity" {
            response.cancel()
            throw ModelFailure(
                refusal: .providerGarbled("it is encoded as \(encoding.prefix(32)), which was not asked for"),
                mayHaveCost: response.status < 400)
        }
        return ModelAnswer(status: response.status, headers: response.head.headers, body: RemoteBody(response: response))
    }
}

private struct RemoteBody: ModelAnswerBody {
    let response: HTTPClientResponse

    func next() async throws(Refusal) -> [UInt8]? {
        do {
            return try await response.nextBodyPart()
        } catch {
            throw Refusal(provider: error)
        }
    }

    func cancel() async { response.cancel() }
}

extension Refusal {
    /// What a failed exchange with a provider means to the agent. Host and port are configuration, not secrets, but they are
    /// the operator's affair: the agent learns what happened, not where.
    init(provider error: HTTPClientError) {
        self =
            switch error.code {
            case .cancelled: .clientGone
            case .connectTimedOut, .firstByteTimedOut, .idleTimedOut, .sendTimedOut: .providerTimedOut(error.reason)
            case .malformedResponse, .bodyTooLarge: .providerGarbled(error.reason)
            case .closedBeforeResponse, .closedDuringBody: .providerBrokeOff(error.reason)
            case .tooManyRequests: .overloaded
            case .invalidRequest, .resolutionFailed, .connectFailed, .tlsFailed, .sendFailed, .requestBodyFailed:
                .providerUnreachable(error.reason)
            }
    }
}
