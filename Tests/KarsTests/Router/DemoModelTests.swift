import KarsCore
import Testing

@testable import Kars

@Suite struct `Demo intents` {
    @Test(arguments: [
        ("list the files in my workspace", [DemoIntent.listFiles(path: nil)]),
        ("Can you list files?", [.listFiles(path: nil)]),
        ("what files are there?", [.listFiles(path: nil)]),
        ("list the contents of /etc", [.listFiles(path: "/etc")]),
        ("ls", [.listFiles(path: nil)]),
        ("list src", [.listFiles(path: "src")]),
        ("please read notes.txt", [.readFile(path: "notes.txt")]),
        ("Read the file notes", [.readFile(path: "notes")]),
        ("show me notes.txt.", [.readFile(path: "notes.txt")]),
        ("write hello to a.txt", [.writeFile(path: "a.txt", content: "hello")]),
        ("write \"x then y\" into the file b.txt", [.writeFile(path: "b.txt", content: "x then y")]),
        ("create a file notes.txt with the content abc def", [.writeFile(path: "notes.txt", content: "abc def")]),
        ("write a.txt: hello you", [.writeFile(path: "a.txt", content: "hello you")]),
        ("run uname -a", [.run(command: "uname -a")]),
        ("run `ls -la` please", [.run(command: "ls -la")]),
        ("run the command: echo 'hi there' > x", [.run(command: "echo 'hi there' > x")]),
        ("execute: id.", [.run(command: "id")]),
        ("run if true; then echo a; fi", [.run(command: "if true; then echo a; fi")]),
        ("fetch https://example.com", [.fetch(url: "https://example.com")]),
        ("fetch example.com/a please", [.fetch(url: "https://example.com/a")]),
        ("open http://1.2.3.4:80/x", [.fetch(url: "http://1.2.3.4:80/x")]),
        (
            "write hello to a.txt, then read a.txt and then run cat a.txt",
            [.writeFile(path: "a.txt", content: "hello"), .readFile(path: "a.txt"), .run(command: "cat a.txt")]
        ),
        ("who are you", []),
        ("get the weather", []),
        ("", []),
    ])
    func `plain requests are recognised`(text: String, steps: [DemoIntent]) {
        #expect(DemoIntent.steps(in: text) == steps)
    }
}

@Suite struct `Demo model` {
    static let tools: JSON = [
        [
            "type": "function",
            "function": ["name": "exec", "parameters": ["type": "object", "properties": ["cmd": ["type": "string"]]]],
        ],
        ["type": "function", "function": ["name": "read_file", "parameters": ["type": "object"]]],
    ]

    private func request(_ messages: JSON..., tools: JSON = Self.tools, stream: Bool = false) -> JSON {
        [
            "model": "kars-demo", "messages": .array(messages), "tools": tools, "stream": .bool(stream),
            "stream_options": ["include_usage": true],
        ]
    }

    @Test func `a tool call fits the parameters that the tool declares`() {
        let answer = DemoModel.answer(to: request(["role": "user", "content": "run uname -a"]))
        #expect(answer == .toolCall(.init(name: "exec", arguments: #"{"cmd":"uname -a"}"#)))
    }

    @Test func `a withheld tool is named, not called`() throws {
        let answer = DemoModel.answer(to: request(["role": "user", "content": "fetch https://example.com"]))
        guard case .text(let text) = answer else {
            Issue.record("expected text, got \(answer)")
            return
        }
        #expect(text.contains("demo model") && text.contains("http_fetch"))
    }

    @Test func `steps go on until one fails`() {
        let asked: JSON = ["role": "user", "content": "read a.txt then run id"]
        let read: JSON = ["role": "assistant", "content": nil, "tool_calls": []]
        let second = DemoModel.answer(to: request(asked, read, ["role": "tool", "tool_call_id": "1", "content": "hello"]))
        #expect(second == .toolCall(.init(name: "exec", arguments: #"{"cmd":"id"}"#)))

        let refused: JSON = ["role": "tool", "tool_call_id": "1", "content": #"{"error":{"message":"refused by rule no-read"}}"#]
        let stopped = DemoModel.answer(to: request(asked, read, refused))
        #expect(stopped == .text("[demo model] I could not read a.txt: refused by rule no-read"))
    }

    @Test func `the answer is made from the tools' results`() {
        let result: JSON = ["role": "tool", "tool_call_id": "1", "content": "a.txt\nb.txt\n"]
        let answer = DemoModel.answer(to: request(["role": "user", "content": "list the files"], result))
        #expect(answer == .text("[demo model] The files in your workspace:\na.txt\nb.txt"))
    }

    @Test(arguments: ["who are you?", "run uname -a"])
    func `a stream says the same as the buffered answer`(text: String) throws {
        let body = request(["role": "user", "content": .string(text)], stream: true).encoded()
        let completion = try DemoCompletion(body: body, now: UTCTime(seconds: 0))
        let buffered = try JSON(parsing: completion.body)
        var content = ""
        var arguments = ""
        var usage: TokenUsage?
        for event in completion.events.dropLast() {
            let chunk = try JSON(parsing: event)
            #expect(chunk["system_fingerprint"]?.stringValue == DemoModel.fingerprint)
            let delta = chunk["choices"]?[0]?["delta"]
            content += delta?["content"]?.stringValue ?? ""
            arguments += delta?["tool_calls"]?[0]?["function"]?["arguments"]?.stringValue ?? ""
            usage = TokenUsage(chunk["usage"]) ?? usage
        }
        let message = buffered["choices"]?[0]?["message"]
        #expect(content == message?["content"]?.stringValue ?? "")
        #expect(arguments == message?["tool_calls"]?[0]?["function"]?["arguments"]?.stringValue ?? "")
        #expect(usage == TokenUsage(buffered["usage"]))
        #expect(completion.events.last == Array("[DONE]".utf8))
        #expect(try DemoCompletion(body: body, now: UTCTime(seconds: 0)).body == completion.body)
    }
}
