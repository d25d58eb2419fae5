/// What makes a kind of the group `kars.azure.com`: two records, and what the API server is told about it.
package struct KarsKind: Sendable {
    package enum Scope: String, Sendable { case namespaced = "Namespaced", cluster = "Cluster" }

    /// A column of `kubectl get`.
    package struct Column: Sendable {
        package var name: String
        package var path: String
        package var type = "string"
        /// Above 0 only `-o wide` shows it.
        package var priority = 0

        package init(_ name: String, _ path: String, type: String = "string", priority: Int = 0) {
            self.name = name
            self.path = path
            self.type = type
            self.priority = priority
        }

        package static let phase = Column("Phase", ".status.phase")
        package static let age = Column("Age", ".metadata.creationTimestamp", type: "date")
    }

    package var kind: String
    /// Lower case.
    package var plural: String
    package var shortName: String
    package var scope = Scope.namespaced
    package var summary: String
    package var columns: [Column]
    package var spec: StructuralSchema
    package var status: StructuralSchema
    /// CEL rules over the whole object, for instance on its name.
    package var rules: [StructuralSchema.Rule] = []

    package init(
        kind: String, plural: String, shortName: String, scope: Scope = .namespaced, summary: String, columns: [Column],
        spec: StructuralSchema, status: StructuralSchema, rules: [StructuralSchema.Rule] = []
    ) {
        self.kind = kind
        self.plural = plural
        self.shortName = shortName
        self.scope = scope
        self.summary = summary
        self.columns = columns
        self.spec = spec
        self.status = status
        self.rules = rules
    }

    package static let group = "kars.azure.com"
    package static let version = "v1alpha1"
    package static let apiVersion = "kars.azure.com/v1alpha1"

    package var resource: GroupVersionResource {
        GroupVersionResource(group: Self.group, version: Self.version, resource: plural)
    }

    package var description: ResourceDescription {
        ResourceDescription(
            resource, kind: kind, isNamespaced: scope == .namespaced, shortNames: [shortName], categories: ["kars"])
    }
}

/// An object of one of our kinds: `metadata` as it came, `spec` and `status` as values.
package protocol KarsResource: KubernetesModel where Malformed == ResourceError {
    associatedtype Spec: SchemaRecord
    associatedtype Status: SchemaRecord

    static var definition: KarsKind { get }
    var metadata: JSONObject { get set }
    var spec: Spec { get set }
    /// As the server has it; writers say the whole of it.
    var status: Status { get set }

    init(metadata: JSONObject, spec: Spec, status: Status)
}

extension KarsResource {
    package static var kind: ResourceDescription { definition.description }

    package init(name: String, namespace: String? = nil, spec: Spec) {
        var metadata: JSONObject = ["name": .string(name)]
        metadata["namespace"] = namespace.map(JSON.string)
        self.init(metadata: metadata, spec: spec, status: Status())
    }

    package init(reading object: JSONObject) throws(ResourceError) {
        guard let spec = object["spec"] else { throw ResourceError("spec", "is required") }
        self.init(
            metadata: object.metadata, spec: try Spec(reading: spec, at: "spec"),
            status: try object["status"].map { json throws(ResourceError) in try Status(reading: json, at: "status") } ?? Status()
        )
    }

    /// As it is written: without the status, which has an address of its own.
    package var object: JSONObject {
        [
            "apiVersion": .string(KarsKind.apiVersion), "kind": .string(Self.definition.kind), "metadata": .object(metadata),
            "spec": spec.json,
        ]
    }

    package var name: String { metadata["name"]?.stringValue ?? "" }
    package var namespace: String { metadata["namespace"]?.stringValue ?? "" }
}
