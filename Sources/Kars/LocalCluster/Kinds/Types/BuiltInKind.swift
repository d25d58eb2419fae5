import KarsCore

/// A kind of the built-in API: its type, and the rules behind it. What kinds have in common about creation, status and
/// generations is done here; a kind says what is its own.
///
/// The server has set `uid` and `creationTimestamp` before `prepareForCreate`, and checks `metadata` itself.
protocol BuiltInKind: ResourceStrategy {
    var type: APIObjectType { get }
    /// `status` is written through its subresource only.
    var hasStatus: Bool { get }
    /// `metadata.generation` counts changes outside of metadata and status.
    var countsGenerations: Bool { get }

    /// Sets defaults that depend on other fields.
    func complete(_ object: inout JSONObject)
    /// What `status` is at creation.
    func initialStatus(of object: JSONObject) -> JSON
    /// Sets what the server alone decides at creation.
    func prepare(_ object: inout JSONObject, _ request: RequestInfo)
    /// Faults of an object by itself.
    func faults(in object: JSONObject) -> [FieldError]
    /// Faults of a change as such.
    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError]
    func statusFaults(in object: JSONObject, replacing old: JSONObject) -> [FieldError]
}

extension BuiltInKind {
    var hasStatus: Bool { false }
    var countsGenerations: Bool { false }
    var statusCarriesMetadata: Bool { true }

    func complete(_ object: inout JSONObject) {}
    func initialStatus(of object: JSONObject) -> JSON { [:] }
    func prepare(_ object: inout JSONObject, _ request: RequestInfo) {}
    func faults(in object: JSONObject) -> [FieldError] { [] }
    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] { [] }
    func statusFaults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] { [] }
    func warnings(for object: JSONObject) -> [String] { [] }

    func decode(_ object: inout JSONObject) throws(APIDecoder.Fault) {
        object = try APIDecoder.decode(object, as: type)
        complete(&object)
    }

    func prepareForCreate(_ object: inout JSONObject, _ request: RequestInfo) {
        if countsGenerations { object.metadata["generation"] = 1 }
        prepare(&object, request)
        if hasStatus { object["status"] = initialStatus(of: object) }
    }

    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo) {
        // A binding is not a change of what is wanted, and brings the condition that tells of it.
        if request.subresource == "binding" { return }
        if request.subresource == "status" {
            let new = object
            object = old
            object["status"] = new["status"]
            object.metadata = new.metadata
            object.metadata["ownerReferences"] = old.metadata["ownerReferences"]
        } else if hasStatus {
            object["status"] = old["status"]
        }
        Generation.carry(from: old, to: &object, ignoring: countsGenerations ? ["metadata", "status"] : nil)
    }

    func validateCreate(_ object: JSONObject) -> [FieldError] { faults(in: object) }

    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        if subresource == "status" { return statusFaults(in: object, replacing: old) }
        return faults(in: object, replacing: old) + faults(in: object)
    }
}

/// `metadata.generation`: grows by one with each change of what is wanted.
enum Generation {
    /// Clients cannot set it. `ignoring` names the members whose changes do not count; nil: the kind does not count at all.
    static func carry(from old: JSONObject, to object: inout JSONObject, ignoring: [String]?) {
        let generation = old.metadata["generation"]?.intValue
        guard let ignoring else {
            object.metadata["generation"] = generation.map { .int($0) }
            return
        }
        let isChanged = without(ignoring, object) != without(ignoring, old)
        object.metadata["generation"] = .int((generation ?? 0) + (isChanged ? 1 : 0))
    }

    private static func without(_ names: [String], _ object: JSONObject) -> JSONObject {
        var object = object
        for name in names + ["apiVersion"] { object[name] = nil }
        return object
    }
}

extension ServedResource {
    /// A built-in kind with the columns it is printed with.
    init(
        _ description: ResourceDescription, _ kind: some BuiltInKind, columns: [TableColumn], scale: ScalePaths? = nil,
        selectableFields: [String] = [], subresources: [SubresourceDescription] = [], nameRule: NameRule = .subdomain
    ) {
        self.init(
            description: description, schema: kind.type.schema, strategy: kind, columns: columns, hasStatus: kind.hasStatus,
            scale: scale, selectableFields: selectableFields, type: kind.type, subresources: subresources, nameRule: nameRule)
    }
}
