/// A kind as a Swift type. What is read is checked by the type; what the server said that the type does not know is not kept, so write
/// with server-side apply, which leaves the fields alone that are not named.
package protocol KubernetesModel: Sendable {
    associatedtype Malformed: Error

    static var kind: ResourceDescription { get }
    init(reading object: JSONObject) throws(Malformed)
    /// With `apiVersion`, `kind` and `metadata`.
    var object: JSONObject { get }
}

extension KubernetesAPI {
    package func get<Model: KubernetesModel>(
        _ type: Model.Type = Model.self, namespace: String? = nil, name: String
    ) async throws(APIStatus) -> Model {
        try Self.read(try await object(.get(type.kind.resource, namespace: namespace, name: name)))
    }

    package func getIfPresent<Model: KubernetesModel>(
        _ type: Model.Type = Model.self, namespace: String? = nil, name: String
    ) async throws(APIStatus) -> Model? {
        guard let object = try await objectIfPresent(.get(type.kind.resource, namespace: namespace, name: name)) else {
            return nil
        }
        return try Self.read(object)
    }

    package func list<Model: KubernetesModel>(
        _ type: Model.Type = Model.self, namespace: String? = nil, _ options: ListOptions = ListOptions(limit: 500)
    ) async throws(APIStatus) -> [Model] {
        var models: [Model] = []
        for object in try await list(type.kind.resource, namespace: namespace, options).items {
            models.append(try Self.read(object))
        }
        return models
    }

    package func create<Model: KubernetesModel>(
        _ model: Model, _ options: WriteOptions = WriteOptions()
    ) async throws(APIStatus) -> Model {
        try Self.read(try await object(.create(Model.kind.resource, model.object, options)))
    }

    package func apply<Model: KubernetesModel>(
        _ model: Model, fieldManager: String, forces: Bool = true
    ) async throws(APIStatus) -> Model {
        try Self.read(
            try await object(.apply(Model.kind.resource, model.object, fieldManager: fieldManager, forces: forces)))
    }

    private static func read<Model: KubernetesModel>(_ object: JSONObject) throws(APIStatus) -> Model {
        do throws(Model.Malformed) { return try Model(reading: object) } catch {
            throw .malformedAnswer("\(Model.kind.kind) \(ObjectKey(object)): \(error)")
        }
    }
}
