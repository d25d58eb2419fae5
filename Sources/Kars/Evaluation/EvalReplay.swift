import KarsCore

/// Tries cases against a sandbox as its agent would: the router's HTTP API and its forward proxy.
///
/// An answer that says nothing about a decision is no decision: what was not reached, or is not offered, is an error and never counts as
/// blocked.
struct EvalReplay: Sendable {
    struct Config: Sendable {
        /// The agent's side of the router, without a path.
        var routerBase = "http://127.0.0.1:8443"
        /// The forward proxy.
        var proxy = SocketAddress(.loopbackV4, port: 8_444)
        var timeout = Duration.seconds(5)
        /// `Name: value` for a router that asks for it.
        var header: (name: String, value: Secret<String>)?
    }

    /// Nothing that could be judged came back.
    struct Failure: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    private static let maxStatusLine = 4_096
    private static let maxBody = 1 << 20

    let config: Config
    let client: HTTPClient
    let group: EventLoopGroup
    let time: any TimeSource

    func run(_ item: EvalCase) async -> EvalReport.Line {
        let start = time.now()
        var observations: [EvalObservation] = []
        var verdict: EvalVerdict
        do throws(Failure) {
            observations = try await observe(item)
            verdict = .judge(observations, of: item.scenario, against: item.expect)
        } catch {
            verdict = .errored(error.description.cut(toBytes: 512))
        }
        return EvalReport.Line(
            item: item, observations: observations, verdict: verdict, duration: time.now().duration(since: start))
    }

    private func observe(_ item: EvalCase) async throws(Failure) -> [EvalObservation] {
        switch item.scenario {
        case .egressConnect(let host, let port): return [try await connect(host, port, item.id)]
        case .chatCompletion(let messages, let model):
            let body: JSON = [
                "model": .string(model ?? "kars-eval"), "messages": EvalScenario.json(of: messages), "max_tokens": 16,
            ]
            return [try EvalAnswer.chat(try await post("/v1/chat/completions", body, item.id))]
        case .memoryRead(let scope, let key):
            let arguments: JSON = ["scope": .string(scope), "query": .string(key)]
            return [try EvalAnswer.tool(try await call("/platform/mcp", "foundry.memory", arguments, item.id))]
        case .toolCall(let tool, let arguments, nil): return [try await useTool(tool, arguments, item.id)]
        case .toolCall(let tool, let arguments, let burst?):
            var observations: [EvalObservation] = []
            let pause = Duration.milliseconds(burst.windowMs) / burst.count
            for index in 0..<burst.count {
                observations.append(try await useTool(tool, arguments, "\(item.id)#\(index)"))
                guard (try? await time.sleep(for: pause)) != nil else { throw Failure(description: "cut off") }
            }
            return observations
        }
    }

    /// Through the MCP gateway; a router without one is asked for its decision alone.
    private func useTool(_ tool: String, _ arguments: JSONObject, _ id: String) async throws(Failure) -> EvalObservation {
        let answer = try await call("/mcp", tool, .object(arguments), id)
        guard answer.status == 404 else { return try EvalAnswer.tool(answer) }
        let question: JSON = ["action": .string(tool), "context": [:]]
        return try EvalAnswer.evaluation(try await post("/agt/evaluate", question, id))
    }

    private func call(_ path: String, _ tool: String, _ arguments: JSON, _ id: String) async throws(Failure) -> EvalAnswer {
        try await post(
            path,
            [
                "jsonrpc": "2.0", "id": .string(id), "method": "tools/call",
                "params": ["name": .string(tool), "arguments": arguments],
            ], id)
    }

    private func post(_ path: String, _ body: JSON, _ id: String) async throws(Failure) -> EvalAnswer {
        let url: HTTPURL
        do throws(HTTPURL.ParseError) { url = try HTTPURL(parsing: config.routerBase + path) } catch {
            throw Failure(description: "\(error)")
        }
        var headers: HTTPHeaders = ["content-type": "application/json", "x-kars-eval-case-id": id]
        if let header = config.header { headers.add(header.name, header.value.reveal()) }
        var request = HTTPClientRequest(method: .post, url: url, headers: headers, body: .bytes(body.encoded()))
        request.timeouts = HTTPClientTimeouts(connect: config.timeout, firstByte: config.timeout, idle: config.timeout)
        do throws(HTTPClientError) {
            let response = try await client.send(request)
            return EvalAnswer(
                status: response.status, headers: response.head.headers, body: try await response.body(upTo: Self.maxBody))
        } catch {
            throw Failure(description: "the router was not reached: \(error)")
        }
    }

    // MARK: - CONNECT

    private func connect(_ host: String, _ port: Int, _ id: String) async throws(Failure) -> EvalObservation {
        let line: String
        do throws(StreamError) {
            let stream = try await ByteStream.connect(
                to: config.proxy, on: group.next(), within: config.timeout)
            do throws(StreamError) {
                line = try await ask(stream, host, port, id)
                await stream.close()
            } catch {
                await stream.close()
                throw error
            }
        } catch {
            throw Failure(description: "the proxy was not reached: \(error)")
        }
        return try EvalAnswer.proxy(line)
    }

