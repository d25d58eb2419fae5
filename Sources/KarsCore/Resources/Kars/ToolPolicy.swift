/// What an agent may do: the AGT profile that its router enforces, with the limits of tools that cost money.
package struct ToolPolicy: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "ToolPolicy", plural: "toolpolicies", shortName: "tp",
        summary: "What agents may do with tools.",
        columns: [
            .init("Tool", ".spec.appliesTo.tool"), .init("DailyCap", ".spec.commerce.dailyCap"), .phase, .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    /// The policy of sandboxes that name none.
    package static let defaultName = "kars-default"

    package struct Spec: CheckedSpec {
        package var appliesTo = Scope()
        package var commerce: Commerce?
        package var rateLimit: RateLimit?
        package var approval: Approval?
        package var displayName: String?
        package var agtProfile: Profile?

        package init() {}

        package static let summary = "What is allowed, and to whom it applies."
        package static let fields: [SchemaField<Spec>] = [
            .required("appliesTo", \.appliesTo, "Tools and sandboxes that it is written for."),
            .optional("commerce", \.commerce, "Bounds of what may be spent."),
            .optional("rateLimit", \.rateLimit, "How often tools may be called."),
            .optional("approval", \.approval, "When a person has to agree."),
            .optional("displayName", \.displayName, "A name for people.") { $0.plain(256) },
            .optional("agtProfile", \.agtProfile, "The AGT governance profile."),
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            faults.require(!appliesTo.sandboxMatchLabels.isEmpty, "spec.appliesTo", Scope.labelsRule)
            faults.require(
                approval?.mode != .aboveThreshold || approval?.threshold != nil, "spec.approval", Approval.thresholdRule)
            faults.require(agtProfile?.inline == nil || agtProfile?.bundleRef == nil, "spec.agtProfile", Profile.sourceRule)
            return faults
        }
    }

    package struct Scope: SchemaRecord {
        /// `*` for all tools.
        package var tool: String?
        package var mcpServer: String?
        package var sandboxMatchLabels: [String: String] = [:]

        package init() {}

        static let labelsRule = "sandboxMatchLabels must name at least one label"
        package static let summary = "Tools and sandboxes that a policy is written for. Sandboxes choose a policy by name."
        package static let fields: [SchemaField<Scope>] = [
            .optional("tool", \.tool, "A tool's name; * for all.") { $0.lengths(1...253).matching(TextPattern.plain) },
            .optional("mcpServer", \.mcpServer, "The McpServer whose tools are meant.") {
                $0.lengths(1...253).matching(ObjectName.pattern)
            },
            .defaulted("sandboxMatchLabels", \.sandboxMatchLabels, "Labels of the sandboxes that are meant.") { $0.labels() },
        ]
        package static let rules: [StructuralSchema.Rule] = [.init("size(self.sandboxMatchLabels) > 0", message: labelsRule)]
    }

    package struct Commerce: SchemaRecord {
        package var dailyCap: String?
        package var monthlyCap: String?
        package var perTransferCap: String?
        package var counterpartyAllowlist: [String] = []

        package init() {}

        static let amountPattern = #"^[A-Z]{3} [0-9]{1,15}(\.[0-9]{1,4})?$"#
        package static let summary = "Bounds of what may be spent."
        package static let fields: [SchemaField<Commerce>] = [
            .optional("dailyCap", \.dailyCap, "Most that may be spent in a day, such as USD 100.00.") { amount($0) },
            .optional("monthlyCap", \.monthlyCap, "Most that may be spent in a month.") { amount($0) },
            .optional("perTransferCap", \.perTransferCap, "Most that may be spent at once.") { amount($0) },
            .defaulted("counterpartyAllowlist", \.counterpartyAllowlist, "Who may be paid; nobody when it is empty.") {
                $0.with(\.maxItems, 256).with(\.items, StructuralSchema.string.lengths(1...253).matching(TextPattern.plain))
            },
        ]

        private static func amount(_ schema: StructuralSchema) -> StructuralSchema {
            schema.with(\.maxLength, 24).matching(amountPattern)
        }
    }

    package struct RateLimit: SchemaRecord {
        package var rps: Int?
        package var burst: Int?
        package var window: String?

        package init() {}

        package static let summary = "How often tools may be called."
        package static let fields: [SchemaField<RateLimit>] = [
            .optional("rps", \.rps, "Calls in a second.") { $0.atLeast(0).atMost(4_294_967_295) },
            .optional("burst", \.burst, "Calls at once.") { $0.atLeast(0).atMost(4_294_967_295) },
            .optional("window", \.window, "The time in which calls are counted, such as 1m, 1h or 24h.") {
                $0.with(\.maxLength, 8).matching("^[1-9][0-9]{0,5}[smh]$")
            },
        ]
    }

    package struct Approval: SchemaRecord {
        package enum Mode: String, SchemaChoice { case never, always, aboveThreshold }

        package var mode: Mode?
        package var threshold: String?
        package var channel: String?

        package init() {}

        static let thresholdRule = "mode aboveThreshold needs a threshold"
        package static let summary = "When a person has to agree."
        package static let fields: [SchemaField<Approval>] = [
            .optional("mode", \.mode, "When a person has to agree."),
            .optional("threshold", \.threshold, "The amount above which a person has to agree, such as USD 10.00.") {
                $0.with(\.maxLength, 24).matching(Commerce.amountPattern)
            },
            .optional("channel", \.channel, "Where people are asked.") { $0.plain(253) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!has(self.mode) || self.mode != 'aboveThreshold' || has(self.threshold)", message: thresholdRule)
        ]
    }

    package struct Profile: SchemaRecord {
        /// YAML, as the router reads it.
        package var inline: String?
        package var bundleRef: OciArtifactRef?

        package init() {}

        static let sourceRule = "inline and bundleRef exclude each other"
        package static let summary = "Where the AGT governance profile comes from."
        package static let fields: [SchemaField<Profile>] = [
            .optional("inline", \.inline, "The profile itself, in YAML.") { $0.lengths(1...262_144) },
            OciArtifactRef.field("bundleRef", \.bundleRef, of: .agtProfile, "A signed profile in a registry."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!(has(self.inline) && has(self.bundleRef))", message: sourceRule)
        ]
    }

    package struct Status: SchemaRecord {
        package var phase: PolicyPhase?
        package var observedGeneration: Int?
        /// RFC 3339: when the digest changed last.
        package var lastCompiledAt: String?
        package var agtProfileDigest: String?
        package var loadedDigest: String?
        package var agtProfileBundleDigest: String?
        package var profileConfigMapRef: ObjectReference?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "What is compiled, and who enforces it."
        package static let fields: [SchemaField<Status>] = [
            PolicyPhase.field(\.phase),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("lastCompiledAt", \.lastCompiledAt, "When the digest changed last.") { $0.with(\.format, "date-time") },
            .optional(
                "agtProfileDigest", \.agtProfileDigest, "Digest of the published profile; the last good one while Degraded."),
            .optional("loadedDigest", \.loadedDigest, "The same digest once every router that needs it has echoed it."),
            .optional("agtProfileBundleDigest", \.agtProfileBundleDigest, "Digest of the signed document that was compiled."),
            .optional("profileConfigMapRef", \.profileConfigMapRef, "The ConfigMap that holds the compiled files."),
            [Condition].field(\.conditions),
        ]
    }
}
