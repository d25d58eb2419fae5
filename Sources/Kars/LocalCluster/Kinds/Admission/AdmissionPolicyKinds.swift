import KarsCore

/// ValidatingAdmissionPolicy: conditions in CEL that requests must meet; `PolicyAdmission` enforces them.
struct ValidatingAdmissionPolicyKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "admissionregistration.k8s.io", version: "v1", resource: "validatingadmissionpolicies"),
            kind: "ValidatingAdmissionPolicy", isNamespaced: false, categories: ["api-extensions"]),
        ValidatingAdmissionPolicyKind(),
        columns: [
            .name, .number("Validations", "How many conditions it has.") { $0["spec"]?["validations"]?.arrayValue?.count ?? 0 },
            .text("ParamKind", "Kind of its parameters.") { policy in
                policy["spec"]?["paramKind"].map { "\($0["apiVersion"]?.stringValue ?? "")/\($0["kind"]?.stringValue ?? "")" }
                    ?? CellText.unset
            },
            .age,
        ])

    let type = AdmissionPolicyTypes.policy
    let hasStatus = true
    let statusCarriesMetadata = false
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec", "matchConstraints") { AdmissionPolicyRules.completeMatch(&$0) }
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults = FieldChecks.oneOf(spec["failurePolicy"], ["Fail", "Ignore"], at: "spec.failurePolicy")
        if let match = spec["matchConstraints"] {
            faults += AdmissionPolicyRules.matchFaults(match, at: "spec.matchConstraints")
            if (match["resourceRules"]?.arrayValue ?? []).isEmpty {
                faults.append(.required("spec.matchConstraints.resourceRules"))
            }
        } else {
            faults.append(.required("spec.matchConstraints"))
        }
        let validations = spec["validations"]?.arrayValue ?? []
        if validations.isEmpty, (spec["auditAnnotations"]?.arrayValue ?? []).isEmpty {
            faults.append(.required("spec.validations", "validations or auditAnnotations must contain at least one item"))
        }
        for (index, validation) in validations.enumerated() {
            faults += validationFaults(validation, at: "spec.validations[\(index)]")
        }
        for list in ["matchConditions", "variables"] {
            for (index, item) in (spec[list]?.arrayValue ?? []).enumerated() {
                faults += FieldChecks.required(item["name"], at: "spec.\(list)[\(index)].name")
                faults += FieldChecks.required(item["expression"], at: "spec.\(list)[\(index)].expression")
            }
        }
        if let kind = spec["paramKind"] {
            faults += FieldChecks.required(kind["apiVersion"], at: "spec.paramKind.apiVersion")
            faults += FieldChecks.required(kind["kind"], at: "spec.paramKind.kind")
        }
        return faults + CompiledPolicy.faults(in: spec)
    }

    private func validationFaults(_ validation: JSON, at path: String) -> [FieldError] {
        var faults: [FieldError] = []
        if (validation["expression"]?.stringValue ?? "").trimmingBlanks.isEmpty {
            faults.append(.required("\(path).expression", "expression is not specified"))
        }
        let reasons = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"]
        faults += FieldChecks.oneOf(ifAny: validation["reason"], reasons, at: "\(path).reason")
        if let message = validation["message"]?.stringValue, message.contains("\n") {
            faults.append(.invalid("\(path).message", .string(message), "message must not contain line breaks"))
        }
        return faults
    }
}

/// ValidatingAdmissionPolicyBinding: where a policy is in force.
struct ValidatingAdmissionPolicyBindingKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(
                group: "admissionregistration.k8s.io", version: "v1", resource: "validatingadmissionpolicybindings"),
            kind: "ValidatingAdmissionPolicyBinding", isNamespaced: false, categories: ["api-extensions"]),
        ValidatingAdmissionPolicyBindingKind(),
        columns: [
            .name, .text("PolicyName", "The policy.") { $0["spec"]?["policyName"]?.stringValue ?? "" },
            .text("ParamRef", "Its parameters.", parameters), .age,
        ])

    let type = AdmissionPolicyTypes.binding
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec", "matchResources") { AdmissionPolicyRules.completeMatch(&$0) }
    }

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults = FieldChecks.name(spec["policyName"], .subdomain, at: "spec.policyName")
        let actions = spec["validationActions"]?.arrayValue ?? []
        if actions.isEmpty {
            faults.append(.required("spec.validationActions", "at least one validation action is required"))
        }
        for (index, action) in actions.enumerated() {
            faults += FieldChecks.oneOf(action, ["Audit", "Deny", "Warn"], at: "spec.validationActions[\(index)]")
            if actions[..<index].contains(action) { faults.append(.duplicate("spec.validationActions[\(index)]", action)) }
        }
        if actions.contains("Deny"), actions.contains("Warn") {
            faults.append(
                .invalid(
                    "spec.validationActions", .array(actions),
                    "must not contain both Deny and Warn (repeating the same validation failure "
                        + "information in the API response and headers serves no purpose)"))
        }
        if let match = spec["matchResources"] { faults += AdmissionPolicyRules.matchFaults(match, at: "spec.matchResources") }
        return faults
    }

    private static func parameters(_ binding: JSONObject) -> String {
        guard let reference = binding["spec"]?["paramRef"] else { return CellText.unset }
        if let name = reference["name"]?.stringValue {
            return reference["namespace"]?.stringValue.map { "\($0)/\(name)" } ?? "*/\(name)"
        }
        return CellText.selector(reference["selector"])
    }
}

/// What policy and binding have in common.
enum AdmissionPolicyRules {
    static func completeMatch(_ match: inout JSONObject) {
        match.setDefault("matchPolicy", "Equivalent")
        match.setDefault("namespaceSelector", [:])
        match.setDefault("objectSelector", [:])
    }

    static func matchFaults(_ match: JSON, at path: String) -> [FieldError] {
        var faults = FieldChecks.oneOf(match["matchPolicy"], ["Equivalent", "Exact"], at: "\(path).matchPolicy")
        for field in ["namespaceSelector", "objectSelector"] {
            faults += FieldChecks.labelSelector(match[field], at: "\(path).\(field)")
        }
        for list in ["resourceRules", "excludeResourceRules"] {
            for (index, rule) in (match[list]?.arrayValue ?? []).enumerated() {
                faults += ruleFaults(rule, at: "\(path).\(list)[\(index)]")
            }
        }
        return faults
    }

    private static func ruleFaults(_ rule: JSON, at path: String) -> [FieldError] {
        var faults = ["apiGroups", "apiVersions", "resources", "operations"].compactMap { field -> FieldError? in
            (rule[field]?.arrayValue ?? []).isEmpty ? .required("\(path).\(field)") : nil
        }
        for field in ["apiGroups", "apiVersions", "operations"] {
            let values = rule[field]?.arrayValue ?? []
            if values.contains("*"), values.count > 1 {
                faults.append(
                    .invalid("\(path).\(field)", .array(values), "if '*' is present, must not specify other \(words(field))"))
            }
        }
        for (index, operation) in (rule["operations"]?.arrayValue ?? []).enumerated() {
            faults += FieldChecks.oneOf(
                operation, ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"], at: "\(path).operations[\(index)]")
        }
        return faults + FieldChecks.oneOf(rule["scope"], ["*", "Cluster", "Namespaced"], at: "\(path).scope")
    }

    private static func words(_ field: String) -> String {
        switch field {
        case "apiGroups": "API groups"
        case "apiVersions": "API versions"
        default: "operations"
        }
    }
}
