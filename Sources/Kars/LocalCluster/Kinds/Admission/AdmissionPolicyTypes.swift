import KarsCore

/// Types of admissionregistration.k8s.io that are served: ValidatingAdmissionPolicy and its binding.
enum AdmissionPolicyTypes {
    private static let namedRule = APIObjectType(
        .admission, "NamedRuleWithOperations", atomic: true, "Requests on some resources.",
        [
            .optional("resourceNames", .list(.string), "Names of objects; all when empty."),
            .optional("operations", .list(.string), "`CREATE`, `UPDATE`, `DELETE`, `CONNECT` or `*`."),
            .optional("apiGroups", .list(.string), "Groups of the resources; `*` for all."),
            .optional("apiVersions", .list(.string), "Versions of the resources; `*` for all."),
            .optional("resources", .list(.string), "The resources; `*` for all."),
            .pointer("scope", .choice(["*", "Cluster", "Namespaced"]), default: "*", "Whether in namespaces or not."),
        ])

    static let matchResources = APIObjectType(
        .admission, "MatchResources", atomic: true, "Which requests are looked at.",
        [
            .optional("namespaceSelector", .object(MetaTypes.labelSelector), "In which namespaces."),
            .optional("objectSelector", .object(MetaTypes.labelSelector), "On which objects."),
            .optional("resourceRules", .list(namedRule), "On which resources."),
            .optional("excludeResourceRules", .list(namedRule), "On which resources not."),
            .pointer("matchPolicy", .choice(["Equivalent", "Exact"]), "Whether other versions of a resource count."),
        ])

    static let paramKind = APIObjectType(
        .admission, "ParamKind", atomic: true, "Kind of a policy's parameters.",
        [.optional("apiVersion", .string, "Its group and version."), .optional("kind", .string, "Its kind.")])

    private static let validation = APIObjectType(
        .admission, "Validation", "A condition that requests must meet.",
        [
            .required("expression", .string, "The condition, in CEL."),
            .optional("message", .string, "What is said when it does not hold."),
            .pointer("reason", .string, "Why the request is refused, for programs."),
            .optional("messageExpression", .string, "An expression for what is said."),
        ])

    private static let matchCondition = APIObjectType(
        .admission, "MatchCondition", "A condition under which a request is looked at.",
        [.required("name", .string, "Its name."), .required("expression", .string, "The condition, in CEL.")])

    private static let auditAnnotation = APIObjectType(
        .admission, "AuditAnnotation", "Something for the audit log.",
        [.required("key", .string, "Its key."), .required("valueExpression", .string, "Its value, in CEL.")])

    private static let variable = APIObjectType(
        .admission, "Variable", atomic: true, "A named expression.",
        [.required("name", .string, "Its name."), .required("expression", .string, "The expression, in CEL.")])

    private static let expressionWarning = APIObjectType(
        .admission, "ExpressionWarning", "Something odd about an expression.",
        [.required("fieldRef", .string, "The expression."), .required("warning", .string, "What is odd.")])

    private static let status = APIObjectType(
        .admission, "ValidatingAdmissionPolicyStatus", "What was found out about a policy.",
        [
            .optional("observedGeneration", .int64, "The generation that was looked at."),
            .optional(
                "typeChecking",
                .object(
                    APIObjectType(
                        .admission, "TypeChecking", "What checking types brought up.",
                        [.optional("expressionWarnings", .list(expressionWarning), "Odd expressions.")])),
                "What checking types brought up."),
            .optional("conditions", .keyed(MetaTypes.condition, by: "type"), "Aspects of its state."),
        ])

    private static let spec = APIObjectType(
        .admission, "ValidatingAdmissionPolicySpec", "What requests must meet.",
        [
            .optional("paramKind", .object(paramKind), "Kind of its parameters."),
            .optional("matchConstraints", .object(matchResources), "Which requests are looked at."),
            .optional("validations", .list(validation), "Conditions that requests must meet."),
            .pointer(
                "failurePolicy", .choice(["Fail", "Ignore"]), default: "Fail",
                "What follows when a condition cannot be worked out."),
            .optional("auditAnnotations", .list(auditAnnotation), "What goes into the audit log."),
            .optional("matchConditions", .keyed(matchCondition, by: "name"), "Conditions under which a request is looked at."),
            .optional("variables", .keyed(variable, by: "name"), "Named expressions."),
        ])

    static let policy = APIObjectType.kind(
        .admission, "ValidatingAdmissionPolicy", "Conditions in CEL that requests must meet.",
        [
            .shown("spec", .object(spec), "What requests must meet."),
            .shown("status", .object(status), "What was found out about it."),
        ])

    private static let paramRef = APIObjectType(
        .admission, "ParamRef", atomic: true, "Parameters of a policy.",
        [
            .optional("name", .string, "Name of the object."),
            .optional("namespace", .string, "Its namespace; that of the request when empty."),
            .optional("selector", .object(MetaTypes.labelSelector), "Which objects, instead of a name."),
            .pointer("parameterNotFoundAction", .choice(["Allow", "Deny"]), "What follows when there is none."),
        ])

    static let binding = APIObjectType.kind(
        .admission, "ValidatingAdmissionPolicyBinding", "Where a policy is in force.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .admission, "ValidatingAdmissionPolicyBindingSpec", "Where a policy is in force.",
                        [
                            .optional("policyName", .string, "The policy."),
                            .optional("paramRef", .object(paramRef), "Its parameters."),
                            .optional("matchResources", .object(matchResources), "Which of its requests are looked at."),
                            .optional(
                                "validationActions", .set(.choice(["Audit", "Deny", "Warn"])),
                                "What follows when a condition does not hold."),
                        ])),
                "Where a policy is in force.")
        ])
}
