import KarsCore
import Testing

@testable import Kars

@Suite struct `Credential plugin processes` {
    private func plugin(_ script: String) -> CredentialPlugin {
        var plugin = CredentialPlugin(command: "sh")
        plugin.arguments = ["-c", script]
        plugin.environment = [("GREETING", "hello")]
        return plugin
    }

    @Test func `a plugin gets its question and its variables, and no input`() async throws {
        let plugin = plugin(#"printf '%s|%s|%s' "$KUBERNETES_EXEC_INFO" "$GREETING" "$(cat)""#)
        let output = try await CredentialPluginProcess().run(plugin)
        #expect(String(decoding: output, as: UTF8.self) == "\(plugin.request)|hello|")
    }

    @Test(arguments: ["exit 3", "kill -9 $$"])
    func `a plugin that fails is a failure, whatever it wrote`(script: String) async {
        await #expect(throws: CredentialPluginProcess.Failure.self) {
            try await CredentialPluginProcess().run(plugin("echo secret; \(script)"))
        }
    }

    @Test func `a plugin that is not there is a failure`() async {
        await #expect(throws: CredentialPluginProcess.Failure.self) {
            try await CredentialPluginProcess().run(CredentialPlugin(command: "/nonexistent/login"))
        }
    }
}
