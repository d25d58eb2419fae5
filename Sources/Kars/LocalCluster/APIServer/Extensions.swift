import KarsCore

/// Proves who sent a request: client certificate, bearer token or nobody (`system:anonymous`).
protocol Authenticator: Sendable {
    /// Throws 401 for credentials that are not valid.
    func authenticate(_ request: HTTPServerRequest) async throws(APIStatus) -> UserInfo
}

/// What a caller wants to do, as authorization sees it (authorization/v1 `ResourceAttributes`, `NonResourceAttributes`).
struct AccessAttributes: Sendable, Equatable {
    enum Target: Sendable, Equatable {
        /// `namespace` is nil at the cluster scope, `name` nil for collections.
        case resource(GroupVersionResource, subresource: String?, namespace: String?, name: String?)
        case path(String)
    }

    /// `get`, `list`, …, `impersonate`, or the lower-case method for a path.
    var verb: String
    var target: Target
}

enum AccessDecision: Sendable, Equatable {
    case allowed(reason: String)
    /// `reason` goes behind the server's own words, if there is one.
    case denied(reason: String)
}

protocol Authorizer: Sendable {
    func decide(_ user: UserInfo, _ attributes: AccessAttributes) -> AccessDecision
}

/// Reads objects as they are stored, without authorization: for admission, authorization and validation inside the server.
protocol ObjectReader: Sendable {
    func get(_ resource: GroupVersionResource, namespace: String?, name: String) -> JSONObject?
    /// All namespaces when `namespace` is nil.
    func list(_ resource: GroupVersionResource, namespace: String?) -> [JSONObject]
}

/// One step of admission. Steps that change run after defaulting, those that only refuse after validation, each in the
/// order given. A creation has no `old`; for a deletion `object` is what is to be deleted and `old` the same.
protocol AdmissionStep: Sendable {
    var phase: AdmissionPhase { get }
    /// Whether the step decides by what else is stored, so that no other write of the collection may come between its
    /// decision and the commit.
    func needsTurn(_ request: RequestInfo, reader: any ObjectReader) -> Bool
    /// Returns texts for `Warning` headers; throws the refusal.
    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ request: RequestInfo, reader: any ObjectReader
    ) async throws(APIStatus) -> [String]
}

extension AdmissionStep {
    func needsTurn(_ request: RequestInfo, reader: any ObjectReader) -> Bool { false }
}

enum AdmissionPhase: Sendable { case mutating, validating }

/// A subresource that is not REST on the stored object: logs, exec, attach, portforward, token, eviction, binding, proxy.
/// The caller has been authorized; the handler answers for itself, `RequestBody` and `APIAnswer` help.
protocol SubresourceHandler: Sendable {
    /// Others are answered with 405.
    var methods: Set<HTTPMethod> { get }
    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws
}

/// Which subresource: `pods`, `log` of the core group.
struct SubresourceName: Hashable, Sendable {
    var group: String
    var resource: String
    var subresource: String
}

/// A kind that is answered and not stored: TokenReview, SubjectAccessReview and its kin, SelfSubjectReview.
protocol VirtualResource: Sendable {
    /// Whether the answer is the question with its answer filled in, so that the fields that were sent are their sender's.
    var keepsQuestion: Bool { get }
    func create(_ object: JSONObject, _ info: RequestInfo) async throws(APIStatus) -> JSONObject
}

extension VirtualResource {
    var keepsQuestion: Bool { true }
}

/// A path that is no resource. The caller has been authorized to `get` it, as rules with `nonResourceURLs` say; the handler
/// answers for itself.
protocol PathHandler: Sendable {
    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse) async throws
}
