/// Everything that an installation of kars consists of, in the order in which it is made.
package enum KarsManifests {
    /// The kinds of the group, as the reference lists them.
    package static let kinds: [KarsKind] = [
        KarsSandbox.definition, InferencePolicy.definition, ToolPolicy.definition, McpServer.definition, KarsMemory.definition,
        EgressApproval.definition, KarsSREAction.definition, A2AAgent.definition, KarsEval.definition, TrustGraph.definition,
        KarsAuthConfig.definition, KarsPairing.definition,
    ]

    package static func part(_ part: ManifestPart, _ config: ManifestConfig = ManifestConfig()) -> [Manifest] {
        switch part {
        case .definitions: kinds.map(\.manifest)
        case .access: AccessManifests.all(config)
        case .admission: AdmissionManifests.all(config)
        case .controller: ControllerManifests.all(config)
        case .defaults: DefaultManifests.all(config)
        case .sre: SREManifests.all(config)
        }
    }

    /// The namespace first: most of the rest is in it.
    package static func all(_ parts: [ManifestPart], _ config: ManifestConfig = ManifestConfig()) -> [Manifest] {
        let chosen = ManifestPart.allCases.filter(parts.contains)
        let needsNamespace = chosen.contains { $0 != .definitions && $0 != .admission }
        return (needsNamespace ? [ControllerManifests.namespace(config)] : []) + chosen.flatMap { part($0, config) }
    }
}
