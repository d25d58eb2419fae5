/// Who vouches for whom, how much, and until when; each edge is signed by the one who vouches.
package struct TrustGraph: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "TrustGraph", plural: "trustgraphs", shortName: "tg", scope: .cluster,
        summary: "Who vouches for whom.",
        columns: [
            .phase, .init("Vertices", ".status.validVertices", type: "integer"),
            .init("ValidEdges", ".status.validEdges", type: "integer"),
            .init("InvalidEdges", ".status.invalidEdges", type: "integer"), .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    /// Names of vertices: they are signed with line ends between them, so they may hold none, nor any other control character, or two
    /// edges could have one signature.
    static let idPattern = #"^[^\x00-\x1f\x7f]+$"#

    package struct Spec: CheckedSpec {
        package var vertices: [Vertex] = []
        package var edges: [Edge] = []

        package init() {}

        package static let summary = "Agents and what they think of each other."
        package static let fields: [SchemaField<Spec>] = [
            .required("vertices", \.vertices, "Agents and their keys.") {
                $0.counts(1...512).with(\.listType, .map(keys: ["id"]))
            },
            .defaulted("edges", \.edges, "Who vouches for whom.") { $0.with(\.maxItems, 2048) },
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            for (index, edge) in edges.enumerated() {
                faults.require(edge.notAfter.map { $0 >= edge.issuedAt } ?? true, "spec.edges[\(index)]", Edge.expiryRule)
            }
            return faults
        }
    }

    package struct Vertex: SchemaRecord {
        package var id = ""
        package var alg = SignatureAlgorithm.edDSA
        package var publicKeyB64u = ""
        package var label: String?

        package init() {}

        package static let summary = "An agent and its key."
        package static let fields: [SchemaField<Vertex>] = [
            .required("id", \.id, "Its name, unique in the graph.") { $0.lengths(1...253).matching(idPattern) },
            .required("alg", \.alg, "The signature algorithm."),
            .required("publicKeyB64u", \.publicKeyB64u, "The public key, 32 bytes in base64url without padding.") {
                $0.lengths(43...43).matching(TextPattern.ed25519PublicKey)
            },
            .optional("label", \.label, "A name for people.") { $0.plain(256) },
        ]
    }

    package struct Edge: SchemaRecord {
        package var from = ""
        package var to = ""
        /// 0...1000.
        package var score = 0
        /// Unix seconds.
        package var issuedAt = 0
        /// Unix seconds.
        package var notAfter: Int?
        package var signature = ""
        /// Not signed.
        package var reason: String?

        package init() {}

        static let expiryRule = "notAfter must not be before issuedAt"
        package static let summary = "One agent vouches for another."
        package static let fields: [SchemaField<Edge>] = [
            .required("from", \.from, "Who vouches.") { $0.lengths(1...253).matching(idPattern) },
            .required("to", \.to, "For whom.") { $0.lengths(1...253).matching(idPattern) },
            .required("score", \.score, "How much, from 0 to 1000.") { $0.atLeast(0).atMost(1000) },
            .required("issuedAt", \.issuedAt, "Since when, in Unix seconds.") { $0.atLeast(0).atMost(253_402_300_799) },
            .optional("notAfter", \.notAfter, "Until when, in Unix seconds.") { $0.atLeast(0).atMost(253_402_300_799) },
            .required("signature", \.signature, "Signature by the key of `from`, 64 bytes in base64url without padding.") {
                $0.lengths(86...86).matching(TextPattern.ed25519Signature)
            },
            .optional("reason", \.reason, "Why, for people; not signed.") { $0.plain(512) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!has(self.notAfter) || self.notAfter >= self.issuedAt", message: expiryRule)
        ]
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice { case pending = "Pending", ready = "Ready", degraded = "Degraded" }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var validVertices: Int?
        package var validEdges: Int?
        package var invalidEdges: Int?
        package var versionHash: String?
        package var projectionConfigMapRef: ObjectReference?
        /// RFC 3339: when the compiled graph changed last.
        package var lastReconciledAt: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "What of the graph holds."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Ready once the compiled graph is published."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("validVertices", \.validVertices, "Agents with a usable key."),
            .optional("validEdges", \.validEdges, "Edges that hold now."),
            .optional("invalidEdges", \.invalidEdges, "Edges that do not."),
            .optional("versionHash", \.versionHash, "Hash of what holds."),
            .optional("projectionConfigMapRef", \.projectionConfigMapRef, "The ConfigMap that holds the compiled graph."),
            .optional("lastReconciledAt", \.lastReconciledAt, "When the compiled graph changed last.") {
                $0.with(\.format, "date-time")
            },
            [Condition].field(\.conditions),
        ]
    }
}
