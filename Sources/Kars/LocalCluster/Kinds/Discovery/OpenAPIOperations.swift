import KarsCore

/// The paths of one resource in an OpenAPI document, with the operations and parameters that it serves.
struct OpenAPIOperations {
    let resource: ServedResource
    /// Name of the object's schema.
    let schemaName: String

    private var description: ResourceDescription { resource.description }
    private var verbs: Set<ResourceDescription.Verb> { Set(description.verbs) }

    func paths() -> [(String, JSON)] {
        let root = description.resource.groupVersion.path
        let plural = description.resource.resource
        let base = description.isNamespaced ? "\(root)/namespaces/{namespace}/\(plural)" : "\(root)/\(plural)"
        var paths: [(String, JSON)] = [(base, collection())]
        if verbs.contains(.get) { paths.append(("\(base)/{name}", object(nil))) }
        for (subresource, _) in Discovery.subresources(of: resource) {
            paths.append(("\(base)/{name}/\(subresource.name)", object(subresource)))
        }
        if description.isNamespaced, verbs.contains(.list) { paths.append(("\(root)/\(plural)", everywhere())) }
        return paths
    }

    // MARK: Paths

    private func collection() -> JSON {
        var path = JSONObject()
        if verbs.contains(.list) {
            path["get"] = operation(
                "list", "list", "list objects of kind \(description.kind)", parameters: OpenAPIParameters.list, answer: listName)
        }
        if verbs.contains(.create) {
            path["post"] = operation(
                "create", "post", "create \(article) \(description.kind)", parameters: OpenAPIParameters.write, body: schemaName,
                answer: schemaName, codes: ["200", "201", "202"])
        }
        if verbs.contains(.deletecollection) {
            path["delete"] = operation(
                "delete", "deletecollection", "delete collection of \(description.kind)", parameters: OpenAPIParameters.list,
                answer: MetaTypes.status.name, infix: "Collection")
        }
        path["parameters"] = .array(namespaceParameters + [OpenAPIParameters.pretty])
        return .object(path)
    }

    private func object(_ subresource: SubresourceDescription?) -> JSON {
        var path = JSONObject()
        let served = subresource.map { Set($0.verbs) } ?? verbs
        let isConnection = subresource.map { OpenAPIDocument.sentType(of: $0) == nil && !isObject($0) } ?? false
        let schema = subresource.flatMap { OpenAPIDocument.sentType(of: $0)?.name } ?? schemaName
        let suffix = subresource.map { $0.name.prefix(1).uppercased() + $0.name.dropFirst() } ?? ""
        let words = subresource.map { "\($0.name) of the specified \(description.kind)" } ?? "the specified \(description.kind)"
        func add(_ verb: ResourceDescription.Verb, _ method: String, _ word: String, _ operation: () -> JSON) {
            guard served.contains(verb) else { return }
            path[method] =
                isConnection
                ? self.operation(
                    "connect", "connect", "connect \(method.uppercased()) requests to \(words)", suffix: suffix, method: method)
                : operation()
        }
        add(.get, "get", "read") {
            operation("read", "get", "read \(words)", parameters: [OpenAPIParameters.version], answer: schema, suffix: suffix)
        }
        add(.update, "put", "replace") {
            operation(
                "replace", "put", "replace \(words)", parameters: OpenAPIParameters.write, body: schema, answer: schema,
                codes: ["200", "201"], suffix: suffix)
        }
        add(.create, "post", "create") {
            operation(
                "create", "post", "create \(words)", parameters: OpenAPIParameters.write, body: schema, answer: schema,
                codes: ["200", "201", "202"], suffix: suffix)
        }
        add(.delete, "delete", "delete") {
            operation(
                "delete", "delete", "delete \(article) \(description.kind)", parameters: OpenAPIParameters.delete,
                body: MetaTypes.deleteOptions.name, isBodyRequired: false, answer: MetaTypes.status.name, codes: ["200", "202"])
        }
        add(.patch, "patch", "patch") { patch(words, schema, suffix) }
        path["parameters"] = .array([OpenAPIParameters.name(description.kind)] + namespaceParameters + [OpenAPIParameters.pretty])
        return .object(path)
    }

    /// Whether a subresource is read and written as the object itself or as a scale.
    private func isObject(_ subresource: SubresourceDescription) -> Bool {
        subresource.kind == description.kind || subresource.name == "scale"
    }

    /// A collection over all namespaces.
    private func everywhere() -> JSON {
        [
            "get": operation(
                "list", "list", "list or watch objects of kind \(description.kind)", answer: listName, scope: "",
                suffix: "ForAllNamespaces"),
            "parameters": .array(OpenAPIParameters.list + [OpenAPIParameters.pretty]),
        ]
    }

    // MARK: Operations

