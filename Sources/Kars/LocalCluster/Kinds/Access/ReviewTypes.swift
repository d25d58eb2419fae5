import KarsCore

/// Kinds that are answered and not stored: who somebody is and what they may do (authentication and authorization v1),
/// and what is sent to subresources.
enum ReviewTypes {
    private static func extra(_ description: String) -> APIField { .optional("extra", .map(.list(.string)), description) }

    // MARK: authentication.k8s.io

    static let userInfo = APIObjectType(
        .authentication, "UserInfo", "Who somebody is.",
        [
            .optional("username", .string, "Name."), .optional("uid", .string, "Identity."),
            .optional("groups", .list(.string), "Groups."), extra("What else is known."),
        ])

    static let tokenReview = APIObjectType.kind(
        .authentication, "TokenReview", "Asks whom a token is of.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .authentication, "TokenReviewSpec", "The question.",
                        [
                            .optional("token", .string, "The token."),
                            .optional("audiences", .list(.string), "Whom it is presented to; the API server when empty."),
                        ])),
                "The question."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .authentication, "TokenReviewStatus", "The answer.",
                        [
                            .optional("authenticated", .boolean, "Whether the token is good."),
                            .shown("user", .object(userInfo), "Whom it is of."),
                            .optional("audiences", .list(.string), "Which of the audiences it is for."),
                            .optional("error", .string, "Why it is not good."),
                        ])),
                "The answer."),
        ])

    static let selfSubjectReview = APIObjectType.kind(
        .authentication, "SelfSubjectReview", "Asks who one is.",
        [
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .authentication, "SelfSubjectReviewStatus", "The answer.",
                        [.shown("userInfo", .object(userInfo), "Who one is.")])),
                "The answer.")
        ])

    static let tokenRequest = APIObjectType.kind(
        .authentication, "TokenRequest", "Asks for a token of a service account.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .authentication, "TokenRequestSpec", "What is wanted.",
                        [
                            .required("audiences", .list(.string), "Whom the token is for."),
                            .pointer("expirationSeconds", .int64, default: 3600, "How long it is to last."),
                            .shown("boundObjectRef", .nullableObject(boundObject), "An object with which the token ends."),
                        ])),
                "What is wanted."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .authentication, "TokenRequestStatus", "The token.",
                        [.required("token", .string, "The token."), .shown("expirationTimestamp", .time, "When it ends.")])),
                "The token."),
        ])

    private static let boundObject = APIObjectType(
        .authentication, "BoundObjectReference", "An object with which a token ends.",
        [
            .optional("kind", .string, "Its kind: `Pod`, `Secret` or `Node`."),
            .optional("apiVersion", .string, "Its group and version."),
            .optional("name", .string, "Its name."), .optional("uid", .string, "Its identity."),
        ])

    // MARK: authorization.k8s.io

    private static let selectorRequirements: [APIField] = [
        .optional("rawSelector", .string, "The selector as text."),
        .optional("requirements", .list(.anyValue), "The selector's tests."),
    ]

    static let resourceAttributes = APIObjectType(
        .authorization, "ResourceAttributes", "A request on a resource.",
        [
            .optional("namespace", .string, "Its namespace; empty for all or none."),
            .optional("verb", .string, "The verb; `*` for all."),
            .optional("group", .string, "Group of the resource; `*` for all."),
            .optional("version", .string, "Version of the resource."),
            .optional("resource", .string, "The resource; `*` for all."),
            .optional("subresource", .string, "The subresource, if it is one."),
            .optional("name", .string, "Name of the object; empty for all."),
            .optional(
                "fieldSelector",
                .object(APIObjectType(.authorization, "FieldSelectorAttributes", "A field selector.", selectorRequirements)),
                "A field selector."),
            .optional(
                "labelSelector",
                .object(APIObjectType(.authorization, "LabelSelectorAttributes", "A label selector.", selectorRequirements)),
                "A label selector."),
        ])

    static let nonResourceAttributes = APIObjectType(
        .authorization, "NonResourceAttributes", "A request on a path that is no resource.",
        [.optional("path", .string, "The path."), .optional("verb", .string, "The verb.")])

    private static let attributes: [APIField] = [
        .optional("resourceAttributes", .object(resourceAttributes), "A request on a resource."),
        .optional("nonResourceAttributes", .object(nonResourceAttributes), "A request on a path."),
    ]

    private static let accessStatus = APIObjectType(
        .authorization, "SubjectAccessReviewStatus", "The answer.",
        [
            .required("allowed", .boolean, "Whether the request is allowed."),
            .optional("denied", .boolean, "Whether it is refused for good."),
            .optional("reason", .string, "Why."),
            .optional("evaluationError", .string, "What went wrong in finding out."),
        ])

    private static let subjectSpec = APIObjectType(
        .authorization, "SubjectAccessReviewSpec", "The question.",
        attributes + [
            .optional("user", .string, "Who asks."), .optional("groups", .list(.string), "Groups of who asks."),
            extra("What else is known of who asks."), .optional("uid", .string, "Identity of who asks."),
        ])

    private static func review(_ name: String, _ description: String, _ spec: APIObjectType) -> APIObjectType {
        APIObjectType.kind(
            .authorization, name, description,
            [.shown("spec", .object(spec), "The question."), .shown("status", .object(accessStatus), "The answer.")])
    }

    static let subjectAccessReview = review("SubjectAccessReview", "Asks whether somebody may do something.", subjectSpec)
    static let localSubjectAccessReview = review(
        "LocalSubjectAccessReview", "Asks whether somebody may do something in a namespace.", subjectSpec)
    static let selfSubjectAccessReview = review(
        "SelfSubjectAccessReview", "Asks whether one may do something.",
        APIObjectType(.authorization, "SelfSubjectAccessReviewSpec", "The question.", attributes))

    private static let resourceRule = APIObjectType(
        .authorization, "ResourceRule", "Verbs on resources.",
        [
            .required("verbs", .list(.string), "The verbs."), .optional("apiGroups", .list(.string), "Groups of the resources."),
            .optional("resources", .list(.string), "The resources."),
            .optional("resourceNames", .list(.string), "Names of objects."),
        ])

    private static let nonResourceRule = APIObjectType(
        .authorization, "NonResourceRule", "Verbs on paths.",
        [.required("verbs", .list(.string), "The verbs."), .optional("nonResourceURLs", .list(.string), "The paths.")])

    static let selfSubjectRulesReview = APIObjectType.kind(
        .authorization, "SelfSubjectRulesReview", "Asks for everything that one may do in a namespace.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .authorization, "SelfSubjectRulesReviewSpec", "The question.",
                        [.optional("namespace", .string, "The namespace.")])),
                "The question."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .authorization, "SubjectRulesReviewStatus", "The answer.",
                        [
                            .required("resourceRules", .list(resourceRule), "On resources."),
                            .required("nonResourceRules", .list(nonResourceRule), "On paths."),
                            .required("incomplete", .boolean, "Whether there may be more."),
                            .optional("evaluationError", .string, "What went wrong in finding out."),
                        ])),
                "The answer."),
        ])

    // MARK: Sent to subresources of pods

    static let eviction = APIObjectType.kind(
        .policy, "Eviction", "Asks a pod to go.",
        [.optional("deleteOptions", .object(MetaTypes.deleteOptions), "How to delete it.")])

    static let binding = APIObjectType.kind(
        .core, "Binding", "Gives a pod to a node.", [.required("target", .object(ReferenceTypes.object), "The node.")])
}
