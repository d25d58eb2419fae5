import KarsCore
import Testing

@testable import Kars

@Suite struct `Agent tools` {
    private static let calls: [(AgentTool, JSON, String)] = [
        (.exec, ["command": "ls -la"], "shell:ls -la"), (.exec, ["command": "ls\nrm -rf /"], "shell:ls\nrm -rf /"),
        (.httpFetch, ["url": "https://a.example/x"], "egress:https://a.example/x"),
        (.readFile, ["path": "notes.txt"], "tool:read_file:notes.txt"), (.listFiles, [:], "tool:list_files:"),
    ]

    @Test(arguments: calls)
    func `each call has the verb that policies know`(tool: AgentTool, arguments: JSON, action: String) {
        #expect(tool.action(for: arguments) == action)
    }

    @Test func `a command too long to be judged whole has no action`() {
        let longest = String(repeating: "x", count: AgentTool.maxActionBytes - "shell:".utf8.count)
        #expect(AgentTool.exec.action(for: ["command": .string(longest)]) != nil)
        #expect(AgentTool.exec.action(for: ["command": .string(longest + "x")]) == nil)
    }

    @Test(arguments: AgentTool.allCases) func `declarations name every required parameter`(tool: AgentTool) throws {
        let function = try #require(tool.declaration["function"])
        #expect(function["name"]?.stringValue == tool.rawValue)
        let properties = try #require(function["parameters"]?["properties"]?.objectValue)
        for name in function["parameters"]?["required"]?.arrayValue ?? [] { #expect(properties[name.stringValue ?? ""] != nil) }
    }
}
