import KarsCore

extension Bench {
    /// Reading and writing chat requests of some 700 KB on one core, in megabytes (10^6 bytes) per second.
    static let json = Case(name: "json") {
        var figures: [Figure] = []
        for (name, bytes) in [
            ("chat", ChatBody.mixed), ("prose", ChatBody.of(ChatBody.prose)), ("code", ChatBody.of(ChatBody.code)),
            ("cyrillic", ChatBody.of(ChatBody.cyrillic)), ("chinese", ChatBody.of(ChatBody.chinese)),
            ("numbers", ChatBody.numbers),
        ] {
            let megabytes = Double(bytes.count) / 1e6
            let tree = try JSON(parsing: bytes)
            let measures: [(String, () throws -> Int)] = [
                ("tree", { try JSON(parsing: bytes).objectValue?.count ?? 0 }),
                ("scan", { try JSONMemberScanner.scan(bytes).count }),
                ("encode", { tree.encoded().count }),
                ("canonical", { try tree.canonical().count }),
            ]
            for (measure, body) in measures {
                var sink = 0
                let seconds = try medianSeconds(repeats: 21) { sink &+= try body() }
                precondition(sink != 0)
                figures.append(
                    Figure(name: "\(name) \(bytes.count / 1000) KB, \(measure)", value: megabytes / seconds, unit: "MB/s"))
            }
        }
        let small = ChatBody.small
        let tree = try JSON(parsing: small)
        let measures: [(String, () throws -> Int)] = [
            ("tree", { try JSON(parsing: small).objectValue?.count ?? 0 }),
            ("scan", { try JSONMemberScanner.scan(small).count }),
            ("encode", { tree.encoded().count }),
        ]
        for (measure, body) in measures {
            var sink = 0
            let rounds = 1000
            let seconds = try medianSeconds(repeats: 21) { for _ in 0..<rounds { sink &+= try body() } }
            precondition(sink != 0)
            figures.append(
                Figure(name: "request of \(small.count) bytes, \(measure)", value: seconds / Double(rounds) * 1e9, unit: "ns"))
        }
        return figures
    }
}

/// Chat completion requests as agents send them: a long conversation, file contents, tool calls.
private enum ChatBody {
    static let prose = """
        The sandbox has no network of its own; every call that leaves it is decided by the router. When a request is refused, \
        say which rule refused it and what the person can do about it. Do not guess file names: list the folder first.

        """
    static let code = """
        \tif let value = table["key"], value != "" {
        \t\tprint("found \\(value) at \\"\\(path)\\"")\n\t} else {\n\t\treturn nil\n\t}

        """
    static let cyrillic = "Каждый вызов, который покидает песочницу, проверяется маршрутизатором и записывается в журнал. "
    static let chinese = "离开沙箱的每一次调用都由路由器检查、执行并记录，代理自身不持有任何凭据。"

    /// One body whose messages repeat `text` to some 4 KB each.
    static func of(_ text: String) -> [UInt8] { body { _ in text } }

    /// What an agent sends on its first turn.
    static let small = body(upTo: 2000) { _ in prose }

    /// Mostly prose, with code in every fourth message and some other scripts.
    static let mixed = body { index in
        switch index % 8 {
        case 1, 5: code
        case 3: prose + "Größe: 5 °C – naïve café, “quoted” €\n"
        case 7: prose + cyrillic + chinese
        default: prose
        }
    }

    /// An embeddings answer: nothing but numbers.
    static let numbers: [UInt8] = {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("embedding")
        writer.beginArray()
        for index in 0..<35_000 { writer.double(Double((index &* 2_654_435_761) % 1_000_003) / 1_000_003 - 0.5) }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }()

    private static func body(upTo size: Int = 700_000, _ text: (Int) -> String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("model", "gpt-4.1")
        writer.key("messages")
        writer.beginArray()
        var index = 0
        while writer.bytes.count < size {
            writer.beginObject()
            writer.member("role", index % 2 == 0 ? "user" : "assistant")
            let text = text(index)
            writer.member("content", String(repeating: text, count: min(size, 4000) / text.utf8.count))
            if index % 4 == 3 {
                writer.member(
                    "tool_calls",
                    [
                        [
                            "id": "call_\(index)", "type": "function",
                            "function": ["name": "exec", "arguments": #"{"command":"ls -l"}"#],
                        ]
                    ] as JSON)
            }
            writer.endObject()
            index += 1
        }
        writer.endArray()
        writer.member("temperature", 0.2 as JSON)
        writer.member("max_tokens", 1024)
        writer.member("stream", true)
        writer.endObject()
        return writer.bytes
    }
}
