/// A signed document in a registry, by digest (crds 0.1). A tag would be somebody else's promise, so there is none.
package struct OciArtifactRef: SchemaRecord {
    package var registry = ""
    package var repository = ""
    /// `sha256:` and 64 lower-case hexadecimal digits.
    package var digest = ""
    /// Media type; each place that takes such a reference takes exactly one.
    package var artifactType = ""

    package init() {}

    package static let summary = "A signed document in a registry, by digest."
    package static let fields: [SchemaField<OciArtifactRef>] = [
        .required("registry", \.registry, "Host of the registry, with a port if it needs one.") {
            $0.with(\.minLength, 1).with(\.maxLength, 261).matching("^[^/[:space:]]+$")
        },
        .required("repository", \.repository, "Path of the repository.") {
            $0.with(\.minLength, 1).with(\.maxLength, 255).matching("^[^[:space:]]+$")
        },
        .required("digest", \.digest, "Digest of the manifest.") { $0.with(\.maxLength, 71).matching("^sha256:[a-f0-9]{64}$") },
        .required("artifactType", \.artifactType, "Media type of the document.") {
            $0.with(\.minLength, 1).with(\.maxLength, 255)
        },
    ]

    /// As a field that takes documents of one kind only.
    package static func field<Record>(
        _ name: String, _ place: FieldPlace<Record, OciArtifactRef?>, of type: MediaType, _ description: String
    ) -> SchemaField<Record> {
        .optional(name, place, description) {
            $0.adding("artifactType", ($0.properties["artifactType"] ?? .string).with(\.enum, [.string(type.rawValue)]))
        }
    }

    package enum MediaType: String, CaseIterable, Sendable {
        case egressAllowlist = "application/vnd.kars.egress-allowlist.v1+yaml"
        case agtProfile = "application/vnd.kars.agt-profile.v1+yaml"
        case inferencePolicy = "application/vnd.kars.inference-policy.v1+json"
        case memoryBinding = "application/vnd.kars.memory-binding.v1+json"
        case mcpServerBundle = "application/vnd.kars.mcp-server-bundle.v1+json"
        case evalCorpus = "application/vnd.kars.eval-corpus.v1+json"
    }
}
