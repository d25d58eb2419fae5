import KarsCore

/// A kind that is answered and not stored. Who answers is the access part's; here is what a question must look like.
struct ReviewKind: BuiltInKind {
    let type: APIObjectType

    static let all: [ServedResource] = [
        served(ReviewTypes.tokenReview, "authentication.k8s.io"), served(ReviewTypes.selfSubjectReview, "authentication.k8s.io"),
        served(ReviewTypes.subjectAccessReview, "authorization.k8s.io"),
        served(ReviewTypes.localSubjectAccessReview, "authorization.k8s.io", isNamespaced: true),
        served(ReviewTypes.selfSubjectAccessReview, "authorization.k8s.io"),
        served(ReviewTypes.selfSubjectRulesReview, "authorization.k8s.io"),
    ]

    private static func served(_ type: APIObjectType, _ group: String, isNamespaced: Bool = false) -> ServedResource {
        ServedResource(
            ResourceDescription(
                GroupVersionResource(group: group, version: "v1", resource: type.shortName.lowercased() + "s"),
                kind: type.shortName,
                isNamespaced: isNamespaced, verbs: [.create]),
            ReviewKind(type: type), columns: [.name, .createdAt])
    }

    /// Whether questions of this kind ask what somebody may do.
    private var asksForAccess: Bool { type.shortName.hasSuffix("AccessReview") }

    func faults(in object: JSONObject) -> [FieldError] {
        guard asksForAccess else { return [] }
        let spec = object["spec"] ?? [:]
        var faults: [FieldError] = []
        let (resource, path) = (spec["resourceAttributes"], spec["nonResourceAttributes"])
        if resource != nil, let path {
            faults.append(
                .invalid("spec.nonResourceAttributes", path, "cannot be specified in combination with resourceAttributes"))
        }
        if resource == nil, path == nil {
            faults.append(
                .invalid(
                    "spec.resourceAttributes", .null,
                    "exactly one of nonResourceAttributes or resourceAttributes must be specified"))
        }
        let isAboutOthers = !type.shortName.hasPrefix("Self")
        if isAboutOthers, (spec["user"]?.stringValue ?? "").isEmpty, (spec["groups"]?.arrayValue ?? []).isEmpty {
            faults.append(.invalid("spec.user", "", "at least one of user or group must be specified"))
        }
        guard type.shortName.hasPrefix("Local") else { return faults }
        if let named = resource?["namespace"]?.stringValue, named != object.namespace {
            faults.append(.invalid("spec.resourceAttributes.namespace", .string(named), "must match metadata.namespace"))
        }
        if let path { faults.append(.invalid("spec.nonResourceAttributes", path, "disallowed on this kind of request")) }
        return faults
    }
}

/// What a request for a token must look like; it is sent to the `token` subresource of service accounts.
enum TokenRequestRules {
    static func faults(in request: JSONObject) -> [FieldError] {
        guard let seconds = request["spec"]?["expirationSeconds"]?.intValue else { return [] }
        if seconds < 600 {
            return [.invalid("spec.expirationSeconds", .int(seconds), "may not specify a duration less than 10 minutes")]
        }
        if seconds > 1 << 32 {
            return [.invalid("spec.expirationSeconds", .int(seconds), "may not specify a duration larger than 2^32 seconds")]
        }
        return []
    }
}
