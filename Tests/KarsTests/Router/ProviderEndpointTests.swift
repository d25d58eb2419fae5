import KarsCore
import Testing

@testable import Kars

@Suite struct `Provider endpoint` {
    @Test(arguments: [
        ("http://127.0.0.1:11434", "/v1/chat/completions"), ("http://127.0.0.1:11434/", "/v1/chat/completions"),
        ("https://api.openai.com/v1", "/v1/chat/completions"), ("https://api.openai.com/v1/", "/v1/chat/completions"),
        ("https://h.example/openai", "/openai/v1/chat/completions"),
        ("https://h.example/v1beta/openai/", "/v1beta/openai/chat/completions"),
    ])
    func `a base is taken with or without its version`(base: String, target: String) throws {
        let endpoint = ProviderEndpoint.openAI(base: try HTTPURL(parsing: base), key: Secret("k"))
        #expect(try endpoint.chatTarget(model: "any/model name") == target)
        #expect(endpoint.credential?.name == "authorization")
        #expect(endpoint.credential?.value == "Bearer k")
    }

    @Test(arguments: [
        ("https://x.openai.azure.com", "/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21"),
        ("https://x.openai.azure.com/openai/", "/openai/deployments/gpt-4.1/chat/completions?api-version=2024-10-21"),
        ("https://x.openai.azure.com/openai/v1", "/openai/v1/chat/completions"),
    ])
    func `Azure is asked by deployment, with its own header`(base: String, target: String) throws {
        let endpoint = ProviderEndpoint.azureOpenAI(
            base: try HTTPURL(parsing: base), apiVersion: "2024-10-21", key: Secret("k"))
        #expect(try endpoint.chatTarget(model: "gpt-4.1") == target)
        #expect(endpoint.credential?.name == "api-key")
        #expect(endpoint.credential?.value == "k")
    }

    @Test(arguments: ["../../other", "a/b", "a?b", "", "..", "a b", "é"])
    func `a model name cannot leave its place in the path`(model: String) throws {
        let endpoint = ProviderEndpoint.azureOpenAI(
            base: try HTTPURL(parsing: "https://x.openai.azure.com"), apiVersion: "2024-10-21", key: nil)
        #expect(throws: ProviderEndpoint.Failure.self) { try endpoint.chatTarget(model: model) }
    }

    @Test func `without a key nothing is sent in its place`() throws {
        let endpoint = ProviderEndpoint.openAI(base: try HTTPURL(parsing: "http://h"), key: nil)
        #expect(endpoint.credential == nil)
    }
}

@Suite struct `Remote backend` {
    private actor Source: HTTPResponseBodySource {
        func nextBodyPart() async throws(HTTPClientError) -> [UInt8]? { nil }
        nonisolated func cancel() {}
    }

    private func backend(
        _ transport: @escaping @Sendable (HTTPClientRequest) async throws(HTTPClientError) -> HTTPClientResponse
    ) throws -> RemoteBackend {
        RemoteBackend(
            endpoint: .openAI(base: try HTTPURL(parsing: "http://h:1"), key: Secret("key")), timeouts: HTTPClientTimeouts(),
            transport: transport)
    }

    private func call(isStreamed: Bool = false) throws -> ModelCall {
        ModelCall(body: [123, 125], model: "m", isStreamed: isStreamed, trace: try #require(TraceID("t")))
    }

    @Test func `the request is built from the call alone`() async throws {
        let backend = try backend { request throws(HTTPClientError) in
            #expect(request.url.description == "http://h:1/v1/chat/completions")
            #expect(
                request.headers.map { "\($0.name): \($0.value)" } == [
                    "authorization: Bearer key", "user-agent: kars-router", "accept-encoding: identity",
                    "x-kars-trace-id: t", "content-type: application/json", "accept: text/event-stream",
                ])
            return HTTPClientResponse(head: HTTPResponseHead(status: 200), source: Source())
        }
        #expect(try await backend.send(call(isStreamed: true)).status == 200)
    }

    @Test func `an encoded answer is refused, because it could not be inspected`() async throws {
        let backend = try backend { _ throws(HTTPClientError) in
            HTTPClientResponse(
                head: HTTPResponseHead(status: 200, headers: ["content-encoding": "gzip"]), source: Source())
        }
        await #expect(throws: ModelFailure.self) { try await backend.send(call()) }
    }

    @Test(arguments: [
        (HTTPClientError.Code.connectFailed, 502, "bad_gateway"), (.firstByteTimedOut, 504, "gateway_timeout"),
        (.malformedResponse, 502, "bad_gateway"), (.closedDuringBody, 502, "stream_interrupted"),
        (.tooManyRequests, 503, "overloaded"),
    ])
    func `failures of the network have a status and keep whether work was done`(
        code: HTTPClientError.Code, status: Int, refusal: String
    ) async throws {
        let backend = try backend { _ throws(HTTPClientError) in
            throw HTTPClientError(code, reason: "r", origin: "h:1", mayHaveBeenProcessed: true)
        }
        let error = await #expect(throws: ModelFailure.self) { try await backend.send(call()) }
        #expect(error?.refusal.status == status)
        #expect(error?.refusal.code == refusal)
        #expect(error?.mayHaveCost == true)
        #expect(error?.refusal.reason.contains("h:1") == false)
    }
}
