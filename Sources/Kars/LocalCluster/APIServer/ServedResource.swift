import KarsCore

/// Who asked, and what for: what admission and strategies may know of a request.
struct RequestInfo: Sendable {
    var user: UserInfo
    var verb: ResourceDescription.Verb
    var resource: GroupVersionResource
    var subresource: String?
    var namespace: String?
    var name: String?
    var isDryRun = false
    /// A connection to the object is asked for, not a change of it.
    var connects = false
    /// Seconds since 1970 and nanoseconds, read once per request.
    var now: UTCTime
}

/// A caller that has proved who it is (authentication/v1 `UserInfo`).
struct UserInfo: Sendable, Equatable {
    var name: String
    var uid: String?
    var groups: [String]
    var extra: [String: [String]] = [:]

    static let anonymous = UserInfo(name: "system:anonymous", groups: ["system:unauthenticated"])
}

/// Everything the REST layer must know of a collection, whether it is built in or comes from a CustomResourceDefinition.
struct ServedResource: Sendable {
    var description: ResourceDescription
    /// Types, defaults and merge rules; drives pruning, defaulting, server-side apply and OpenAPI.
    var schema: StructuralSchema
    var strategy: any ResourceStrategy
    var columns: [TableColumn]
    var hasStatus: Bool
    var scale: ScalePaths?
    /// Fields besides `metadata.name` and `metadata.namespace` that a field selector may name, as dotted paths.
    var selectableFields: [String] = []
    /// Built-in kinds answer some mistakes otherwise than custom ones (405 against 400 or 409, see the recordings).
    var isCustom = false
    /// The Go type of a built-in kind; nil for custom kinds, whose `schema` is everything that is known of them.
    var type: APIObjectType?
    /// Subresources besides `status` and `scale`, for discovery.
    var subresources: [SubresourceDescription] = []
    /// What `metadata.name` must look like.
    var nameRule = NameRule.subdomain
    /// How objects are kept when not as this version serves them; nil: as they are, under the group and the resource.
    var storage: StoredForm?
    /// Whether PUT to an absent name creates the object (Lease does).
    var createsOnUpdate = false
    /// Whether PUT without `metadata.resourceVersion` overwrites; most built-in kinds allow it, custom ones never.
    var allowsUnconditionalUpdate = true
}

/// A collection that several served resources share: Events of both groups, versions of one custom resource.
struct StoredForm: Sendable {
    /// The group and resource under which objects are kept.
    var group: String
    var resource: String
    /// From the served form to the kept one.
    var store: @Sendable (JSONObject) -> JSONObject
    /// From the kept form to the served one.
    var serve: @Sendable (JSONObject) -> JSONObject
}

/// What discovery tells of a subresource.
struct SubresourceDescription: Hashable, Sendable {
    var name: String
    /// What is sent or returned, with its group and version when they are not the resource's own.
    var kind: String
    var groupVersion: GroupVersion?
    var verbs: [ResourceDescription.Verb]
}

/// The rules of one kind that a schema cannot say. All functions are pure; `object` has passed the schema.
protocol ResourceStrategy: Sendable {
    /// Brings an object into the form it is served in, right after it was parsed or patched and its unknown fields were
    /// pruned, before admission: types checked, empty values dropped, times and quantities in their one form, defaults set.
    /// The fault is answered with 400 behind `Pod in version "v1" cannot be handled as a Pod: `, or with 422 for a patch.
    func decode(_ object: inout JSONObject) throws(APIDecoder.Fault)
    /// Sets what the server decides at creation and clears what the client may not set (for instance `status`).
    func prepareForCreate(_ object: inout JSONObject, _ request: RequestInfo)
    /// Carries over what an update may not touch.
    func prepareForUpdate(_ object: inout JSONObject, from old: JSONObject, _ request: RequestInfo)
    /// Whether who writes the status may change annotations and labels with it: kinds from the early days of Kubernetes allow it.
    var statusCarriesMetadata: Bool { get }
    /// Whether `validateCreate` and `validateUpdate` are only to see objects whose shape they can rely on.
    var hasRules: Bool { get }
    func validateCreate(_ object: JSONObject) -> [FieldError]
    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError]
    /// Texts for `Warning` headers.
    func warnings(for object: JSONObject) -> [String]
}

extension ResourceStrategy {
    var statusCarriesMetadata: Bool { false }
    var hasRules: Bool { false }
}

/// One printed column (`TableColumnDefinition` of meta/v1) and how its cell is made.
struct TableColumn: Sendable {
    var name: String
    /// `string`, `integer`, `number`, `boolean`, `date`.
    var type: String
    var format = ""
    var description = ""
    /// 0 is always shown, 1 only with `-o wide`.
    var priority = 0
    var cell: @Sendable (_ object: JSONObject, _ now: UTCTime) -> JSON
}

/// Where the scale subresource finds its numbers (`CustomResourceSubresourceScale`), as dotted paths without a leading dot.
struct ScalePaths: Sendable {
    var specReplicas: String
    var statusReplicas: String
    var labelSelector: String?
}
