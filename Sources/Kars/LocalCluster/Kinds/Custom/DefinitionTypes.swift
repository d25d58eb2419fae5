import KarsCore

/// Types of apiextensions/v1.
enum DefinitionTypes {
    static let names = APIObjectType(
        .extensions, "CustomResourceDefinitionNames", "What the kind is called.",
        [
            .required("plural", .string, "As paths have it: plural, lower case."),
            .optional("singular", .string, "Lower case; the kind when absent."),
            .optional("shortNames", .list(.string), "Short names for the command line."),
            .required("kind", .string, "In CamelCase."),
            .optional("listKind", .string, "Kind of lists; the kind and `List` when absent."),
            .optional("categories", .list(.string), "Groups of resources, for instance `all`."),
        ])

    static let rule = APIObjectType(
        .extensions, "ValidationRule", "A condition in CEL.",
        [
            .required("rule", .string, "The expression; `self` is the value, `oldSelf` the one it replaces."),
            .optional("message", .string, "What is said when it does not hold."),
            .optional("messageExpression", .string, "An expression for what is said."),
            .pointer("reason", .string, "Kind of the fault."),
            .optional("fieldPath", .string, "The field that is named in the fault."),
            .pointer("optionalOldSelf", .boolean, "Whether the rule also holds for new values."),
        ])

    /// JSON schema with Kubernetes' extensions; contains itself.
    static let schemaProps: APIObjectType = APIObjectType(
        .extensions, "JSONSchemaProps", "What a value may be.",
        [
            .optional("id", .string, "Not allowed."),
            .optional("$schema", .string, "Not used."),
            .pointer("$ref", .string, "Not allowed."),
            .optional("description", .string, "What the value is for."),
            .optional("type", .string, "Type of the value."),
            .optional("format", .string, "Form of text or size of numbers."),
            .optional("title", .string, "A title."),
            .pointer("default", .anyValue, "What an absent value becomes."),
            .pointer("maximum", .anyNumber, "The largest number."),
            .optional("exclusiveMaximum", .boolean, "Whether the largest number itself is too large."),
            .pointer("minimum", .anyNumber, "The smallest number."),
            .optional("exclusiveMinimum", .boolean, "Whether the smallest number itself is too small."),
            .pointer("maxLength", .int64, "The longest text."),
            .pointer("minLength", .int64, "The shortest text."),
            .optional("pattern", .string, "A regular expression for text."),
            .pointer("maxItems", .int64, "The longest list."),
            .pointer("minItems", .int64, "The shortest list."),
            .optional("uniqueItems", .boolean, "Not allowed."),
            .pointer("multipleOf", .anyNumber, "What numbers are multiples of."),
            .optional("enum", .list(.anyValue), "All values there are."),
            .pointer("maxProperties", .int64, "The most members."),
            .pointer("minProperties", .int64, "The fewest members."),
            .optional("required", .list(.string), "Members that must be there."),
            .pointer("items", .anyValue, "What elements may be."),
            .optional("allOf", .list(.recursive { schemaProps }), "Schemas that all must fit."),
            .optional("oneOf", .list(.recursive { schemaProps }), "Schemas of which one must fit."),
            .optional("anyOf", .list(.recursive { schemaProps }), "Schemas of which some must fit."),
            .optional("not", .recursive { schemaProps }, "A schema that must not fit."),
            .optional("properties", .map(.recursive { schemaProps }), "What members may be."),
            .pointer("additionalProperties", .anyValue, "What other members may be."),
            .optional("patternProperties", .map(.recursive { schemaProps }), "Not allowed."),
            .optional("dependencies", .map(.anyValue), "Not allowed."),
            .pointer("additionalItems", .anyValue, "Not allowed."),
            .optional("definitions", .map(.recursive { schemaProps }), "Not allowed."),
            .pointer("externalDocs", .anyValue, "Where more is said."),
            .pointer("example", .anyValue, "An example."),
            .optional("nullable", .boolean, "Whether null is allowed."),
            .pointer("x-kubernetes-preserve-unknown-fields", .boolean, "Keeps members that are not declared."),
            .optional("x-kubernetes-embedded-resource", .boolean, "The value is an object with a kind of its own."),
            .optional("x-kubernetes-int-or-string", .boolean, "The value is a number or text."),
            .optional("x-kubernetes-list-map-keys", .list(.string), "Members that tell elements apart."),
            .pointer("x-kubernetes-list-type", .string, "How lists are merged."),
            .pointer("x-kubernetes-map-type", .string, "How maps are merged."),
            .optional("x-kubernetes-validations", .keyed(rule, by: "rule"), "Conditions in CEL."),
        ])

