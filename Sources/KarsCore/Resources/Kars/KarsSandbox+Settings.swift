extension KarsSandbox {
    /// How hard the sandbox is. The defaults are what production wants.
    package struct Posture: SchemaRecord {
        package enum Isolation: String, SchemaChoice { case standard, enhanced, confidential }

        package var isolation = Isolation.enhanced
        package var seccompProfile = "kars-strict"
        package var selinuxContext = ""
        package var readOnlyRootFilesystem = true
        package var runAsNonRoot = true
        package var allowPrivilegeEscalation = false
        package var writablePaths = ["/sandbox", "/tmp"]

        package init() {}

        package static let summary = "How hard the sandbox is."
        package static let fields: [SchemaField<Posture>] = [
            .defaulted(
                "isolation", \.isolation,
                "Standard: the runtime's own system call filter. Enhanced: ours. Confidential: a virtual machine."),
            .defaulted(
                "seccompProfile", \.seccompProfile,
                "Name of a system call filter that nodes have; empty or RuntimeDefault: the runtime's."
            ) {
                $0.with(\.maxLength, 128).matching("^[A-Za-z0-9][A-Za-z0-9._-]*$|^$")
            },
            .defaulted("selinuxContext", \.selinuxContext, "SELinux type of the containers; empty: the node's choice.") {
                $0.with(\.maxLength, 128).matching("^[A-Za-z0-9_.-]*$")
            },
            .defaulted("readOnlyRootFilesystem", \.readOnlyRootFilesystem, "Whether the agent sees its image read-only."),
            .defaulted("runAsNonRoot", \.runAsNonRoot, "Whether images that want to be root are refused."),
            .defaulted(
                "allowPrivilegeEscalation", \.allowPrivilegeEscalation, "Whether set-user-ID programs work for the agent."),
            .defaulted("writablePaths", \.writablePaths, "Where the agent may write; contents end with the pod.") {
                $0.with(\.maxItems, 16).with(\.items, StructuralSchema.string.with(\.maxLength, 255).matching(pathPattern))
            },
        ]
        private static let pathPattern = "^(/[A-Za-z0-9_.-]+)+$"
        package static let rules: [StructuralSchema.Rule] = [
            .init(
                "!has(self.writablePaths) || self.writablePaths.all(path, !path.contains('/..') && !path.startsWith('/etc') && !path.startsWith('/proc') && !path.startsWith('/sys') && !path.startsWith('/dev') && !path.startsWith('/opt/kars'))",
                message: writableRule)
        ]
        static let writableRule = "writable paths have no .. and are not below /etc, /proc, /sys, /dev or /opt/kars"
        /// By prefix, as the rule has them.
        static let forbiddenPrefixes = ["/etc", "/proc", "/sys", "/dev", "/opt/kars"]
    }

    package struct Agent: SchemaRecord {
        package enum Tool: String, SchemaChoice {
            case fileSearch = "file_search"
            case webSearch = "web_search"
            case codeInterpreter = "code_interpreter"
        }

        package var instructions: String?
        package var tools: [Tool] = []
        package var fileIds: [String] = []

        package init() {}

        package static let summary = "A prompt agent of the model provider."
        package static let fields: [SchemaField<Agent>] = [
            .optional("instructions", \.instructions, "What it is told.") { $0.with(\.maxLength, 65_536) },
            .collection("tools", \.tools, "Tools of the provider that it may use.") { $0.with(\.maxItems, 3) },
            .collection("fileIds", \.fileIds, "Files of the provider that it may read.") { $0.with(\.maxItems, 128) },
        ]
    }

    /// Which tools the agent may use, and whom it may talk to.
    package struct Governance: SchemaRecord {
        package enum RegistryMode: String, SchemaChoice { case local, global }

        package var enabled = true
        package var toolPolicyRef: ObjectReference?
        /// 0 to 1000.
        package var trustThreshold = 500
        package var trustedPeers: String?
        package var registryMode = RegistryMode.local
        package var mcpServerRef: ObjectReference?
        package var mcpServerRefs: [ObjectReference] = []

        package init() {}

        package static let summary = "Which tools the agent may use, and whom it may talk to."
        package static let fields: [SchemaField<Governance>] = [
            .defaulted("enabled", \.enabled, "Whether tools, trust and peers are governed."),
            .optional("toolPolicyRef", \.toolPolicyRef, "The ToolPolicy; required when enabled."),
            .defaulted("trustThreshold", \.trustThreshold, "Trust that a peer needs.") { $0.atLeast(0).atMost(1_000) },
            .optional(
                "trustedPeers", \.trustedPeers, "Peers that are trusted from the start: name:identity, separated by commas."
            ) {
                $0.with(\.maxLength, 8_192).matching("^[^[:cntrl:]]*$")
            },
            .defaulted("registryMode", \.registryMode, "Whether peers are looked up in this cluster or in all."),
            .optional("mcpServerRef", \.mcpServerRef, "Deprecated: mcpServerRefs with one entry."),
            .collection("mcpServerRefs", \.mcpServerRefs, "The McpServers that the agent may call.") {
                $0.with(\.maxItems, maxServers).with(\.listType, .map(keys: ["name"]))
            },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!self.enabled || has(self.toolPolicyRef)", message: policyRule),
            .init(
                "!(has(self.mcpServerRef) && has(self.mcpServerRefs) && size(self.mcpServerRefs) > 0)", message: serversRule),
        ]
        static let policyRule = "toolPolicyRef.name must be set when governance is enabled"
        static let serversRule = "mcpServerRef and mcpServerRefs cannot both be set"
        static let maxServers = 8

        /// Both ways of saying it.
        package var mcpServers: [String] { mcpServerRef.map { [$0.name] } ?? mcpServerRefs.map(\.name) }
    }

    package struct AzureService: SchemaRecord {
        package var service = ""
        package var account: String?
        package var permissions: [String] = []

        package init() {}

        package static let summary = "A service of Azure that the sandbox has an identity for."
        package static let fields: [SchemaField<AzureService>] = [
            .required("service", \.service, "For instance storage, ai-search, keyvault.") {
                $0.with(\.minLength, 1).with(\.maxLength, 63)
            },
            .optional("account", \.account, "Which account or instance of it.") { $0.with(\.maxLength, 253) },
            .collection("permissions", \.permissions, "What it may do there.") { $0.with(\.maxItems, 32) },
        ]
    }

    /// What the agent may reach besides its model.
    package struct Network: SchemaRecord {
        package enum EgressMode: String, SchemaChoice { case strict = "Strict", learn = "Learn" }

        package var defaultDeny = true
        package var egressMode = EgressMode.strict
        package var allowedEndpoints: [Endpoint] = []
        package var allowlistRef: OciArtifactRef?

        package init() {}

        package static let summary = "What the agent may reach besides its model."
        package static let fields: [SchemaField<Network>] = [
            .defaulted("defaultDeny", \.defaultDeny, "Always so; said for the reader.") { $0.with(\.enum, [true]) },
            .defaulted(
                "egressMode", \.egressMode, "Strict: what is not allowed is refused. Learn: it is let through and written down."),
            .collection("allowedEndpoints", \.allowedEndpoints, "What may be reached; not in force when allowlistRef is set.") {
                $0.with(\.maxItems, 256)
            },
            OciArtifactRef.field(
                "allowlistRef", \.allowlistRef, of: .egressAllowlist,
                "A signed list of what may be reached, instead of allowedEndpoints."),
        ]
    }

    package struct Endpoint: SchemaRecord {
        package var host = ""
        package var port = 443

        package init() {}

        package static let summary = "A host and a port."
        package static let fields: [SchemaField<Endpoint>] = [
            .required("host", \.host, "A host name.") {
                $0.with(\.minLength, 1).with(\.maxLength, 253).matching("^[^/[:space:]]+$")
            },
            .defaulted("port", \.port, "A TCP port.") { $0.atLeast(1).atMost(65_535) },
        ]
    }

    /// As a container has it.
    package struct Resources: SchemaRecord {
        package var requests: [String: Quantity] = [:]
        package var limits: [String: Quantity] = [:]

        package init() {}

        package static let summary = "What the agent container asks for and is limited to."
        package static let fields: [SchemaField<Resources>] = [
            .collection("requests", \.requests, "What a node must have free.") { $0.with(\.maxProperties, 16) },
            .collection("limits", \.limits, "What it never gets more of.") { $0.with(\.maxProperties, 16) },
        ]
    }
}

/// A quantity may be written as a number or as text: `2`, `500m`, `4Gi`.
extension Quantity: SchemaValue, ResourceValue {
    package static var schema: StructuralSchema {
        StructuralSchema.intOrString.with(\.format, "").matching(
            #"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"#)
    }

    package init(reading json: JSON, at path: String) throws(ResourceError) {
        guard let text = json.stringValue ?? json.intValue.map(String.init), let quantity = Quantity(text) else {
            throw ResourceError(path, "expected a quantity such as 500m or 1Gi")
        }
        self = quantity
    }

    package var json: JSON { .string(text) }
}