    private func operation(
        _ word: String, _ action: String, _ text: String, parameters: [JSON] = [], body: String? = nil,
        isBodyRequired: Bool = true,
        answer: String? = nil, codes: [String] = ["200"], scope: String? = nil, infix: String = "", suffix: String = "",
        method: String = ""
    ) -> JSON {
        let scope = scope ?? (description.isNamespaced ? "Namespaced" : "")
        var operation: JSONObject = [
            "tags": [.string(tag)], "description": .string(text),
            "operationId": .string(
                "\(word)\(method.prefix(1).uppercased())\(method.dropFirst())\(camelGroup)\(infix)\(scope)\(description.kind)\(suffix)"
            ),
        ]
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if let body {
            operation["requestBody"] = ["content": content(body)]
            if isBodyRequired { operation["requestBody"] = ["content": content(body), "required": true] }
        }
        var responses = JSONObject()
        for code in codes { responses[code] = response(code, answer) }
        responses["401"] = ["description": "Unauthorized"]
        operation["responses"] = .object(responses)
        operation["x-kubernetes-action"] = .string(action)
        operation["x-kubernetes-group-version-kind"] = description.groupVersionKind.json
        return .object(operation)
    }

    private func patch(_ words: String, _ schema: String, _ suffix: String) -> JSON {
        var types = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
        if !resource.isCustom { types.append("application/strategic-merge-patch+json") }
        let reference: JSON = ["schema": OpenAPISchemas.reference(OpenAPIDocument.patchName)]
        let patch = operation(
            "patch", "patch", "partially update \(words)", parameters: OpenAPIParameters.write + [OpenAPIParameters.force],
            answer: schema, codes: resource.isCustom ? ["200"] : ["200", "201"], suffix: suffix)
        guard var members = patch.objectValue else { return patch }
        members["requestBody"] = ["content": .object(JSONObject(types.map { ($0, reference) })), "required": true]
        return .object(members)
    }

    private func response(_ code: String, _ schema: String?) -> JSON {
        let words: JSON = ["200": "OK", "201": "Created", "202": "Accepted"][code] ?? ""
        guard let schema else { return ["description": words, "content": ["*/*": ["schema": ["type": "string"]]]] }
        return ["description": words, "content": content(schema)]
    }

    private func content(_ schema: String) -> JSON {
        let reference: JSON = ["schema": OpenAPISchemas.reference(schema)]
        return ["application/json": reference, "application/yaml": reference]
    }

    // MARK: Names

    private var listName: String { schemaName + "List" }

    private var article: String { "AEIOU".contains(description.kind.prefix(1)) ? "an" : "a" }

    private var namespaceParameters: [JSON] { description.isNamespaced ? [OpenAPIParameters.namespace] : [] }

    /// `GoldenExampleComV1`, `CoreV1`, `NetworkingV1`.
    private var camelGroup: String {
        let name = description.resource
        return groupWords.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            + name.version.prefix(1).uppercased() + name.version.dropFirst()
    }

    /// `goldenExampleCom_v1`.
    private var tag: String {
        let words = groupWords
        return words[0] + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            + "_\(description.resource.version)"
    }

    private var groupWords: [String] {
        let group = description.resource.group
        if group.isEmpty { return ["core"] }
        let short = group.hasSuffix(".k8s.io") ? String(group.dropLast(7)) : group
        return short.split(separator: ".").map(String.init)
    }
}

/// Query and path parameters as OpenAPI describes them.
enum OpenAPIParameters {
    static let list: [JSON] = [
        query("allowWatchBookmarks", "boolean", "Whether a watch gets events of type BOOKMARK."),
        query("continue", "string", "Where the next page begins, as the last one said."),
        query("fieldSelector", "string", "Which objects, by fields."),
        query("labelSelector", "string", "Which objects, by labels."),
        query("limit", "integer", "How many objects a page may have."),
        version,
        query("resourceVersionMatch", "string", "How `resourceVersion` is meant: `Exact` or `NotOlderThan`."),
        query("sendInitialEvents", "boolean", "Whether a watch begins with the objects there are."),
        query("timeoutSeconds", "integer", "How long a list or watch may take."),
        query("watch", "boolean", "Whether to watch changes instead of listing."),
    ]

    static let write: [JSON] = [
        dryRun,
        query("fieldManager", "string", "Who is noted as the manager of changed fields."),
        query("fieldValidation", "string", "What follows unknown fields: `Ignore`, `Warn` or `Strict`."),
    ]

    static let delete: [JSON] = [
        dryRun,
        query("gracePeriodSeconds", "integer", "Seconds until the object goes; 0 is at once."),
        query("orphanDependents", "boolean", "Superseded by `propagationPolicy`."),
        query("propagationPolicy", "string", "What becomes of dependents: `Orphan`, `Background` or `Foreground`."),
    ]

    static let force = query("force", "boolean", "Whether an apply takes over fields of others.")
    static let version = query("resourceVersion", "string", "Which state of the collection to answer from.")
    static let pretty = query("pretty", "string", "Whether to indent the answer.")
    static let namespace = path("namespace", "The namespace.")

    private static let dryRun = query("dryRun", "string", "`All`: go through everything and store nothing.")

    static func name(_ kind: String) -> JSON { path("name", "Name of the \(kind).") }

    private static func query(_ name: String, _ type: String, _ text: String) -> JSON {
        [
            "name": .string(name), "in": "query", "description": .string(text),
            "schema": ["type": .string(type), "uniqueItems": true],
        ]
    }

    private static func path(_ name: String, _ text: String) -> JSON {
        [
            "name": .string(name), "in": "path", "description": .string(text), "required": true,
            "schema": ["type": "string", "uniqueItems": true],
        ]
    }
}
