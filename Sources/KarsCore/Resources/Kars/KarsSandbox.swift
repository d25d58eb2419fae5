/// One agent in its sandbox: what runs, which model and policies it has, and what it may reach (crds 1).
package struct KarsSandbox: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "KarsSandbox", plural: "karssandboxes", shortName: "cs",
        summary: "An AI agent in a hardened sandbox of its own.",
        columns: [
            .phase, .init("Runtime", ".spec.runtime.kind"), .init("InferencePolicy", ".spec.inferenceRef.name"),
            .init("Isolation", ".spec.sandbox.isolation"),
            .init("Allowlist", ".status.conditions[?(@.type==\"AllowlistAuthoritative\")].status", priority: 1), .age,
        ],
        spec: Spec.schema, status: Status.schema,
        rules: [
            .init(
                "size(self.metadata.name) <= \(maxNameLength)",
                message: "a sandbox's name has at most \(maxNameLength) characters"),
            .init("self.metadata.name.matches('\(namePattern)')", message: nameRule),
        ])

    /// The namespace of a sandbox is `kars-` and its name, and has at most 63 characters.
    package static let maxNameLength = 58
    /// It is also the name of a Service, which begins with a letter and has no dots (DNS-1035).
    package static let namePattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
    private static let nameRule =
        "a sandbox's name is of lower-case letters, digits and hyphens, begins with a letter and ends with no hyphen"

    /// What is wrong with a name, or nil.
    package static func fault(inName name: String) -> ResourceError? {
        let isWord = name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
        guard isWord, let first = name.utf8.first, first >= UInt8(ascii: "a"), name.utf8.last != UInt8(ascii: "-") else {
            return ResourceError("metadata.name", nameRule)
        }
        return name.utf8.count > maxNameLength
            ? ResourceError("metadata.name", "a sandbox's name has at most \(maxNameLength) characters") : nil
    }

    package struct Spec: SchemaRecord {
        package var runtime = Runtime()
        package var sandbox = Posture()
        package var inferenceRef = ObjectReference()
        package var memoryRef: ObjectReference?
        package var agent: Agent?
        package var governance: Governance?
        package var azureServices: [AzureService] = []
        package var networkPolicy: Network?
        package var resources: Resources?
        package var a2a: A2A?
        package var upstreamCompatibility: UpstreamCompatibility?
        package var meshAuth: MeshAuth?
        package var suspended: Bool?

        package init() {}

        package static let summary = "What runs, with which model and policies, and what it may reach."
        package static let fields: [SchemaField<Spec>] = [
            .required("runtime", \.runtime, "What runs in the agent container."),
            .required("sandbox", \.sandbox, "How hard the sandbox is."),
            .required("inferenceRef", \.inferenceRef, "The InferencePolicy: models, budgets, content safety."),
            .optional("memoryRef", \.memoryRef, "The KarsMemory that the agent remembers with."),
            .optional("agent", \.agent, "A prompt agent of the model provider."),
            .optional(
                "governance", \.governance, "Tool policy, trust and peers. Absent: the ToolPolicy kars-default is in force."),
            .collection("azureServices", \.azureServices, "Services of Azure that the sandbox has an identity for.") {
                $0.with(\.maxItems, 32)
            },
            .optional("networkPolicy", \.networkPolicy, "What the agent may reach. Absent: only what its policies allow."),
            .optional("resources", \.resources, "What the agent container asks for and is limited to."),
            .optional("a2a", \.a2a, "Who outside may give this agent tasks."),
            .optional("upstreamCompatibility", \.upstreamCompatibility, "Life beside sandboxes of the agent-sandbox project."),
            .optional("meshAuth", \.meshAuth, "How the sandbox proves itself to the mesh."),
            .optional("suspended", \.suspended, "True: everything is kept and nothing runs."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("!(has(self.agent) && self.runtime.kind == 'BYO')", message: byoAgentRule)
        ]
        static let byoAgentRule = "agent cannot be set when runtime.kind is BYO"
    }
}
