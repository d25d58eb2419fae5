import ArgumentParser
import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Policies by command` {
    private typealias Tools = PolicyVerbs<ToolPolicyFlags>

    private func object<Flags: PolicyFlags>(_ type: Flags.Type, _ arguments: [String]) throws -> JSONObject {
        try PolicyVerbs<Flags>.Apply.parse(arguments).object()
    }

    @Test func `flags become a specification`() throws {
        let tools = try object(
            ToolPolicyFlags.self,
            [
                "shop", "--sandbox-label", "app=shop", "--tool", "pay", "--rps", "5", "--daily-cap", "USD 10.00",
                "--counterparty",
                "acme", "--approval-mode", "aboveThreshold", "--approval-threshold", "USD 1.00",
            ])
        #expect(tools.namespace == "kars-system" && tools["kind"] == "ToolPolicy")
        #expect(
            tools["spec"] == [
                "appliesTo": ["tool": "pay", "sandboxMatchLabels": ["app": "shop"]],
                "commerce": ["dailyCap": "USD 10.00", "counterpartyAllowlist": ["acme"]], "rateLimit": ["rps": 5],
                "approval": ["mode": "aboveThreshold", "threshold": "USD 1.00"],
            ])
        let inference = try object(
            InferencePolicyFlags.self,
            [
                "p", "-n", "team", "--model", "m", "--provider", "openai", "--fallback", "ollama:l", "--token-budget", "9",
                "--content-safety-severity", "Low",
            ])
        #expect(inference.namespace == "team")
        #expect(inference["spec"]?["modelPreference"]?["fallback"] == [["provider": "ollama", "deployment": "l"]])
        #expect(
            inference["spec"]?["contentSafety"]?["violence"] == "Low" && inference["spec"]?["tokenBudget"]?["dailyTokens"] == 9)
        let server = try object(
            McpServerFlags.self,
            [
                "d", "--url", "https://mcp.example.com", "--production-mode", "--oauth-issuer", "https://login.example.com",
                "--allowed-tool", "*",
            ])
        #expect(server["spec"]?["oauth"]?["issuer"] == "https://login.example.com" && server["spec"]?["productionMode"] == true)
        let memory = try object(
            KarsMemoryFlags.self, ["m", "--sandbox", "a", "--store", "s", "--scope", "team/a", "--no-delete-on-sandbox-delete"])
        #expect(memory["spec"]?["deleteOnSandboxDelete"] == false && memory["spec"]?["sandboxRef"]?["name"] == "a")
        let agent = try object(
            A2AAgentFlags.self,
            [
                "a", "--endpoint-url", "https://a.example.com", "--signing-key",
                "main:EdDSA:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo:1893456000", "--min-signatures", "1",
            ])
        #expect(agent["spec"]?["signingKeys"]?[0]?["notAfter"] == 1_893_456_000)
    }

    @Test(arguments: [
        ["shop"], ["Not_A_Name", "--sandbox-label", "a=b"], ["shop", "--sandbox-label", "noequals"],
        ["shop", "--sandbox-label", "a=b", "--daily-cap", "ten"],
        ["shop", "--sandbox-label", "a=b", "--approval-mode", "sometimes"],
        ["shop", "--sandbox-label", "a=b", "--approval-mode", "aboveThreshold"],
        ["shop", "--sandbox-label", "a=b", "--window", "1 day"],
    ])
    func `a wrong description is refused before anything is sent`(arguments: [String]) {
        #expect { _ = try object(ToolPolicyFlags.self, arguments) } throws: { ($0 as? CommandFailure)?.status == .usage }
    }

    @Test func `all faults are told at once, with their places`() {
        #expect {
            _ = try object(ToolPolicyFlags.self, ["shop", "--daily-cap", "ten", "--window", "soon"])
        } throws: { error in
            let text = (error as? CommandFailure)?.message ?? ""
            return ["dailyCap", "window", "sandboxMatchLabels"].allSatisfy(text.contains)
        }
    }

    private func fromFile(_ text: String, name: String = "shop") throws -> JSONObject {
        let object = try PolicyManifest.object(
            ToolPolicy.self, name: name, namespace: "kars-system", file: "policy.yaml", text: Array(text.utf8))
        _ = try PolicyManifest.check(object, as: ToolPolicy.self) { $0.spec.faults() }
        return object
    }

    @Test(arguments: [
        "appliesTo: {sandboxMatchLabels: {a: b}}", "spec: {appliesTo: {sandboxMatchLabels: {a: b}}}",
        #"{"spec": {"appliesTo": {"sandboxMatchLabels": {"a": "b"}}}}"#,
        "apiVersion: kars.azure.com/v1alpha1\nkind: ToolPolicy\nmetadata: {name: shop, labels: {x: z}}\nspec: {appliesTo: {sandboxMatchLabels: {a: b}}}",
    ])
    func `a file is a specification or a manifest, YAML or JSON`(text: String) throws {
        let object = try fromFile(text)
        #expect(object.name == "shop" && object["spec"]?["appliesTo"] == ["sandboxMatchLabels": ["a": "b"]])
        #expect(object.labels == (text.contains("labels: {x") ? ["x": "z"] : [:]))
    }

    @Test(arguments: [
        ("kind: McpServer\nspec: {appliesTo: {sandboxMatchLabels: {a: b}}}", "kind is McpServer"),
        ("metadata: {name: other}\nspec: {appliesTo: {sandboxMatchLabels: {a: b}}}", "'other'"),
        ("metadata: {namespace: other}\nspec: {appliesTo: {sandboxMatchLabels: {a: b}}}", "'other'"),
        ("appliesTo: {sandboxMatchLabels: {a: b}}\nrateLimits: {rps: 1}", "rateLimits"),
        ("appliesTo: {sandboxMatchLabels: {a: b}, tools: x}", "tools"), ("[1]", "mapping"), ("a: 1\n---\nb: 2", "2"),
        ("a: [", "policy.yaml"),
        ("appliesTo: 3", "appliesTo"),
    ])
    func `a file that means something else is refused with its reason`(text: String, reason: String) {
        #expect { _ = try fromFile(text) } throws: { error in
            let failure = error as? CommandFailure
            return failure?.status == .usage && failure?.message.contains(reason) == true
        }
    }

    @Test func `apply, list, get and delete`() async throws {
        let fake = FakeCluster(), cluster = ClusterFixture.connection(fake)
        let object = try object(ToolPolicyFlags.self, ["shop", "--sandbox-label", "app=shop", "--tool", "pay"])
        #expect(try await Tools.Apply.apply(object, to: cluster, forces: false).text == "ToolPolicy 'shop' created")
        #expect(try await Tools.Apply.apply(object, to: cluster, forces: true).text == "ToolPolicy 'shop' unchanged")
        let writes = fake.requests.filter { $0.verb == .patch(.apply) }
        #expect(writes.map { $0["fieldManager"] } == ["kars-cli", "kars-cli"])
        #expect(writes.map { $0["fieldValidation"] } == ["Strict", "Strict"])
        #expect(writes.map { $0["force"] } == [nil, "true"])

        let list = try await Tools.List.report(in: cluster, now: ClusterFixture.now)
        #expect(
            list.text.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }.last == [
                "shop", "pay", "-", "-", "-",
            ])
        #expect(list.json[0]?["metadata"]?["name"] == "shop")
        let one = try await Tools.Get.report("shop", in: cluster)
        #expect(one.text.hasPrefix("ToolPolicy 'shop'  -") && one.text.contains("app: shop"))

        try await Tools.Delete.delete("shop", in: cluster)
        for call in ["get", "delete"] {
            await #expect {
                if call == "get" {
                    _ = try await Tools.Get.report("shop", in: cluster)
                } else {
                    try await Tools.Delete.delete("shop", in: cluster)
                }
            } throws: {
                ($0 as? CommandFailure)?.status == .notFound
            }
        }
        #expect(try await Tools.List.report(in: cluster, now: ClusterFixture.now).text.contains("no ToolPolicy"))
    }

    @Test func `a server that refuses is told with its words and its exit code`() async throws {
        let fake = FakeCluster { request in
            request.verb == .patch(.apply) ? .refuse(.forbidden(ToolPolicy.kind.resource, name: "shop", "policy says no")) : nil
        }
        let object = try object(ToolPolicyFlags.self, ["shop", "--sandbox-label", "app=shop"])
        await #expect { _ = try await Tools.Apply.apply(object, to: ClusterFixture.connection(fake), forces: false) } throws: {
            error in
            let failure = error as? CommandFailure
            return failure?.status == .refusedByPolicy && failure?.message.contains("policy says no") == true
        }
    }
}
