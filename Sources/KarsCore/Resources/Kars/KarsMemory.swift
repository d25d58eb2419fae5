/// Where an agent's memories are kept, and which of them are its own.
package struct KarsMemory: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "KarsMemory", plural: "karsmemories", shortName: "cmem",
        summary: "Where an agent's memories are kept.",
        columns: [
            .init("Sandbox", ".spec.sandboxRef.name"), .init("Store", ".spec.storeName"), .init("Scope", ".spec.scope"), .phase,
            .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    package struct Spec: CheckedSpec {
        package var sandboxRef = ObjectReference()
        package var storeName: String?
        package var scope: String?
        package var retentionDays: Int?
        /// Absent: true.
        package var deleteOnSandboxDelete: Bool?
        package var displayName: String?
        package var bundleRef: OciArtifactRef?

        package init() {}

        static let storePattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
        static let scopePattern = "^[A-Za-z0-9_./%+@-]+$"
        static let contentRule = "storeName and scope are required without bundleRef"
        static let bundleRule =
            "bundleRef excludes storeName, scope, retentionDays, deleteOnSandboxDelete and displayName"
        package static let summary = "A memory store and a scope in it."
        package static let fields: [SchemaField<Spec>] = [
            .required("sandboxRef", \.sandboxRef, "The sandbox whose memories these are."),
            .optional("storeName", \.storeName, "The memory store.") { $0.lengths(1...63).matching(storePattern) },
            .optional("scope", \.scope, "The part of the store that the agent sees.") {
                $0.lengths(1...256).matching(scopePattern)
            },
            .optional("retentionDays", \.retentionDays, "How long memories are kept, in days.") {
                $0.atLeast(1).atMost(4_294_967_295)
            },
            .optional(
                "deleteOnSandboxDelete", \.deleteOnSandboxDelete, "Whether memories end with the sandbox; true when absent."),
            .optional("displayName", \.displayName, "A name for people.") { $0.plain(256) },
            OciArtifactRef.field("bundleRef", \.bundleRef, of: .memoryBinding, "A signed binding in a registry."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("has(self.bundleRef) || (has(self.storeName) && has(self.scope))", message: contentRule),
            .init(
                """
                !has(self.bundleRef) || !(has(self.storeName) || has(self.scope) || has(self.retentionDays) \
                || has(self.deleteOnSandboxDelete) || has(self.displayName))
                """, message: bundleRule),
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            faults.require(bundleRef != nil || (storeName != nil && scope != nil), "spec", Self.contentRule)
            let hasContent =
                storeName != nil || scope != nil || retentionDays != nil || deleteOnSandboxDelete != nil || displayName != nil
            faults.require(bundleRef == nil || !hasContent, "spec", Self.bundleRule)
            return faults
        }
    }

    package struct Status: SchemaRecord {
        package var phase: PolicyPhase?
        package var observedGeneration: Int?
        package var bindingConfigMapRef: ObjectReference?
        package var versionHash: String?
        package var compiledDigest: String?
        package var loadedDigest: String?
        package var bundleRefDigest: String?
        /// RFC 3339: when the digest changed last.
        package var lastReconciledAt: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "What is compiled, and who enforces it."
        package static let fields: [SchemaField<Status>] = [
            PolicyPhase.field(\.phase),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("bindingConfigMapRef", \.bindingConfigMapRef, "The ConfigMap that holds the compiled file."),
            .optional("versionHash", \.versionHash, "Hash of the binding's meaning."),
            .optional("compiledDigest", \.compiledDigest, "Digest of the published file; the last good one while Failed."),
            .optional("loadedDigest", \.loadedDigest, "The same digest once every router that needs it has echoed it."),
            .optional("bundleRefDigest", \.bundleRefDigest, "Digest of the signed document that was compiled."),
            .optional("lastReconciledAt", \.lastReconciledAt, "When the digest changed last.") { $0.with(\.format, "date-time") },
            [Condition].field(\.conditions),
        ]
    }
}
