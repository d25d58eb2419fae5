/// A corpus of cases that a sandbox is held to, when asked or by schedule.
package struct KarsEval: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "KarsEval", plural: "karsevals", shortName: "ceval",
        summary: "Holds one sandbox to a corpus of cases.",
        columns: [
            .init("Sandbox", ".spec.targetSandboxRef.name"), .init("Schedule", ".spec.schedule"), .phase,
            .init("LastRun", ".status.lastRunAt", type: "date"), .init("Passed", ".status.lastResult.passed", type: "integer"),
            .init("Failed", ".status.lastResult.failed", type: "integer"), .age,
        ],
        spec: Spec.schema, status: Status.schema,
        rules: [
            .init(
                "size(self.metadata.name) <= \(maxNameLength)",
                message: "metadata.name is at most \(maxNameLength) characters: runs are named after it")
        ])

    /// `karseval-NAME-runnow-0123456789` is the name of a Job, and so of a label.
    package static let maxNameLength = 36
    /// What starts a run by hand: the value `true`.
    package static let runNowAnnotation = "kars.azure.com/run-now"
    package static let builtinCorpora = [
        "banned-tools", "egress-known-bad", "jailbreak-baseline", "memory-isolation", "prompt-injection-2026q1",
    ]

    package struct Spec: SchemaRecord {
        package var targetSandboxRef = ObjectReference()
        package var corpus = Corpus()
        /// As cron has it; absent: only when asked.
        package var schedule: String?
        package var failSandboxOnDrift = false
        package var runnerImage: String?
        package var displayName: String?

        package init() {}

        package static let summary = "What is run against which sandbox, and when."
        package static let fields: [SchemaField<Spec>] = [
            .required("targetSandboxRef", \.targetSandboxRef, "The KarsSandbox."),
            .required("corpus", \.corpus, "The cases."),
            .optional("schedule", \.schedule, "When to run, as cron has it: five fields, or six with seconds first.") {
                $0.with(\.minLength, 1).with(\.maxLength, 256).matching("^[A-Za-z0-9*/,?#-]+( [A-Za-z0-9*/,?#-]+){4,5}$")
            },
            .defaulted("failSandboxOnDrift", \.failSandboxOnDrift, "Whether the sandbox is degraded when a case fails."),
            .optional("runnerImage", \.runnerImage, "What runs the cases; kars itself when absent.") {
                $0.with(\.minLength, 1).with(\.maxLength, 512).matching("^[^[:space:]]+$")
            },
            .optional("displayName", \.displayName, "For people.") { $0.plainText(1...256) },
        ]

        /// What a server with this definition would refuse.
        package func faults() -> [ResourceError] {
            var faults = keywordFaults(at: "spec")
            if (corpus.builtin != nil) == (corpus.bundleRef != nil) {
                faults.append(ResourceError("spec.corpus", "exactly one of builtin and bundleRef"))
            }
            if !SchemaText.isPlain(displayName ?? "") {
                faults.append(ResourceError("spec.displayName", "only printable text, tabs and line ends"))
            }
            return faults
        }
    }

    package struct Corpus: SchemaRecord {
        package var builtin: String?
        package var bundleRef: OciArtifactRef?

        package init() {}

        package static let summary = "Where the cases come from."
        package static let fields: [SchemaField<Corpus>] = [
            .optional("builtin", \.builtin, "One that kars has: \(builtinCorpora.joined(separator: ", ")).") {
                $0.with(\.minLength, 1).with(\.maxLength, 253)
            },
            OciArtifactRef.field("bundleRef", \.bundleRef, of: .evalCorpus, "One of your own, signed."),
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("has(self.builtin) != has(self.bundleRef)", message: "exactly one of builtin and bundleRef")
        ]
    }
}
