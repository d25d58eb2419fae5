/// How a sandbox deals with what is outside it: agents that give it tasks, other operators' sandboxes, the mesh.
extension KarsSandbox {
    package struct A2A: SchemaRecord {
        package var enabled = false
        package var allowedCallers: [Caller] = []
        /// RFC 3339.
        package var expiresAt: String?
        package var advertisedSkills: [Skill] = []
        /// 0 to 1000.
        package var minimumTrustScore = 700
        package var rateLimit: RateLimit?
        package var bodyCapBytes = 1_048_576
        package var sessionMaxSeconds = 60
        package var allowStreaming = false
        package var agentRef: ObjectReference?

        package init() {}

        package static let summary = "Who outside may give this agent tasks."
        package static let fields: [SchemaField<A2A>] = [
            .defaulted("enabled", \.enabled, "Whether anybody may."),
            .collection("allowedCallers", \.allowedCallers, "Who may; nobody else.") { $0.with(\.maxItems, 64) },
            .optional("expiresAt", \.expiresAt, "When it ends, at most 30 days ahead.") { $0.with(\.format, "date-time") },
            .collection("advertisedSkills", \.advertisedSkills, "What the agent says it can do.") { $0.with(\.maxItems, 64) },
            .defaulted("minimumTrustScore", \.minimumTrustScore, "Trust that a caller needs.") { $0.atLeast(0).atMost(1_000) },
            .optional("rateLimit", \.rateLimit, "How often one caller may call."),
            .defaulted("bodyCapBytes", \.bodyCapBytes, "Bytes that a task may have.") { $0.atLeast(1).atMost(4_194_304) },
            .defaulted("sessionMaxSeconds", \.sessionMaxSeconds, "Seconds that a task may take.") { $0.atLeast(1).atMost(600) },
            .defaulted("allowStreaming", \.allowStreaming, "Whether answers may come as a stream."),
            .optional("agentRef", \.agentRef, "The A2AAgent whose card is shown. Absent: the one of the sandbox's name."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                "!self.enabled || (has(self.allowedCallers) && size(self.allowedCallers) > 0 && has(self.advertisedSkills) && size(self.advertisedSkills) > 0 && has(self.expiresAt))",
                message: enabledRule)
        ]
        static let enabledRule = "a2a needs allowedCallers, advertisedSkills and expiresAt when it is enabled"

        package struct Caller: SchemaRecord {
            package var displayName: String?
            package var jwsThumbprint = ""
            package var issuer: String?
            package var subject: String?
            /// RFC 3339.
            package var expiresAt: String?

            package init() {}

            package static let summary = "A caller, by its key."
            package static let fields: [SchemaField<Caller>] = [
                .optional("displayName", \.displayName, "For people.") { $0.with(\.maxLength, 253) },
                .required(
                    "jwsThumbprint", \.jwsThumbprint,
                    "Thumbprint of its key (RFC 7638): 43 characters of base64url, or sha256: and these or 64 hexadecimal digits."
                ) {
                    $0.with(\.maxLength, 71).matching("^([A-Za-z0-9_-]{43}|sha256:([a-f0-9]{64}|[A-Za-z0-9_-]{43}))$")
                },
                .optional("issuer", \.issuer, "Where its card is published.") { $0.with(\.maxLength, 2_048) },
                .optional("subject", \.subject, "The name that its statements must have.") { $0.with(\.maxLength, 512) },
                .optional("expiresAt", \.expiresAt, "When it may no longer.") { $0.with(\.format, "date-time") },
            ]
        }

        package struct Skill: SchemaRecord {
            package var name = ""
            package var description: String?

            package init() {}

            package static let summary = "Something the agent can do."
            package static let fields: [SchemaField<Skill>] = [
                .required("name", \.name, "Its name.") { $0.with(\.minLength, 1).with(\.maxLength, 128) },
                .optional("description", \.description, "For callers.") { $0.with(\.maxLength, 4_096) },
            ]
        }

        package struct RateLimit: SchemaRecord {
            package var rpm: Int?
            package var burst: Int?

            package init() {}

            package static let summary = "How often one caller may call."
            package static let fields: [SchemaField<RateLimit>] = [
                .optional("rpm", \.rpm, "Tasks in a minute.") { $0.atLeast(1).atMost(100_000) },
                .optional("burst", \.burst, "Tasks at once.") { $0.atLeast(1).atMost(100_000) },
            ]
        }
    }

    /// Life beside sandboxes of the agent-sandbox project.
    package struct UpstreamCompatibility: SchemaRecord {
        package enum Mode: String, SchemaChoice { case unset = "", off, observe, translate, overlay }

        package var sigsAgentSandbox = Mode.unset
        package var upstreamSandboxRef: ObjectReference?
        package var aiConformanceReference: Bool?

        package init() {}

        package static let summary = "Life beside sandboxes of the agent-sandbox project."
        package static let fields: [SchemaField<UpstreamCompatibility>] = [
            .defaulted(
                "sigsAgentSandbox", \.sigsAgentSandbox, "Overlay: somebody else runs the pod, kars brings everything around it."),
            .optional("upstreamSandboxRef", \.upstreamSandboxRef, "The other project's sandbox; required for overlay."),
            .optional("aiConformanceReference", \.aiConformanceReference, "Kept for those who look for it."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("self.sigsAgentSandbox != 'overlay' || has(self.upstreamSandboxRef)", message: overlayRule)
        ]
        static let overlayRule = "overlay needs upstreamSandboxRef"
    }

    /// How the sandbox proves itself to the mesh.
    package struct MeshAuth: SchemaRecord {
        package enum Mode: String, SchemaChoice { case auto, agentID = "agent-id", anonymous }

        package var mode = Mode.auto
        /// Set to name to value.
        package var customSecurityAttributes: [String: [String: String]] = [:]

        package init() {}

        package static let summary = "How the sandbox proves itself to the mesh."
        package static let fields: [SchemaField<MeshAuth>] = [
            .defaulted("mode", \.mode, "Auto: with an identity when there is one."),
            .collection("customSecurityAttributes", \.customSecurityAttributes, "Attributes of the identity, by set and name.") {
                $0.with(\.maxProperties, 16)
            },
        ]
    }
}
