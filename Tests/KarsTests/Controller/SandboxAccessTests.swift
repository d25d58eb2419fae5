import KarsCore
import Testing

@testable import Kars

/// Which rights come with a sandbox, and how they go.
@Suite struct `Rights of a sandbox` {
    private static func binding(_ plan: SandboxPlan, _ role: String) -> JSONObject? {
        plan.changes.changes.compactMap { $0.body?.objectValue }.first {
            $0["kind"] == "RoleBinding" && $0["roleRef"]?["name"]?.stringValue == role
        }
    }

    @Test func `it may make children where it was declared, and nowhere else`() throws {
        let plan = try SandboxFixture.plan(SandboxFixture.object())
        let binding = try #require(Self.binding(plan, "kars-sandbox-spawner"))
        #expect(binding.namespace == SandboxFixture.home && binding.name == "kars-spawner-research")
        #expect(binding["subjects"] == [["kind": "ServiceAccount", "name": "sandbox", "namespace": "kars-research"]])
        #expect(SandboxOwnership.owner(of: binding) == ObjectKey(namespace: SandboxFixture.home, name: "research"))
        #expect(!plan.changes.changes.contains { $0.body?["kind"] == "ClusterRoleBinding" })
    }

    @Test func `without a ToolPolicy that says what it may spawn it spawns nothing`() throws {
        let object = SandboxFixture.object { $0["governance"] = ["enabled": false] }
        #expect(Self.binding(try SandboxFixture.plan(object), "kars-sandbox-spawner") == nil)
        let owner = SandboxOwnership(object)
        func titles(_ binding: JSONObject) throws -> [String] {
            try SandboxFixture.plan(object) { $0.spawnerBinding = binding }.titles
        }
        #expect(try titles(SandboxAccess.spawnerBinding(owner)).contains("delete rolebindings/kars-spawner-research"))
        var others = SandboxAccess.spawnerBinding(owner)
        others.metadata["labels"] = [:]
        #expect(try !titles(others).contains("delete rolebindings/kars-spawner-research"))
    }

    @Test func `the right to make children goes with the sandbox`() {
        let object = SandboxFixture.object(), owner = SandboxOwnership(object)
        let reconciler = SandboxReconciler(settings: SandboxSettings())
        func cleanUp(_ binding: JSONObject?, _ namespace: JSONObject? = nil) -> [String] {
            let plan = reconciler.cleanUp(
                object, given: .leaving(namespace: namespace, spawnerBinding: binding), now: UTCTime(seconds: 0))
            return plan.changes.compactMap { request in
                guard case .object(let path) = request.target else { return nil }
                return "\(request.verb.word) \(path.resource.resource)/\(path.name ?? "")"
            }
        }
        let binding = SandboxAccess.spawnerBinding(owner)
        #expect(cleanUp(binding) == ["delete rolebindings/kars-spawner-research"])
        #expect(cleanUp(binding, SandboxAccess.namespace(owner)).last == "delete namespaces/kars-research")
        #expect(cleanUp(nil).isEmpty)
        #expect(cleanUp(["metadata": ["name": "kars-spawner-research"]]).isEmpty)
    }

    @Test func `the repair agent may propose, in its own namespace, and talks to no other agent`() throws {
        var object = SandboxFixture.object("sre")
        #expect(Self.binding(try SandboxFixture.plan(object), "kars-sre-action-author") == nil)
        object.metadata["labels"] = ["kars.azure.com/role": "sre"]
        let plan = try SandboxFixture.plan(object)
        #expect(Self.binding(plan, "kars-sre-action-author")?.namespace == "kars-sre")
        let rules = plan.made("NetworkPolicy")?["spec"]?["egress"]?.arrayValue ?? []
        #expect(!rules.isEmpty && rules.allSatisfy { !JSON.array([$0]).description.contains("agentmesh") })
        let others = try SandboxFixture.plan(SandboxFixture.object()).made("NetworkPolicy")?["spec"]?["egress"]
        #expect(others?.description.contains("agentmesh") == true)
    }

    @Test func `services of the cloud are noted on the account that the pod runs as`() throws {
        let object = SandboxFixture.object {
            $0["azureServices"] = [["service": "keyvault", "account": "vault", "permissions": ["get", "list"]]]
        }
        let plan = try SandboxFixture.plan(object)
        let account = try #require(plan.made("ServiceAccount"))
        #expect(account.annotations["kars.azure.com/service-0"] == "keyvault")
        #expect(account.annotations["kars.azure.com/service-0-permissions"] == "get,list")
        let pod = plan.made("Deployment")?["spec"]?["template"]?["spec"]
        #expect(pod?["serviceAccountName"]?.stringValue == account.name)
        #expect(plan.changes.changes.count { $0.body?["kind"] == "ServiceAccount" } == 1)
    }
}
