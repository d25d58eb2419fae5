/// The rules of the definition once more, for objects that did not pass an API server with this very definition: each of the rules in
/// CEL has its counterpart here, and a test runs both over the same manifests.
extension KarsSandbox {
    package func faults() -> [ResourceError] { (Self.fault(inName: name).map { [$0] } ?? []) + spec.faults() }
}

extension KarsSandbox.Spec {
    package func faults() -> [ResourceError] {
        var faults = keywordFaults(at: "spec")
        func require(_ holds: Bool, _ path: String, _ reason: String) {
            if !holds { faults.append(ResourceError(path, reason)) }
        }
        require(agent == nil || runtime.kind != .byo, "spec", Self.byoAgentRule)
        for kind in KarsSandbox.Runtime.Kind.allCases where !(kind == .native && runtime.kind == .native) {
            require(runtime.has(kind) == (runtime.kind == kind), "spec.runtime", KarsSandbox.Runtime.rule(kind))
        }
        for (member, code) in runtime.agentCodes {
            require((code.oci != nil) != (code.git != nil), "spec.runtime.\(member).agentCode", KarsSandbox.AgentCode.sourceRule)
        }
        for (index, variable) in (runtime.byo?.env ?? []).enumerated() {
            require(
                variable.value == nil || variable.valueFrom == nil, "spec.runtime.byo.env[\(index)]",
                KarsSandbox.Variable.valueRule)
        }
        require(
            sandbox.writablePaths.allSatisfy { path in
                !path.contains("/..") && !KarsSandbox.Posture.forbiddenPrefixes.contains { path.hasPrefix($0) }
            }, "spec.sandbox", KarsSandbox.Posture.writableRule)
        if let governance {
            let rules = KarsSandbox.Governance.self
            require(!governance.enabled || governance.toolPolicyRef != nil, "spec.governance", rules.policyRule)
            require(governance.mcpServerRef == nil || governance.mcpServerRefs.isEmpty, "spec.governance", rules.serversRule)
        }
        if let a2a {
            let isWhole = !a2a.allowedCallers.isEmpty && !a2a.advertisedSkills.isEmpty && a2a.expiresAt != nil
            require(!a2a.enabled || isWhole, "spec.a2a", KarsSandbox.A2A.enabledRule)
        }
        if let upstream = upstreamCompatibility {
            require(
                upstream.sigsAgentSandbox != .overlay || upstream.upstreamSandboxRef != nil, "spec.upstreamCompatibility",
                KarsSandbox.UpstreamCompatibility.overlayRule)
        }
        return faults
    }
}

extension KarsSandbox.Runtime {
    /// Every `agentCode` there is, with the member it is in.
    package var agentCodes: [(member: String, code: KarsSandbox.AgentCode)] {
        let all: [(String, KarsSandbox.AgentCode?)] = [
            ("openaiAgents", openaiAgents?.agentCode), ("microsoftAgentFramework", microsoftAgentFramework?.agentCode),
            ("semanticKernel", semanticKernel?.agentCode), ("langGraph", langGraph?.agentCode),
            ("anthropic", anthropic?.agentCode), ("pydanticAi", pydanticAi?.agentCode), ("hermes", hermes?.agentCode),
        ]
        return all.compactMap { member, code in code.map { (member, $0) } }
    }
}
