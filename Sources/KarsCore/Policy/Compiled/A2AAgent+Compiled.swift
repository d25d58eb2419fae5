extension A2AAgent.Spec {
    package static let cardFile = "agent.json"
    package static let trustFile = "trust.json"

    /// `agent.json`, the public card (A2A 1.0 §4.4), which the router signs, and `trust.json` with what is nobody else's business: the
    /// keys as anchors, what callers must prove, peers and policies (spec/a2a 4.6).
    package func compiled(name: String, namespace: String) throws(CompileFault) -> CompiledFiles {
        try requireSound()
        let card = card(name)
        let trust = trustDocument(name, namespace)
        return CompiledFiles(
            files: [
                Self.cardFile: String(decoding: card.encoded(pretty: true), as: UTF8.self),
                Self.trustFile: String(decoding: trust.encoded(pretty: true), as: UTF8.self),
            ], digest: nil, versionHash: try CompiledFiles.versionHash(of: ["card": card, "trust": trust]))
    }

    /// No required value is empty: readers exist that drop those before they check the signature (spec/a2a 5).
    private func card(_ name: String) -> JSON {
        func shown(_ text: String?) -> String { text.flatMap { $0.isEmpty ? nil : $0 } ?? name }
        let interfaces: [JSON] = ["1.0", "0.3"].map {
            ["url": .string(endpointUrl), "protocolBinding": "JSONRPC", "protocolVersion": .string($0)]
        }
        let tags = capabilities.isEmpty ? ["tasks"] : capabilities
        return [
            "name": .string(shown(displayName)), "description": .string(shown(description)), "version": "1.0.0",
            "supportedInterfaces": .array(interfaces),
            "capabilities": [
                "streaming": .bool(capabilities.contains("streaming")), "pushNotifications": false, "extendedAgentCard": false,
            ],
            "defaultInputModes": ["text/plain", "application/json"], "defaultOutputModes": ["text/plain", "application/json"],
            "skills": [
                [
                    "id": "tasks", "name": .string(shown(displayName)), "description": .string(shown(description)),
                    "tags": tags.json,
                ]
            ],
        ]
    }

    private func trustDocument(_ name: String, _ namespace: String) -> JSON {
        let peers = federation.map { peer -> JSON in
            [
                "label": .string(peer.label), "kind": peer.kind.json, "agentRef": .orNull(peer.agentRef),
                "endpointUrl": .orNull(peer.endpointUrl), "pinnedKid": .orNull(peer.pinnedKid),
            ]
        }
        let keys = signingKeys.map { key -> JSON in
            [
                "kid": .string(key.kid), "alg": key.alg.json, "publicKeyB64u": .string(key.publicKeyB64u),
                "notAfter": .orNull(key.notAfter),
            ]
        }
        return [
            "namespace": .string(namespace), "name": .string(name), "productionMode": .bool(productionMode),
            "signingKeys": .array(keys), "trust": .orNull(trust?.json), "federation": ["peers": .array(peers)],
            "policyRefs": .orNull(policyRefs?.json),
        ]
    }
}
