/// A one-time invitation to somebody's agent elsewhere, and what became of it.
package struct KarsPairing: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "KarsPairing", plural: "karspairings", shortName: "cp",
        summary: "An invitation to one agent elsewhere to hand work to this cluster.",
        columns: [
            .phase, .init("AMID", ".status.boundAmid"), .init("Budget", ".spec.tokenBudget", type: "integer"),
            .init("Ready", #".status.conditions[?(@.type=="Ready")].status"#), .age,
        ],
        spec: Spec.schema, status: Status.schema)

    package struct Spec: SchemaRecord {
        /// Never the secret itself.
        package var tokenHash = ""
        /// RFC 3339; of the invitation and of what it was turned into.
        package var expiresAt = ""
        package var slotsMax = 1
        package var tokenBudget = 500_000
        package var capabilities = ["offload", "handoff"]
        package var displayName: String?
        package var model: String?
        package var isolation: KarsSandbox.Posture.Isolation?

        package init() {}

        package static let summary = "Who may come, until when, and for how much."
        package static let fields: [SchemaField<Spec>] = [
            .required("tokenHash", \.tokenHash, "SHA-256 of the one-time secret, in lower-case hexadecimal digits.") {
                $0.with(\.maxLength, 64).matching("^[0-9a-f]{64}$")
            },
            .required("expiresAt", \.expiresAt, "When the invitation, and the pairing after it, ends.") {
                $0.with(\.format, "date-time").with(\.maxLength, 64)
            },
            .defaulted("slotsMax", \.slotsMax, "How many sandboxes at a time.") { $0.atLeast(1).atMost(100) },
            .defaulted("tokenBudget", \.tokenBudget, "How many tokens of models in all.") { $0.atLeast(0) },
            .defaulted("capabilities", \.capabilities, "What may be asked for.") {
                $0.with(\.maxItems, 16).with(
                    \.items, StructuralSchema.string.with(\.maxLength, 63).matching("^[a-z][a-z0-9-]*$"))
            },
            .optional("displayName", \.displayName, "For people.") { $0.plainText(1...256) },
            .optional("model", \.model, "The model that handed-over work uses.") {
                $0.with(\.minLength, 1).with(\.maxLength, 253)
            },
            .optional("isolation", \.isolation, "How strictly handed-over work is confined."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("self.tokenHash == oldSelf.tokenHash", message: "an invitation is for one secret: make another")
        ]

        /// What a server with this definition would refuse, of what can be seen without the object before.
        package func faults() -> [ResourceError] {
            var faults = keywordFaults(at: "spec")
            if !SchemaText.isPlain(displayName ?? "") {
                faults.append(ResourceError("spec.displayName", "only printable text, tabs and line ends"))
            }
            return faults
        }
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case pendingPairing = "PendingPairing", active = "Active", expired = "Expired", revoked = "Revoked"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var boundAmid: String?
        /// Base64.
        package var boundPubkeyEd25519: String?
        /// Times are RFC 3339.
        package var pairedAt: String?
        package var slotsUsed: Int?
        package var tokensUsed: Int?
        package var lastOffloadAt: String?
        package var offloadsCompleted: Int?
        package var offloadsFailed: Int?
        package var activeSandbox: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "Who came, and what they used."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "PendingPairing until somebody came, Active until it ends; or Revoked."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("boundAmid", \.boundAmid, "The agent that came."),
            .optional("boundPubkeyEd25519", \.boundPubkeyEd25519, "Its public key, in Base64."),
            .optional("pairedAt", \.pairedAt, "When it came.") { $0.with(\.format, "date-time") },
            .optional("slotsUsed", \.slotsUsed, "Sandboxes of it that exist.") { $0.atLeast(0) },
            .optional("tokensUsed", \.tokensUsed, "Tokens of models that it used.") { $0.atLeast(0) },
            .optional("lastOffloadAt", \.lastOffloadAt, "When it last handed work over.") { $0.with(\.format, "date-time") },
            .optional("offloadsCompleted", \.offloadsCompleted, "Work that was done.") { $0.atLeast(0) },
            .optional("offloadsFailed", \.offloadsFailed, "Work that was not.") { $0.atLeast(0) },
            .optional("activeSandbox", \.activeSandbox, "The sandbox it works in now."),
            [Condition].field(\.conditions),
        ]
    }
}