    static let validation = APIObjectType(
        .extensions, "CustomResourceValidation", "What objects may hold.",
        [.optional("openAPIV3Schema", .object(schemaProps), "The schema.")])

    static let scale = APIObjectType(
        .extensions, "CustomResourceSubresourceScale", "Where the scale subresource finds its numbers.",
        [
            .required("specReplicasPath", .string, "Path of the wanted number, below `.spec`."),
            .required("statusReplicasPath", .string, "Path of the present number, below `.status`."),
            .pointer("labelSelectorPath", .string, "Path of the selector of the replicas, as text."),
        ])

    static let subresources = APIObjectType(
        .extensions, "CustomResourceSubresources", "Subresources of objects.",
        [
            .optional(
                "status",
                .rawObject(
                    name: "\(APIPackage.extensions.rawValue).CustomResourceSubresourceStatus",
                    description: "Marks that `status` is written by itself."),
                "`status` is written by itself."),
            .optional("scale", .object(scale), "The number of replicas is written by itself."),
        ])

    static let column = APIObjectType(
        .extensions, "CustomResourceColumnDefinition", "A column of `kubectl get`.",
        [
            .required("name", .string, "Its head."),
            .required("type", .string, "Type of its cells."),
            .optional("format", .string, "Form of its cells."),
            .optional("description", .string, "What it shows."),
            .optional("priority", .int32, "0 is always shown, more only with `-o wide`."),
            .required("jsonPath", .string, "Where the cell is in the object."),
        ])

    static let version = APIObjectType(
        .extensions, "CustomResourceDefinitionVersion", "One version of the kind.",
        [
            .required("name", .string, "Name of the version, for instance `v1`."),
            .required("served", .boolean, "Whether the version is served."),
            .required("storage", .boolean, "Whether objects are stored in this version; one is."),
            .optional("deprecated", .boolean, "Whether requests are answered with a warning."),
            .pointer("deprecationWarning", .string, "The text of that warning."),
            .optional("schema", .object(validation), "What objects may hold."),
            .optional("subresources", .object(subresources), "Subresources of objects."),
            .optional("additionalPrinterColumns", .list(column), "Columns of `kubectl get`."),
            .optional(
                "selectableFields",
                .list(
                    APIObjectType(
                        .extensions, "SelectableField", "A field that selectors may name.",
                        [.required("jsonPath", .string, "Where it is in the object.")])),
                "Fields that field selectors may name."),
        ])

    static let definition = APIObjectType.kind(
        .extensions, "CustomResourceDefinition", "A kind that is served besides the built-in ones.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .extensions, "CustomResourceDefinitionSpec", "How the kind is.",
                        [
                            .required("group", .string, "Its API group."),
                            .required("names", .object(names), "What it is called."),
                            .required("scope", .choice(["Cluster", "Namespaced"]), "Whether objects are in namespaces."),
                            .required("versions", .list(version), "Its versions."),
                            .optional(
                                "conversion",
                                .object(
                                    APIObjectType(
                                        .extensions, "CustomResourceConversion", "How versions become each other.",
                                        [.required("strategy", .choice(["None"]), "`None`: only `apiVersion` changes.")])),
                                "How versions become each other."),
                            .optional("preserveUnknownFields", .boolean, "No longer allowed."),
                        ])),
                "How the kind is."),
            .shown(
                "status",
                .object(
                    APIObjectType(
                        .extensions, "CustomResourceDefinitionStatus", "Whether the kind is served.",
                        [
                            .shown("conditions", .keyed(condition, by: "type"), "Aspects of its state."),
                            .shown("acceptedNames", .object(names), "The names in use."),
                            .shown("storedVersions", .list(.string), "Versions that objects may be stored in."),
                            .optional("observedGeneration", .int64, "The generation that was looked at."),
                        ])),
                "Whether the kind is served."),
        ])

    static let condition = APIObjectType(
        .extensions, "CustomResourceDefinitionCondition", "One aspect of a definition's state.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
            .optional("observedGeneration", .int64, "The generation that was looked at."),
        ])
}
