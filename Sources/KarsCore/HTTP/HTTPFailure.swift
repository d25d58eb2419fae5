/// Answers that the server gives by itself, in the form that every refusal has.
enum HTTPFailure {
    /// For a handler that returned without an answer or threw before it began one.
    static func answer(to error: (any Error)?) -> (head: HTTPResponseHead, body: [UInt8]) {
        switch error {
        case let error as any HTTPAnswerableError: error.httpAnswer
        case let error as HTTPBodyError: answer(to: error)
        default: answer(status: 500, code: "internal_error", "the request could not be served")
        }
    }

    /// A body that could not be read leaves the place of the next request unknown, so the connection ends.
    private static func answer(to error: HTTPBodyError) -> (head: HTTPResponseHead, body: [UInt8]) {
        var failure =
            switch error {
            case .tooLarge(let limit): answer(status: 413, code: "body_too_large", "the body is longer than \(limit) bytes")
            case .timedOut: answer(status: 408, code: "request_timeout", "the body did not arrive in time")
            case .malformed(let reason): answer(status: reason.status, code: "invalid_request", "\(reason)")
            case .disconnected: answer(status: 400, code: "invalid_request", "the body ended early")
            case .exchangeOver: answer(status: 500, code: "internal_error", "the request could not be served")
            }
        failure.head.headers.add("connection", "close")
        return failure
    }

    /// `reason` is ours and holds no control characters.
    static func answer(status: Int, code: String, _ reason: String) -> (head: HTTPResponseHead, body: [UInt8]) {
        let type = status < 500 ? "invalid_request_error" : "server_error"
        let text = reason.utf8.flatMap { $0 == 0x22 || $0 == 0x5c ? [0x5c, $0] : [$0] }
        let body =
            Array(#"{"error":{"message":""#.utf8) + text
            + Array(#"","type":"\#(type)","code":"\#(code)","stage":"request","rule":null}}"#.utf8)
        return (HTTPResponseHead(status: status, headers: ["content-type": "application/json"]), body)
    }
}
