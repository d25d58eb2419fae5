import KarsCore

/// ResourceQuota: how much a namespace may use.
struct ResourceQuotaKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "resourcequotas"), kind: "ResourceQuota", isNamespaced: true,
            shortNames: ["quota"]),
        ResourceQuotaKind(),
        columns: [
            .name, .text("Request", "What is used of everything but limits.") { usage($0, limits: false) },
            .text("Limit", "What is used of limits.") { usage($0, limits: true) }, .age,
        ])

    private static let requirement = APIObjectType(
        .core, "ScopedResourceSelectorRequirement", "A test on one scope.",
        [
            .required("scopeName", .string, "The scope."), .required("operator", .string, "The test."),
            .optional("values", .list(.string), "What to test against."),
        ])

    private static let spec = APIObjectType(
        .core, "ResourceQuotaSpec", "What is allowed.",
        [
            .optional("hard", .map(.quantity), "The most of each resource."),
            .optional("scopes", .list(.string), "Which pods count."),
            .optional(
                "scopeSelector",
                .object(
                    APIObjectType(
                        .core, "ScopeSelector", atomic: true, "Tests on scopes.",
                        [.optional("matchExpressions", .list(requirement), "Tests that must all hold.")])),
                "Which pods count, by tests."),
        ])

    private static let status = APIObjectType(
        .core, "ResourceQuotaStatus", "What is used.",
        [
            .optional("hard", .map(.quantity), "The most of each resource, as enforced."),
            .optional("used", .map(.quantity), "What is used of each."),
        ])

    let type = APIObjectType.kind(
        .core, "ResourceQuota", "How much a namespace may use.",
        [.shown("spec", .object(spec), "What is allowed."), .shown("status", .object(status), "What is used.")])

    let hasStatus = true

    private static let scopes = [
        "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    ]

    func faults(in object: JSONObject) -> [FieldError] {
        var faults: [FieldError] = []
        for (name, amount) in object["spec"]?["hard"]?.objectValue ?? JSONObject() {
            let path = "spec.hard[\(name)]"
            faults += nameFaults(name, at: path)
            faults += FieldChecks.nonNegativeQuantity(amount, at: path)
            if !Self.takesFractions(name), let text = amount.stringValue, let quantity = Quantity(text),
                quantity != Quantity(quantity.units)
            {
                faults.append(.invalid(path, amount, "must be an integer"))
            }
        }
        for (index, scope) in (object["spec"]?["scopes"]?.arrayValue ?? []).enumerated() {
            if !Self.scopes.contains(scope.stringValue ?? "") {
                faults.append(.invalid("spec.scopes[\(index)]", scope, "unsupported scope"))
            }
        }
        return faults
    }

    private static let counted: Set<String> = [
        "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
        "services.nodeports", "services.loadbalancers",
    ]
    private static let measured: Set<String> = [
        "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
        "limits.cpu", "limits.memory", "limits.ephemeral-storage",
    ]

    private static func takesFractions(_ name: String) -> Bool { !counted.contains(name) && !name.hasPrefix("count/") }

    private func nameFaults(_ name: String, at path: String) -> [FieldError] {
        let found = NameText.qualifiedNameFaults(name)
        if !found.isEmpty { return found.map { .invalid(path, .string(name), $0) } }
        if name.contains("/") || Self.counted.contains(name) || Self.measured.contains(name) || name.hasPrefix("hugepages-")
            || name.hasPrefix("requests.hugepages-")
        {
            return []
        }
        return [.invalid(path, .string(name), "must be a standard resource for quota")]
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        FieldChecks.immutable(object["spec"]?["scopes"], old["spec"]?["scopes"], at: "spec.scopes")
    }

    private static func usage(_ quota: JSONObject, limits isLimit: Bool) -> String {
        let names = (quota["spec"]?["hard"]?.objectValue?.keys ?? []).sorted().filter { $0.contains("limits") == isLimit }
        func amount(_ list: String, _ name: String) -> String { quota["status"]?[list]?[name]?.stringValue ?? "0" }
        return names.map { "\($0): \(amount("used", $0))/\(amount("hard", $0))" }.joined(separator: ", ")
    }
}
