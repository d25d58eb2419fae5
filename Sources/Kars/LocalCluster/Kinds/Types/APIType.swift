import KarsCore

/// What a field of a built-in kind holds.
///
/// Kubernetes' own API is made of Go structs, and clients see that: which empty values are left out, what a wrong type is
/// answered with, which lists merge by which key. An `APIType` tells those things once, for decoding (`APIDecoder`), for
/// OpenAPI (`OpenAPIDocument`) and, as a `StructuralSchema`, for patches and server-side apply. Custom resources have none.
indirect enum APIType: Sendable {
    case string
    /// A string of which only these values mean something. The list informs; strategies refuse other values in their words.
    case choice([String])
    case boolean, int32, int64
    /// A number with or without a fraction.
    case anyNumber
    /// `100m`, `64Mi`; a number is read, text is written.
    case quantity
    case intOrString
    /// RFC 3339 in whole seconds.
    case time
    /// RFC 3339 with six digits behind the point.
    case microTime
    /// Base64 text.
    case bytes
    /// Any object, kept as it came.
    case rawObject(name: String, description: String)
    /// Any value, kept as it came.
    case anyValue
    case object(APIObjectType)
    /// An object that is shown as `null` when absent.
    case nullableObject(APIObjectType)
    /// A type that contains itself.
    case recursive(@Sendable () -> APIObjectType)
    case list(APIType, APIListRule)
    case map(APIType)

    /// A list that is replaced as a whole.
    static func list(_ element: APIType) -> APIType { .list(element, APIListRule(kind: .atomic)) }
    static func list(_ element: APIObjectType) -> APIType { .list(.object(element), APIListRule(kind: .atomic)) }
    /// A list without duplicates; patches and apply add to it.
    static func set(_ element: APIType) -> APIType { .list(element, APIListRule(kind: .set, patchStrategy: "merge")) }
    /// A list whose elements are told apart by `keys`. Strategic merge knows one key: the first, unless `patchKey` says.
    static func keyed(_ element: APIObjectType, by keys: String..., patchKey: String? = nil) -> APIType {
        .list(
            .object(element),
            APIListRule(kind: .map(keys: keys), patchStrategy: "merge", patchKey: patchKey ?? keys[0]))
    }
}

/// How two versions of a list become one (`x-kubernetes-list-type`, `x-kubernetes-patch-strategy`).
struct APIListRule: Sendable {
    enum Kind: Sendable { case atomic, set, map(keys: [String]) }

    var kind: Kind
    var patchStrategy: String?
    var patchKey: String?
}

/// One member of an object of the built-in API.
struct APIField: Sendable {
    /// What JSON shows of a value that says nothing: Go's `omitempty`, pointers and structs in structs.
    enum Presence: Sendable {
        /// Always there, with its zero value when nothing was sent.
        case always
        /// Left out when empty: `""`, `0`, `false`, `[]`, `{}` of a map.
        case nonEmpty
        /// Left out when absent; an empty value is a value.
        case present
    }

    let name: String
    let type: APIType
    let presence: Presence
    /// Named in `required` of the published schema.
    let isRequired: Bool
    let defaultValue: JSON?
    /// `x-kubernetes-patch-strategy` of an object.
    let patchStrategy: String?
    /// A map that is replaced as a whole (`x-kubernetes-map-type: atomic`).
    var isAtomic = false
    let description: String

    /// Must be given, as the published schema says; strategies check it in their words.
    static func required(_ name: String, _ type: APIType, default value: JSON? = nil, _ description: String) -> APIField {
        APIField(
            name: name, type: type, presence: .always, isRequired: true, defaultValue: value, patchStrategy: nil,
            description: description)
    }

    /// Need not be given, but is always shown: a struct within a struct, a time without a value (`null`).
    static func shown(_ name: String, _ type: APIType, patch: String? = nil, _ description: String) -> APIField {
        APIField(
            name: name, type: type, presence: .always, isRequired: false, defaultValue: nil, patchStrategy: patch,
            description: description)
    }

    /// A map without parts that could be owned or merged one by one.
    static func atomic(_ name: String, _ type: APIType, _ description: String) -> APIField {
        APIField(
            name: name, type: type, presence: .nonEmpty, isRequired: false, defaultValue: nil, patchStrategy: nil,
            isAtomic: true, description: description)
    }

    /// Left out when empty.
    static func optional(_ name: String, _ type: APIType, default value: JSON? = nil, _ description: String) -> APIField {
        APIField(
            name: name, type: type, presence: .nonEmpty, isRequired: false, defaultValue: value, patchStrategy: nil,
            description: description)
    }

    /// Absent and empty are two things: `replicas: 0`.
    static func pointer(_ name: String, _ type: APIType, default value: JSON? = nil, _ description: String) -> APIField {
        APIField(
            name: name, type: type, presence: .present, isRequired: false, defaultValue: value, patchStrategy: nil,
            description: description)
    }
}

/// An object type of the built-in API: a Go struct as JSON shows it. Made once, shared by reference.
final class APIObjectType: Sendable {
    /// As OpenAPI names it: `io.k8s.api.core.v1.Container`.
    let name: String
    let description: String
    let fields: [APIField]
    /// Replaced as a whole by patches and apply (`x-kubernetes-map-type: atomic`).
    let isAtomic: Bool
    let schema: StructuralSchema

    init(_ package: APIPackage, _ name: String, atomic isAtomic: Bool = false, _ description: String, _ fields: [APIField]) {
        self.name = "\(package.rawValue).\(name)"
        self.description = description
        self.fields = fields
        self.isAtomic = isAtomic
        schema = Self.schema(of: fields, isAtomic: isAtomic)
    }

    /// A kind: an object with `apiVersion`, `kind` and `metadata` before its own fields.
    static func kind(_ package: APIPackage, _ name: String, _ description: String, _ fields: [APIField]) -> APIObjectType {
        let common: [APIField] = [
            .optional("apiVersion", .string, "Group and version of this object's schema, for instance `apps/v1`."),
            .optional("kind", .string, "What this object is, in CamelCase."),
            .shown("metadata", .object(MetaTypes.objectMeta), "Name, labels and what the server notes about the object."),
        ]
        return APIObjectType(package, name, description, common + fields)
    }

    /// The Go struct's name: `Container`.
    var shortName: String { name.split(separator: ".").last.map(String.init) ?? name }
    /// As Go names the type in messages: `v1.Container`.
    var goName: String { name.split(separator: ".").suffix(2).joined(separator: ".") }
}

/// The Go packages that the served API comes from, as OpenAPI writes them.
enum APIPackage: String, Sendable {
    case meta = "io.k8s.apimachinery.pkg.apis.meta.v1"
    case core = "io.k8s.api.core.v1"
    case apps = "io.k8s.api.apps.v1"
    case batch = "io.k8s.api.batch.v1"
    case discovery = "io.k8s.api.discovery.v1"
    case networking = "io.k8s.api.networking.v1"
    case rbac = "io.k8s.api.rbac.v1"
    case coordination = "io.k8s.api.coordination.v1"
    case events = "io.k8s.api.events.v1"
    case admission = "io.k8s.api.admissionregistration.v1"
    case authentication = "io.k8s.api.authentication.v1"
    case authorization = "io.k8s.api.authorization.v1"
    case autoscaling = "io.k8s.api.autoscaling.v1"
    case policy = "io.k8s.api.policy.v1"
    case extensions = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
}
