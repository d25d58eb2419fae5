import KarsCore

/// The chat endpoint of a sandbox's agent, reached through whatever runs the pod. Speaks to the built-in agent by events and to any
/// agent of the reference shape by `POST /chat {prompt} -> {reply}`.
struct AgentChat: Sendable {
    static let port: UInt16 = 18_789

    private let sandbox: any ReachableSandbox
    private let client: HTTPClient

    init(to sandbox: any ReachableSandbox) throws {
        self.sandbox = sandbox
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(10), firstByte: .seconds(300), idle: .seconds(300))
        client = try HTTPClient(config: config, group: EventLoopGroup())
    }

    /// Sends one prompt and reports what happens; ends with a failure when the agent did.
    func send(_ prompt: String, report: (ChatEvent) -> Void) async throws {
        let sandbox = sandbox
        let response: HTTPClientResponse
        do {
            response = try await client.send(
                HTTPClientRequest(
                    method: .post, url: HTTPURL(scheme: .http, host: "127.0.0.1", port: Self.port, target: "/chat"),
                    headers: HTTPHeaders([
                        ("Content-Type", "application/json"), ("Accept", "text/event-stream, application/json"),
                    ]),
                    body: .bytes(JSON.object(JSONObject([("prompt", .string(prompt))])).encoded()),
                    connect: { try await sandbox.dial(port: Self.port) }))
        } catch {
            throw CommandFailure(
                .failed, "the agent of '\(sandbox.name)' does not answer: \(error.reason)",
                advice: "`kars logs \(sandbox.name) --service agent` shows what it says.")
        }
        if response.head.headers["content-type"]?.hasPrefix("text/event-stream") == true {
            try await stream(response, report)
        } else {
            try await whole(response, report)
        }
    }

    /// Fails unless somebody answers there, whatever the answer is.
    func checkPresence() async throws {
        let sandbox = sandbox
        do {
            _ = try await client.send(
                HTTPClientRequest(
                    method: .get, url: HTTPURL(scheme: .http, host: "127.0.0.1", port: Self.port, target: "/healthz"),
                    connect: { try await sandbox.dial(port: Self.port) }))
        } catch {
            throw CommandFailure(
                .failed, "the agent of '\(sandbox.name)' does not answer: \(error.reason)",
                advice: "`kars logs \(sandbox.name) --service agent` shows what it says.")
        }
    }

    private func stream(_ response: HTTPClientResponse, _ report: (ChatEvent) -> Void) async throws {
        var parser = SSEParser()
        while let bytes = try await response.nextBodyPart() {
            let batch = try parser.push(bytes)
            for block in batch.blocks {
                guard let data = batch.data(of: block), let event = try ChatEvent(json: JSON(parsing: Array(data))) else {
                    continue
                }
                report(event)
                if case .failed(let message) = event { throw CommandFailure(.failed, message) }
                if case .done = event { return }
            }
        }
        throw CommandFailure(.failed, "the agent's answer broke off")
    }

    private func whole(_ response: HTTPClientResponse, _ report: (ChatEvent) -> Void) async throws {
        let body = try await response.body(upTo: 16 * 1024 * 1024)
        let json = try? JSON(parsing: body)  // A body that is no JSON is reported with its status below.
        guard response.status == 200, let reply = json?["reply"]?.stringValue else {
            let message = json?["error"]?["message"]?.stringValue ?? "status \(response.status)"
            throw CommandFailure(.failed, "the agent answered: \(message)")
        }
        report(.done(reply: reply))
    }
}
