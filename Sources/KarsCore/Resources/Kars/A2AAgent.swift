/// What the world outside is told of an agent: where it is and with which keys it signs.
package struct A2AAgent: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "A2AAgent", plural: "a2aagents", shortName: "a2a",
        summary: "An agent as others see it.",
        columns: [
            .init("Endpoint", ".spec.endpointUrl"), .init("Production", ".spec.productionMode", type: "boolean"), .phase, .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    package struct Spec: CheckedSpec {
        package var endpointUrl = ""
        package var productionMode = false
        package var displayName: String?
        package var description: String?
        package var capabilities: [String] = []
        package var signingKeys: [SigningKey] = []
        package var trust: Trust?
        package var federation: [Peer] = []
        package var policyRefs: PolicyRefs?

        package init() {}

        static let httpsRule = "productionMode needs an https endpointUrl"
        package static let summary = "Address, keys and peers of an agent."
        package static let fields: [SchemaField<Spec>] = [
            .required("endpointUrl", \.endpointUrl, "Where the agent takes tasks; https in production.") {
                $0.lengths(1...2048).matching(Self.urlPattern)
            },
            .defaulted("productionMode", \.productionMode, "Whether it is meant for others than its makers."),
            .optional("displayName", \.displayName, "A name for people.") { $0.plain(256) },
            .optional("description", \.description, "What it does, for people.") {
                $0.with(\.maxLength, 2048).matching(TextPattern.prose)
            },
            .defaulted("capabilities", \.capabilities, "What it can do: tasks, streaming, cancel, mandates.") {
                $0.with(\.maxItems, 64).with(\.items, StructuralSchema.string.lengths(1...64).matching("^[!-~]+$"))
            },
            .required("signingKeys", \.signingKeys, "The keys it signs with.") {
                $0.counts(1...16).with(\.listType, .map(keys: ["kid"]))
            },
            .optional("trust", \.trust, "What it asks of those who call."),
            .defaulted("federation", \.federation, "Agents that it works with.") { $0.with(\.maxItems, 64) },
            .optional("policyRefs", \.policyRefs, "Policies that its calls are under."),
        ]
        /// Absolute, with a host; no user and no fragment.
        static let urlPattern = "^https?://[A-Za-z0-9.:_\\[\\]-]+([/?][!-\"$-~]*)?$"
        package static let rules: [StructuralSchema.Rule] = [
            .init("!self.productionMode || self.endpointUrl.startsWith('https://')", message: httpsRule)
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            faults.require(!productionMode || endpointUrl.hasPrefix("https://"), "spec", Self.httpsRule)
            for (index, peer) in federation.enumerated() {
                faults.require(peer.isWhole, "spec.federation[\(index)]", Peer.kindRule)
            }
            return faults
        }
    }

    package struct SigningKey: SchemaRecord {
        package var kid = ""
        package var alg = SignatureAlgorithm.edDSA
        package var publicKeyB64u = ""
        /// Unix seconds.
        package var notAfter: Int?

        package init() {}

        package static let summary = "A key that cards and messages are signed with."
        package static let fields: [SchemaField<SigningKey>] = [
            .required("kid", \.kid, "Its name, unique within the agent.") { $0.lengths(1...128).matching("^[!-~]+$") },
            .required("alg", \.alg, "The signature algorithm."),
            .required("publicKeyB64u", \.publicKeyB64u, "The public key, 32 bytes in base64url without padding.") {
                $0.lengths(43...43).matching(TextPattern.ed25519PublicKey)
            },
            .optional("notAfter", \.notAfter, "When it ends, in Unix seconds.") { $0.atLeast(0).atMost(253_402_300_799) },
        ]
    }

    package struct Trust: SchemaRecord {
        package var requireSignedRequests = false
        package var minSignaturesRequired: Int?
        package var maxClockSkewSeconds: Int?

        package init() {}

        package static let summary = "What an agent asks of those who call."
        package static let fields: [SchemaField<Trust>] = [
            .defaulted("requireSignedRequests", \.requireSignedRequests, "Whether requests must be signed."),
            .optional("minSignaturesRequired", \.minSignaturesRequired, "How many signatures a card needs.") {
                $0.atLeast(0).atMost(16)
            },
            .optional("maxClockSkewSeconds", \.maxClockSkewSeconds, "How far clocks may be apart, in seconds.") {
                $0.atLeast(0).atMost(86_400)
            },
        ]
    }

    package struct Peer: SchemaRecord {
        package enum Kind: String, SchemaChoice { case inCluster = "in-cluster", external }

        package var label = ""
        package var kind = Kind.inCluster
        package var agentRef: String?
        package var endpointUrl: String?
        package var pinnedKid: String?

        package init() {}

        static let kindRule = "in-cluster peers have agentRef alone, external ones endpointUrl and pinnedKid without agentRef"
        package static let summary = "An agent that this one works with."
        package static let fields: [SchemaField<Peer>] = [
            .required("label", \.label, "What it is called here.") { $0.lengths(1...128).matching(TextPattern.plain) },
            .required("kind", \.kind, "Whether it is in the same namespace or outside."),
            .optional("agentRef", \.agentRef, "An A2AAgent in the same namespace.") {
                $0.lengths(1...253).matching(ObjectName.pattern)
            },
            .optional("endpointUrl", \.endpointUrl, "Where it takes tasks.") { $0.lengths(1...2048).matching(Spec.urlPattern) },
            .optional("pinnedKid", \.pinnedKid, "The key that its card must be signed with.") {
                $0.lengths(1...128).matching("^[!-~]+$")
            },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                """
                self.kind == 'in-cluster' ? has(self.agentRef) && !has(self.endpointUrl) && !has(self.pinnedKid) \
                : !has(self.agentRef) && has(self.endpointUrl) && has(self.pinnedKid)
                """, message: kindRule)
        ]

        var isWhole: Bool {
            switch kind {
            case .inCluster: agentRef != nil && endpointUrl == nil && pinnedKid == nil
            case .external: agentRef == nil && endpointUrl != nil && pinnedKid != nil
            }
        }
    }

    package struct PolicyRefs: SchemaRecord {
        package var toolPolicy: String?

        package init() {}

        package static let summary = "Policies by name."
        package static let fields: [SchemaField<PolicyRefs>] = [
            .optional("toolPolicy", \.toolPolicy, "A ToolPolicy in the same namespace.") {
                $0.lengths(1...253).matching(ObjectName.pattern)
            }
        ]
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case pending = "Pending", ready = "Ready", degraded = "Degraded", unknown = "Unknown"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var agentCardConfigMapRef: ObjectReference?
        package var versionHash: String?
        /// RFC 3339: when the card changed last.
        package var lastCompiledAt: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "Whether the card is published."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Ready once the card is published."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("agentCardConfigMapRef", \.agentCardConfigMapRef, "The ConfigMap that holds the card."),
            .optional("versionHash", \.versionHash, "Hash of the card's meaning."),
            .optional("lastCompiledAt", \.lastCompiledAt, "When the card changed last.") { $0.with(\.format, "date-time") },
            [Condition].field(\.conditions),
        ]
    }
}
