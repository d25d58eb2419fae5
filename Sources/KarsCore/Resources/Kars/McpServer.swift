/// A server of tools that agents may call through their router, and whose tokens it accepts.
package struct McpServer: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "McpServer", plural: "mcpservers", shortName: "mcp",
        summary: "A server of tools that agents may call.",
        columns: [
            .init("URL", ".spec.url"), .init("Production", ".spec.productionMode", type: "boolean"), .phase, .age,
        ],
        spec: Spec.schema, status: Status.schema, rules: [CompiledName.rule])

    package struct Spec: CheckedSpec {
        package var url: String?
        package var oauth: OAuth?
        /// Absent: false.
        package var productionMode: Bool?
        package var scopes: [String]?
        /// Nothing when absent or empty; `*` for all.
        package var allowedTools: [String]?
        package var allowedSandboxes: AllowedSandboxes?
        package var displayName: String?
        package var bearerFromEnv: String?
        package var bundleRef: OciArtifactRef?

        package init() {}

        static let issuerRule = "productionMode needs oauth.issuer"
        static let httpsRule = "productionMode needs an https url"
        static let bundleRule = "bundleRef excludes url, oauth, productionMode, scopes, allowedTools and displayName"
        package static let summary = "Where the server is, who may call it, and with which proof."
        package static let fields: [SchemaField<Spec>] = [
            .optional("url", \.url, "Address of the server; https in production.") {
                $0.lengths(1...2048).matching("^https?://[!-~]+$")
            },
            .optional("oauth", \.oauth, "Who issues the tokens that callers bring."),
            .optional("productionMode", \.productionMode, "Whether callers must prove themselves; false when absent."),
            .optional("scopes", \.scopes, "What a caller's token must allow.") {
                $0.with(\.maxItems, 64).with(\.items, StructuralSchema.string.lengths(1...256).matching("^[!#-[\\]-~]+$"))
            },
            .optional("allowedTools", \.allowedTools, "Tools that agents may call: none when absent, * for all.") {
                $0.with(\.maxItems, 512).with(\.items, StructuralSchema.string.lengths(1...253).matching(TextPattern.plain))
            },
            .optional(
                "allowedSandboxes", \.allowedSandboxes, "Sandboxes that may use the server; all of the namespace when absent."),
            .optional("displayName", \.displayName, "A name for people.") { $0.plain(256) },
            .optional(
                "bearerFromEnv", \.bearerFromEnv, "Variable of the router that holds what it proves itself to the server with."
            ) {
                $0.lengths(1...128).matching("^[A-Za-z_][A-Za-z0-9_]*$")
            },
            OciArtifactRef.field("bundleRef", \.bundleRef, of: .mcpServerBundle, "A signed description in a registry."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                """
                has(self.bundleRef) || !has(self.productionMode) || !self.productionMode \
                || (has(self.oauth) && size(self.oauth.issuer) > 0)
                """, message: issuerRule),
            .init(
                """
                has(self.bundleRef) || !has(self.productionMode) || !self.productionMode \
                || (has(self.url) && self.url.startsWith('https://'))
                """, message: httpsRule),
            .init(
                """
                !has(self.bundleRef) || !(has(self.url) || has(self.oauth) || has(self.productionMode) || has(self.scopes) \
                || has(self.allowedTools) || has(self.displayName))
                """, message: bundleRule),
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            if bundleRef == nil, productionMode == true {
                faults.require(oauth?.issuer.isEmpty == false, "spec", Self.issuerRule)
                faults.require(url?.hasPrefix("https://") == true, "spec", Self.httpsRule)
            }
            let hasContent =
                url != nil || oauth != nil || productionMode != nil || scopes != nil || allowedTools != nil || displayName != nil
            faults.require(bundleRef == nil || !hasContent, "spec", Self.bundleRule)
            return faults
        }

        /// Whether a sandbox with these labels may use the server.
        package func admits(sandboxLabels: [String: String]) -> Bool {
            (allowedSandboxes?.matchLabels ?? [:]).allSatisfy { sandboxLabels[$0.key] == $0.value }
        }
    }

    package struct OAuth: SchemaRecord {
        package enum ProofKey: String, SchemaChoice { case s256 = "S256" }

        package var issuer = ""
        package var audience: String?
        package var resource: String?
        package var pkce = ProofKey.s256

        package init() {}

        package static let summary = "An issuer of tokens (OpenID Connect Discovery)."
        package static let fields: [SchemaField<OAuth>] = [
            .required("issuer", \.issuer, "The issuer, as its tokens name it.") {
                $0.lengths(1...2048).matching("^https://[!-~]+$")
            },
            .optional("audience", \.audience, "Whom tokens must be for.") { $0.lengths(1...512).matching(TextPattern.plain) },
            .optional("resource", \.resource, "The resource that tokens must be for (RFC 8707).") {
                $0.lengths(1...2048).matching(TextPattern.plain)
            },
            .defaulted("pkce", \.pkce, "How codes are proven (RFC 7636)."),
        ]
    }

    package struct AllowedSandboxes: SchemaRecord {
        package var matchLabels: [String: String] = [:]

        package init() {}

        package static let summary = "Sandboxes by their labels."
        package static let fields: [SchemaField<AllowedSandboxes>] = [
            .defaulted("matchLabels", \.matchLabels, "Labels that a sandbox must have, all of them.") { $0.labels() }
        ]
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case pending = "Pending", ready = "Ready", degraded = "Degraded", unknown = "Unknown"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        /// RFC 3339: when the issuer's keys changed last.
        package var lastProbedAt: String?
        package var versionHash: String?
        package var jwksConfigMapRef: ObjectReference?
        package var bundleRefDigest: String?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "Whether routers have what they need of the server."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Ready once keys and address are published."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("lastProbedAt", \.lastProbedAt, "When the issuer's keys changed last.") { $0.with(\.format, "date-time") },
            .optional("versionHash", \.versionHash, "Hash of keys and address."),
            .optional("jwksConfigMapRef", \.jwksConfigMapRef, "The ConfigMap that holds keys and address."),
            .optional("bundleRefDigest", \.bundleRefDigest, "Digest of the signed document that was compiled."),
            [Condition].field(\.conditions),
        ]
    }
}
