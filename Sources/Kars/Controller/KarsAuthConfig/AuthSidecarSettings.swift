import KarsCore

/// What the sidecar that fetches Entra tokens is told, as variables of its container (spec/controller 12). Nothing in it is secret.
enum AuthSidecarSettings {
    static let configMap = "kars-auth-sidecar-env"
    static let artifact = "auth-sidecar-env"
    /// Of everything the sidecar is told: whoever runs it starts it anew when this changes.
    static let hashAnnotation = "kars.azure.com/auth-config-spec-hash"
    static let blueprintAnnotation = "kars.azure.com/blueprint-client-id"
    /// Where the platform puts the token of a workload identity.
    static let assertionFile = "/var/run/secrets/azure/tokens/azure-identity-token"
    /// The mesh's name among the APIs that tokens are fetched for.
    static let mesh = "AgentMesh"
    /// The mesh is not called through the sidecar, which wants an address all the same: one that leads nowhere (RFC 2606 §2).
    static let nowhere = "https://agentmesh.invalid/"
    static let meshScope = "api://agentmesh/.default"

    static func variables(of spec: KarsAuthConfig.Spec) -> [String: String] {
        let credential = "AzureAd__ClientCredentials__0__"
        let host = spec.tenant.authorityHost
        var variables = [
            "AzureAd__TenantId": spec.tenant.tenantId, "AzureAd__Instance": host.hasSuffix("/") ? host : host + "/",
            "AzureAd__ClientId": spec.agentId.blueprintClientId,
        ]
        switch spec.controller.credentialMode {
        case .managedIdentityImds:
            variables[credential + "SourceType"] = "SignedAssertionFromManagedIdentity"
            variables[credential + "ManagedIdentityClientId"] = spec.controller.managedIdentityClientId
        case .workloadIdentity:
            variables[credential + "SourceType"] = "SignedAssertionFilePath"
            variables[credential + "SignedAssertionFileDiskPath"] = assertionFile
        }
        for (name, api) in apis(of: spec) {
            let prefix = "DownstreamApis__\(name)__"
            variables[prefix + "BaseUrl"] = api.baseUrl
            variables[prefix + "RequestAppToken"] = api.requestAppToken ? "true" : "false"
            for (index, scope) in api.scopes.enumerated() { variables[prefix + "Scopes__\(index)"] = scope }
        }
        return variables
    }

    /// With the mesh, when agents prove themselves to it by Entra and nobody has said how.
    private static func apis(of spec: KarsAuthConfig.Spec) -> [String: KarsAuthConfig.DownstreamAPI] {
        guard spec.meshAuthBackend == .entraAgentIdentity, spec.downstreamApis[mesh] == nil else { return spec.downstreamApis }
        var api = KarsAuthConfig.DownstreamAPI()
        api.baseUrl = nowhere
        api.scopes = [spec.meshAuthAudience ?? meshScope]
        return spec.downstreamApis.merging([mesh: api]) { own, _ in own }
    }

    /// The ConfigMap, which goes with the KarsAuthConfig that it is made from.
    static func object(of config: JSONObject, _ spec: KarsAuthConfig.Spec, in namespace: String) -> JSONObject {
        let variables = variables(of: spec)
        var data = JSONObject()
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) { data[name] = .string(value) }
        let digest = "sha256:" + Hex.encode(SHA256.hash(JSON.object(data).encoded()))
        let map = ConfigMap(
            metadata: ObjectMetadata(
                name: configMap, namespace: namespace,
                labels: [
                    CompiledArtifact.artifactLabel: artifact, CompiledArtifact.managerLabel: CompiledArtifact.manager,
                ],
                annotations: [hashAnnotation: digest, blueprintAnnotation: spec.agentId.blueprintClientId]),
            data: variables)
        var object = map.json.objectValue ?? JSONObject()
        object.metadata["ownerReferences"] = [config.controllerReference(KarsAuthConfig.kind)]
        return object
    }
}
