import KarsCore

/// The answer to one request, with what every answer of the router carries.
///
/// Sending to a client that has gone is not an error of the router: those calls say nothing, and the connection ends by
/// itself. Streams are different and use `response` themselves, because there a gone client must stop the provider.
struct Reply: Sendable {
    let response: HTTPServerResponse
    let trace: TraceID

    func headers(contentType: String) -> HTTPHeaders {
        var headers = HTTPHeaders()
        headers.add("content-type", contentType)
        headers.add(TraceID.header, trace.description)
        return headers
    }

    func send(status: Int = 200, json: JSON) async {
        await send(status: status, headers: headers(contentType: "application/json"), body: json.encoded())
    }

    func send(status: Int = 200, text: String) async {
        await send(status: status, headers: headers(contentType: "text/plain; charset=utf-8"), body: Array((text + "\n").utf8))
    }

    func send(status: Int, headers: HTTPHeaders, body: [UInt8]) async {
        try? await response.send(status: status, headers: headers, body: body)  // see above: the client is gone
    }

    func send(_ refusal: Refusal) async {
        await send(status: refusal.status, headers: refusal.headers(self), body: refusal.body)
    }
}

extension Refusal {
    /// What a refusal says in its head: when to come back, and for calls that were decided, who decided (spec/router 6).
    func headers(_ reply: Reply) -> HTTPHeaders {
        var headers = reply.headers(contentType: "application/json")
        if let seconds = retryAfterSeconds { headers.add("retry-after", String(seconds)) }
        if status == 401 { headers.add("www-authenticate", "Bearer") }
        let decider: String? =
            switch stage {
            case .rate, .budget: "Budget"
            case .policy, .approval: "AgtProfile"
            case .trust: "Trust"
            case .inspect: "InferencePolicy"
            case .request, .perform, .evidence: nil
            }
        if let decider {
            headers.add("x-kars-decision", "blocked")
            headers.add("x-kars-decision-by", decider)
            headers.add("x-kars-decision-reason", headerReason)
        }
        return headers
    }
}
