import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Command line words` {
    @Test(arguments: [
        ("python3 /sandbox/agent.py", ["python3", "/sandbox/agent.py"]), ("  a   b ", ["a", "b"]),
        ("sh -c 'a b; c'", ["sh", "-c", "a b; c"]),
        (#"x "a 'b' \" c" d\ e"#, ["x", #"a 'b' " c"#, "d e"]), (#"'a\b' """#, [#"a\b"#, ""]), ("a'b'c", ["abc"]),
    ])
    func `quotes and backslashes protect, nothing is expanded`(line: String, words: [String]) throws {
        #expect(try CommandLineWords.split(line) == words)
    }

    @Test(arguments: ["", "   ", "'open", "\"open", "back\\"])
    func `an empty or unfinished line is refused as usage`(line: String) {
        #expect { _ = try CommandLineWords.split(line) } throws: { ($0 as? CommandFailure)?.status == .usage }
    }
}

@Suite struct `Text for people` {
    @Test func `columns are as wide as their widest cell and cells cannot drive the terminal`() {
        var table = Table(["NAME", "X"])
        table.add(["a\u{1b}[31mlong\nname", "1"])
        table.add(["b", "2"])
        #expect(
            table.text == "NAME" + String(repeating: " ", count: 13) + "X\na [31mlong name  1\nb"
                + String(repeating: " ", count: 16) + "2")
    }

    @Test(arguments: [(0, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_600, "1h"), (172_799, "47h"), (172_800, "2d")])
    func `ages have one unit`(seconds: Int, text: String) { #expect(Age.text(.seconds(seconds)) == text) }
}

@Suite struct `The state of the command line` {
    @Test func `a directory of another version is refused and left alone`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(Array("7\n".utf8), to: directory + "/version", mode: 0o600)
            #expect { _ = try KarsHome.open(environment: ["KARS_HOME": directory]) } throws: {
                ($0 as? CommandFailure)?.message.contains("version '7'") == true
            }
            #expect(try Files.entries(of: directory) == ["version"])
        }
    }

    @Test func `a new directory gets its version and a relative one is refused`() throws {
        try withTemporaryDirectory { directory in
            _ = try KarsHome.open(environment: ["HOME": directory])
            #expect(try Files.read(directory + "/.kars/version", upTo: 10) == Array("1\n".utf8))
        }
        #expect { _ = try KarsHome.open(environment: ["KARS_HOME": "here"]) } throws: {
            ($0 as? CommandFailure)?.status == .usage
        }
        #expect { _ = try KarsHome.open(environment: [:]) } throws: { ($0 as? CommandFailure)?.status == .usage }
    }
}

@Suite struct `The model that kars dev offers` {
    private func chosen(
        _ provider: ModelProvider? = nil, _ endpoint: String? = nil, _ model: String? = nil, in directory: String
    ) throws -> ModelSource {
        try ModelSource.chosen(
            provider: provider, endpoint: endpoint, model: model, in: KarsHome.open(environment: ["KARS_HOME": directory]))
    }

    @Test func `nothing said is the demo, and a provider that was named is remembered`() throws {
        try withTemporaryDirectory { directory in
            #expect(try chosen(in: directory) == ModelSource(provider: .demo, endpoint: nil, model: "demo"))
            let endpoint = "http://127.0.0.1:11434/v1"
            let named = try chosen(.openAI, endpoint, "llama3.2", in: directory)
            #expect(named.endpoint?.isLoopback == true && named.endpoint?.port == 11_434 && named.model == "llama3.2")
            #expect(try chosen(in: directory) == named)
            #expect(try chosen(.demo, in: directory).endpoint == nil)
        }
    }

    @Test(arguments: [
        (ModelProvider.openAI, String?.none), (.azureOpenAI, "not a url"), (.openAI, "ftp://x/v1"), (.demo, "http://x/"),
    ])
    func `a provider without a usable address is refused as usage`(provider: ModelProvider, endpoint: String?) throws {
        try withTemporaryDirectory { directory in
            #expect { _ = try chosen(provider, endpoint, in: directory) } throws: { ($0 as? CommandFailure)?.status == .usage }
            let remembered = try chosen(in: directory)
            #expect(remembered.provider == .demo)
        }
    }
}
