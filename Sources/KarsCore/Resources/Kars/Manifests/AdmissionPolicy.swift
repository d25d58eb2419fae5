/// A ValidatingAdmissionPolicy with its binding (admissionregistration/v1), as it is written down here. Every policy fails closed, denies and is
/// audited.
struct AdmissionPolicy {
    /// Which requests: operations on resources of one group, in any of its versions.
    struct Target {
        var operations: [String]
        var group: String
        var resources: [String]
        var names: [String] = []

        init(_ operations: [String], _ group: String, _ resources: [String], names: [String] = []) {
            self.operations = operations
            self.group = group
            self.resources = resources
            self.names = names
        }

        var json: JSON {
            var rule: JSONObject = [
                "apiGroups": [.string(group)], "apiVersions": ["*"], "operations": .array(operations.map(JSON.string)),
                "resources": .array(resources.map(JSON.string)),
            ]
            if !names.isEmpty { rule["resourceNames"] = .array(names.map(JSON.string)) }
            return .object(rule)
        }
    }

    struct Validation {
        var expression: String
        var message: String
        var messageExpression: String?

        init(_ expression: String, _ message: String, messageExpression: String? = nil) {
            self.expression = expression
            self.message = message
            self.messageExpression = messageExpression
        }

        var json: JSON {
            var validation: JSONObject = [
                "expression": .string(expression), "message": .string(message), "reason": "Forbidden",
            ]
            validation["messageExpression"] = messageExpression.map(JSON.string)
            return .object(validation)
        }
    }

    var name: String
    var targets: [Target]
    /// Names and expressions: the policy is only about requests for which all hold.
    var conditions: KeyValuePairs<String, String> = [:]
    /// Names and expressions, each of which sees those before it.
    var variables: KeyValuePairs<String, String> = [:]
    var validations: [Validation]
    /// Labels of the namespaces that it holds in; everywhere without any.
    var namespaces: JSON?
    /// The kind of kars whose objects in the request's namespace are `params`, one after the other.
    var parameterKind: String?

    /// In namespaces of sandboxes.
    static let sandboxNamespaces: JSON = ["matchLabels": ["kars.azure.com/isolated": "strict"]]
    /// The same but for those where somebody broke the glass.
    static let sealedNamespaces: JSON = [
        "matchLabels": ["kars.azure.com/isolated": "strict"],
        "matchExpressions": [["key": "kars.azure.com/break-glass", "operator": "NotIn", "values": ["true"]]],
    ]

    var manifests: [Manifest] {
        let metadata = ObjectMetadata(name: name, labels: ManifestConfig.labels("admission"))
        var spec: JSONObject = [
            "failurePolicy": "Fail", "matchConstraints": ["resourceRules": .array(targets.map(\.json))],
        ]
        if let parameterKind {
            spec["paramKind"] = ["apiVersion": .string(KarsKind.apiVersion), "kind": .string(parameterKind)]
        }
        func expressions(_ pairs: KeyValuePairs<String, String>) -> JSON {
            .array(pairs.map { ["name": .string($0.key), "expression": .string($0.value)] })
        }
        if !conditions.isEmpty { spec["matchConditions"] = expressions(conditions) }
        if !variables.isEmpty { spec["variables"] = expressions(variables) }
        spec["validations"] = .array(validations.map(\.json))
        var binding: JSONObject = ["policyName": .string(name), "validationActions": ["Deny", "Audit"]]
        if parameterKind != nil { binding["paramRef"] = ["selector": [:], "parameterNotFoundAction": "Allow"] }
        if let namespaces { binding["matchResources"] = ["namespaceSelector": namespaces] }
        return [
            Manifest(.admissionPolicies, kind: "ValidatingAdmissionPolicy", metadata, ["spec": .object(spec)]),
            Manifest(.admissionPolicyBindings, kind: "ValidatingAdmissionPolicyBinding", metadata, ["spec": .object(binding)]),
        ]
    }
}

/// What is refused whoever asks (spec/controller 15.3).
///
/// Expressions ask for verbs of our own where a person must be meant (`approve`, `break-glass`, `grant-sre`, `manage-signers`): who holds
/// them is said by RBAC, and administrators of a cluster hold every verb.
package enum AdmissionManifests {
    package static func all(_ config: ManifestConfig) -> [Manifest] { policies(config).flatMap(\.manifests) }

    static func policies(_ config: ManifestConfig) -> [AdmissionPolicy] {
        sandboxPolicies(config) + declarationPolicies(config) + accountPolicies(config)
    }

    /// `a`, `b` as a list in CEL. Only for words of our own.
    static func list(_ words: [String]) -> String { "[" + words.map { "'\($0)'" }.joined(separator: ", ") + "]" }

    /// The value of a label of `object`, empty without one.
    static func label(_ object: String, _ key: String) -> String {
        "\(object).metadata.?labels[?'kars.azure.com/\(key)'].orValue('')"
    }

    /// Holds for requests of a sandbox's own account.
    static let isSandbox = "request.userInfo.username.matches('^system:serviceaccount:kars-[a-z0-9-]+:sandbox$')"
}
