import KarsCore

/// The agent's own endpoint, on loopback: `GET /healthz`, and `POST /chat {"prompt": TEXT}`, which answers `{"reply": TEXT}` or,
/// to a client that accepts `text/event-stream`, one `ChatEvent` per event as it happens.
struct ChatHandler: HTTPHandler {
    let conversation: Conversation

    static let maxBodyBytes = 1024 * 1024

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        switch (request.head.method, request.head.path) {
        case (.get, "/healthz"): try await response.send(JSON.object(JSONObject([("status", "ok")])), status: 200)
        case (.post, "/chat"): try await chat(request, response)
        case (_, "/chat"), (_, "/healthz"): try await response.refuse(405, "method_not_allowed", "use POST /chat or GET /healthz")
        default: try await response.refuse(404, "not_found", "the agent answers POST /chat and GET /healthz")
        }
    }

    private func chat(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws {
        let prompt: String
        do {
            let body = try await request.body(upTo: Self.maxBodyBytes)
            guard let text = try JSON(parsing: body)["prompt"]?.stringValue, !text.isEmpty else {
                return try await response.refuse(400, "invalid_request", "expected a JSON object with a string member 'prompt'")
            }
            prompt = text
        } catch HTTPBodyError.tooLarge(let limit) {
            return try await response.refuse(413, "body_too_large", "the prompt is larger than \(limit) bytes")
        } catch let error as JSONError {
            return try await response.refuse(400, "invalid_json", "the body is no JSON: \(error)")
        }
        if request.head.headers["accept"]?.contains("text/event-stream") == true {
            try await stream(prompt, response)
        } else {
            try await buffer(prompt, response)
        }
    }

    private func stream(_ prompt: String, _ response: HTTPServerResponse) async throws {
        try await response.start(
            HTTPResponseHead(
                status: 200, headers: HTTPHeaders([("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")])))
        do {
            try await conversation.run(prompt: prompt) { event in
                try await response.write(SSEEncoder.event(data: event.json.encoded()))
            }
        } catch is Conversation.Busy {
            try await response.write(SSEEncoder.event(data: ChatEvent.failed(message: Self.busyMessage).json.encoded()))
        }
        try await response.finish()
    }

    private func buffer(_ prompt: String, _ response: HTTPServerResponse) async throws {
        let last = LastEvent()
        do {
            try await conversation.run(prompt: prompt) { await last.set($0) }
        } catch is Conversation.Busy {
            return try await response.refuse(409, "busy", Self.busyMessage)
        }
        switch await last.event {
        case .done(let reply): try await response.send(["reply": .string(reply)], status: 200)
        case .failed(let message): try await response.refuse(502, "agent_failed", message)
        case .text, .toolStarted, .toolFinished, .refused, nil:
            try await response.refuse(500, "agent_failed", "the agent gave no answer")
        }
    }

    private static let busyMessage = "the agent is working on another prompt; try again when it is done"

    private actor LastEvent {
        var event: ChatEvent?
        func set(_ event: ChatEvent) { self.event = event }
    }
}

extension HTTPServerResponse {
    fileprivate func send(_ json: JSON, status: Int) async throws {
        try await send(status: status, headers: HTTPHeaders([("Content-Type", "application/json")]), body: json.encoded())
    }

    fileprivate func refuse(_ status: Int, _ code: String, _ message: String) async throws {
        try await send(["error": ["code": .string(code), "message": .string(message)]], status: status)
    }
}
