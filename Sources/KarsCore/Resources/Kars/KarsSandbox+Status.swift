extension KarsSandbox {
    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            /// Accepted; something it needs is missing or not yet looked at.
            case pending = "Pending"
            /// Everything is applied; the pod does not serve yet.
            case creating = "Creating"
            /// The pod is available.
            case running = "Running"
            case failed = "Failed"
            case terminating = "Terminating"
            /// It cannot be made or kept as asked; the condition of that name says why.
            case degraded = "Degraded"
            /// Somebody else runs the pod.
            case overlay = "Overlay"
            case suspended = "Suspended"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        package var sandboxPod: String?
        package var namespace: String?
        package var inferenceEndpoint: String?
        package var runtimeKind: Runtime.Kind?
        package var tokensUsed: Tokens?
        package var foundryAgentId: String?
        package var agentIdentity: AgentIdentity?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "What is."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "In a word. Running means that the pod is available."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("sandboxPod", \.sandboxPod, "The pod, or whose it is."),
            .optional("namespace", \.namespace, "Where everything of this sandbox is."),
            .optional("inferenceEndpoint", \.inferenceEndpoint, "Where the router of this sandbox answers its operators."),
            .optional("runtimeKind", \.runtimeKind, "What runs."),
            .optional("tokensUsed", \.tokensUsed, "Tokens that were used."),
            .optional("foundryAgentId", \.foundryAgentId, "The provider's name of the prompt agent."),
            .optional("agentIdentity", \.agentIdentity, "The identity of the agent at its identity provider."),
            [Condition].field(\.conditions),
        ]
    }

    package struct Tokens: SchemaRecord {
        package var input: Int?
        package var output: Int?

        package init() {}

        package static let summary = "Tokens that were used."
        package static let fields: [SchemaField<Tokens>] = [
            .optional("input", \.input, "Of requests.") { $0.atLeast(0) },
            .optional("output", \.output, "Of answers.") { $0.atLeast(0) },
        ]
    }

    package struct AgentIdentity: SchemaRecord {
        package var appId = ""
        package var objectId = ""
        package var displayName = ""
        /// RFC 3339.
        package var createdAt: String?

        package init() {}

        package static let summary = "The identity of the agent at its identity provider."
        package static let fields: [SchemaField<AgentIdentity>] = [
            .required("appId", \.appId, "Its application."), .required("objectId", \.objectId, "Its object."),
            .required("displayName", \.displayName, "Its name."),
            .optional("createdAt", \.createdAt, "When it was made.") { $0.with(\.format, "date-time") },
        ]
    }
}