    /// Only the status line is read.
    private func ask(_ stream: ByteStream, _ host: String, _ port: Int, _ id: String) async throws(StreamError) -> String {
        let authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let request = "CONNECT \(authority) HTTP/1.1\r\nHost: \(authority)\r\nx-kars-eval-case-id: \(id)\r\n\r\n"
        try await stream.write(Array(request.utf8))
        var bytes: [UInt8] = []
        while bytes.count < Self.maxStatusLine, !bytes.contains(0x0A) {
            guard let more = try await stream.read(upTo: Self.maxStatusLine - bytes.count, within: config.timeout) else { break }
            bytes += more
        }
        return String(decoding: bytes.prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
    }
}

/// An answer, and what it says about a decision.
struct EvalAnswer: Sendable {
    var status: Int
    var headers = HTTPHeaders()
    var body: [UInt8]

    /// What the router itself says in its headers goes before what the status suggests.
    private func observation(_ decision: EvalDecision, _ reason: String?) -> EvalObservation {
        let said = headers["x-kars-decision"].flatMap(Self.decision) ?? decision
        return EvalObservation(
            decision: said, byPolicyKind: headers["x-kars-decision-by"].flatMap(Self.kind),
            reason: headers["x-kars-decision-reason"] ?? reason)
    }

    private static func decision(_ text: String) -> EvalDecision? {
        EvalDecision.allCases.first {
            $0.rawValue.lowercased() == text.lowercased().replacing("_", with: "").replacing("-", with: "")
        }
    }

    /// The router's stages have names of their own.
    private static func kind(_ text: String) -> EvalPolicyKind? {
        switch text {
        case "AgtProfile": .toolPolicy
        case "Egress": .egressAllowlist
        default: EvalPolicyKind(rawValue: text)
        }
    }

    private var text: String { String(decoding: body, as: UTF8.self) }
    private var json: JSON { (try? JSON(parsing: body)) ?? .null }

    private static func silent(_ answer: String) -> EvalReplay.Failure {
        EvalReplay.Failure(description: "\(answer) says nothing about a decision")
    }

    static func chat(_ answer: EvalAnswer) throws(EvalReplay.Failure) -> EvalObservation {
        let message = answer.json["error"]?["message"]?.stringValue
        switch answer.status {
        case 200..<300: return answer.observation(.allowed, nil)
        case 402: return answer.observation(.budgetExceeded, message)
        case 403: return answer.observation(.blocked, message)
        case 429: return answer.observation(.rateLimited, message)
        case 400 where answer.headers["x-kars-decision"] != nil || answer.text.contains("content_filter"):
            return answer.observation(.blocked, message)
        default: throw silent("status \(answer.status)")
        }
    }

    /// JSON-RPC.
    static func tool(_ answer: EvalAnswer) throws(EvalReplay.Failure) -> EvalObservation {
        if let decided = try? chat(answer), decided.decision != .allowed { return decided }
        guard (200..<300).contains(answer.status) else { throw silent("status \(answer.status)") }
        let error = answer.json["error"], result = answer.json["result"]
        guard error != nil || result != nil else { throw silent("an answer that is no JSON-RPC") }
        guard error != nil || result?["isError"] == true else { return answer.observation(.allowed, nil) }
        let message =
            error?["message"]?.stringValue
            ?? result?["content"]?.arrayValue?.compactMap { $0["text"]?.stringValue }.joined(separator: " ") ?? ""
        let lower = message.lowercased()
        if lower.contains("rate limit") || lower.contains("429") { return answer.observation(.rateLimited, message) }
        if lower.contains("budget") || lower.contains("quota exceeded") || lower.contains("402") {
            return answer.observation(.budgetExceeded, message)
        }
        return answer.observation(.blocked, message)
    }

    /// `/agt/evaluate`.
    static func evaluation(_ answer: EvalAnswer) throws(EvalReplay.Failure) -> EvalObservation {
        guard (200..<300).contains(answer.status), let decision = answer.json["decision"]?.stringValue else {
            throw silent("status \(answer.status)")
        }
        let reason = answer.json["reason"]?.stringValue
        if answer.json["rate_limited"] == true { return answer.observation(.rateLimited, reason) }
        return answer.observation(decision == "allow" ? .allowed : .blocked, reason)
    }

    /// The status line of an answer to CONNECT. That a host that is allowed could not be reached is no decision.
    static func proxy(_ line: String) throws(EvalReplay.Failure) -> EvalObservation {
        let parts = line.split(separator: " ", maxSplits: 2)
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), let status = Int(parts[1]) else {
            throw silent("\"\(line.cut(toBytes: 64))\"")
        }
        let reason = parts.count == 3 ? String(parts[2]) : nil
        return switch status {
        case 200..<300: EvalObservation(decision: .allowed, reason: reason)
        case 402: EvalObservation(decision: .budgetExceeded, reason: reason)
        case 429: EvalObservation(decision: .rateLimited, reason: reason)
        case 500...: throw silent("status \(status)")
        default: EvalObservation(decision: .blocked, reason: reason)
        }
    }
}
