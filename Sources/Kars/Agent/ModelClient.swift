import KarsCore

/// Why the model could not be asked, or did not answer.
struct AnswerFailure: Error, Equatable, CustomStringConvertible {
    var message: String
    /// True when the router refused the call; `rule` then says which rule did.
    var isRefusal = false
    var rule: String?

    var description: String { message }
}

/// The agent's side of the router's agent plane: model calls and judgements of tool calls. Holds no credential.
struct ModelClient: Sendable {
    enum Judgement: Equatable, Sendable {
        case allowed
        case refused(reason: String, rule: String?)
    }

    private let model: String
    private let completions: HTTPURL
    private let evaluation: HTTPURL
    private let client: HTTPClient

    private static let maxErrorBytes = 64 * 1024
    /// How long a tool call waits for a person where a rule wants an approval; shorter than the patience below.
    private static let approvalWait = 120

    /// Patient with models, impatient with the router itself.
    static var httpConfig: HTTPClientConfig {
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(5), firstByte: .seconds(180), idle: .seconds(120))
        return config
    }

    init(config: AgentConfig, client: HTTPClient) throws {
        let base = try HTTPURL(parsing: config.modelURL)
        model = config.model
        let path = base.target.hasSuffix("/") ? String(base.target.dropLast()) : base.target
        completions = HTTPURL(scheme: base.scheme, host: base.host, port: base.port, target: path + "/chat/completions")
        evaluation = HTTPURL(scheme: base.scheme, host: base.host, port: base.port, target: "/agt/evaluate")
        self.client = client
    }

    /// Streams one answer; `onText` gets its text as it comes.
    func answer(
        to history: [JSON], systemPrompt: String, allowTools: Bool, onText: (String) async throws -> Void
    ) async throws -> ConversationMachine.Answer {
        var body: JSONObject = [:]
        body["model"] = .string(model)
        body["messages"] = .array([["role": "system", "content": .string(systemPrompt)]] + history)
        body["stream"] = true
        if allowTools { body["tools"] = .array(AgentTool.allCases.map(\.declaration)) }
        let response: HTTPClientResponse
        do {
            response = try await post(completions, .object(body), accept: "text/event-stream")
        } catch {
            throw AnswerFailure(message: "the router cannot be reached: \(error)")
        }
        guard response.head.status == 200 else { throw try await failure(of: response) }
        var parser = SSEParser()
        var assembler = AnswerAssembler()
        while let bytes = try await response.nextBodyPart() {
            let batch = try parser.push(bytes)
            for block in batch.blocks {
                guard let data = batch.data(of: block) else { continue }
                if data.elementsEqual("[DONE]".utf8) { return assembler.finish() }
                do {
                    let text = try assembler.add(JSON(parsing: Array(data)))
                    if !text.isEmpty { try await onText(text) }
                } catch AnswerAssembler.Failure.errorEvent(let message, _, let rule) {
                    throw AnswerFailure(message: message, isRefusal: rule != nil, rule: rule)
                } catch let error as JSONError {
                    throw AnswerFailure(message: "the model sent an event that is no JSON: \(error)")
                }
            }
        }
        guard assembler.finishReason != nil else { throw AnswerFailure(message: "the model's answer broke off") }
        return assembler.finish()
    }

    /// Whether the router allows `action`. No answer means no.
    func evaluate(_ action: String, tool: String) async -> Judgement {
        do {
            let response = try await post(
                evaluation,
                ["action": .string(action), "context": ["tool": .string(tool)], "wait_secs": .int(Self.approvalWait)],
                accept: "application/json")
            let body = try await response.body(upTo: Self.maxErrorBytes)
            let answer = try JSON(parsing: body)
            if response.head.status == 200, answer["allowed"]?.boolValue == true { return .allowed }
            return .refused(
                reason: answer["reason"]?.stringValue ?? answer["error"]?["message"]?.stringValue
                    ?? "the router refused without a reason",
                rule: answer["matched_rule"]?.stringValue ?? answer["error"]?["rule"]?.stringValue)
        } catch {
            return .refused(reason: "the router did not judge the call: \(error)", rule: nil)
        }
    }

    private func post(_ url: HTTPURL, _ body: JSON, accept: String) async throws -> HTTPClientResponse {
        try await client.send(
            HTTPClientRequest(
                method: .post, url: url, headers: HTTPHeaders([("Content-Type", "application/json"), ("Accept", accept)]),
                body: .bytes(body.encoded())))
    }

    private func failure(of response: HTTPClientResponse) async throws -> AnswerFailure {
        let status = response.head.status
        let body = try await response.body(upTo: Self.maxErrorBytes)
        // A body that is no JSON says nothing more than its status.
        guard let error = (try? JSON(parsing: body))?["error"] else {
            return AnswerFailure(message: "the router answered \(status)")
        }
        let isRefusal = error["stage"]?.stringValue.map { $0 != "perform" } ?? false
        return AnswerFailure(
            message: error["message"]?.stringValue ?? "the router answered \(status)", isRefusal: isRefusal,
            rule: error["rule"]?.stringValue)
    }
}
