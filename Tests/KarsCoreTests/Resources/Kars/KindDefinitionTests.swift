import KarsCore
import Testing

/// What the API server is told of our kinds.
@Suite struct `Definitions of kinds` {
    @Test(arguments: KarsManifests.kinds.map(\.kind))
    func `a definition is one that every API server takes`(name: String) throws {
        let kind = try #require(KarsManifests.kinds.first { $0.kind == name })
        let path = "spec.versions[0].schema.openAPIV3Schema"
        let json = try #require(kind.manifest.object["spec"]?["versions"]?[0]?["schema"]?["openAPIV3Schema"])
        let schema = try StructuralSchema(reading: json, at: path)
        #expect(schema.structuralFaults(at: path) == [])
        let rules = SchemaRules(compiling: schema, at: path)
        #expect(rules.faults == [], "every rule compiles, within what it may cost")
        // C1 to C6 of the fact sheet.
        let version = try #require(kind.manifest.object["spec"]?["versions"]?[0])
        #expect(version["served"] == true && version["storage"] == true && version["name"] == "v1alpha1")
        #expect(version["additionalPrinterColumns"]?.arrayValue?.last?["name"] == "Age")
        #expect(version["subresources"] == ["status": [:]])
        #expect(!rules.isEmpty)
        let conditions = try #require(schema.properties["status"]?.properties["conditions"])
        #expect(conditions.listType == .map(keys: ["type"]))
        #expect(!schema.preservesUnknownFields && !(schema.properties["spec"]?.preservesUnknownFields ?? true))
        #expect(kind.manifest.object.name == "\(kind.plural).kars.azure.com")
        #expect(kind.manifest.object.labels["app.kubernetes.io/component"] == "crd")
    }

    /// The table at the beginning of the fact sheet.
    @Test(arguments: [
        ("KarsSandbox", "karssandboxes", "cs", "Namespaced"), ("InferencePolicy", "inferencepolicies", "ip", "Namespaced"),
        ("ToolPolicy", "toolpolicies", "tp", "Namespaced"), ("McpServer", "mcpservers", "mcp", "Namespaced"),
        ("KarsMemory", "karsmemories", "cmem", "Namespaced"), ("A2AAgent", "a2aagents", "a2a", "Namespaced"),
        ("TrustGraph", "trustgraphs", "tg", "Cluster"), ("EgressApproval", "egressapprovals", "eappr", "Namespaced"),
        ("KarsSREAction", "karssreactions", "sreaction", "Namespaced"), ("KarsEval", "karsevals", "ceval", "Namespaced"),
        ("KarsAuthConfig", "karsauthconfigs", "kac", "Cluster"), ("KarsPairing", "karspairings", "cp", "Namespaced"),
    ])
    func `a kind is called what the fact sheet calls it`(kind: String, plural: String, short: String, scope: String) throws {
        let names = try #require(KarsManifests.kinds.first { $0.kind == kind }).manifest.object["spec"]
        #expect(names?["names"]?["plural"]?.stringValue == plural && names?["names"]?["shortNames"] == [.string(short)])
        #expect(names?["names"]?["singular"]?.stringValue == kind.lowercased() && names?["scope"]?.stringValue == scope)
    }

    @Test func `a small definition as a whole`() {
        let kind = KarsKind(
            kind: "Thing", plural: "things", shortName: "th", summary: "A thing.",
            columns: [.phase, .init("Wide", ".spec.a", type: "integer", priority: 1), .age],
            spec: StructuralSchema(object: ["a": .int64.atLeast(1)], required: ["a"]),
            status: StructuralSchema(object: ["phase": .string]),
            rules: [.init("self.metadata.name != 'x'", message: "no x")])
        #expect(
            YAML.emit(.object(kind.manifest.object)) == """
                apiVersion: apiextensions.k8s.io/v1
                kind: CustomResourceDefinition
                metadata:
                  name: things.kars.azure.com
                  labels:
                    app.kubernetes.io/component: crd
                    app.kubernetes.io/name: kars
                spec:
                  group: kars.azure.com
                  names:
                    categories:
                    - kars
                    kind: Thing
                    listKind: ThingList
                    plural: things
                    shortNames:
                    - th
                    singular: thing
                  scope: Namespaced
                  versions:
                  - name: v1alpha1
                    served: true
                    storage: true
                    subresources:
                      status: {}
                    additionalPrinterColumns:
                    - name: Phase
                      type: string
                      jsonPath: .status.phase
                    - name: Wide
                      type: integer
                      jsonPath: .spec.a
                      priority: 1
                    - name: Age
                      type: date
                      jsonPath: .metadata.creationTimestamp
                    schema:
                      openAPIV3Schema:
                        description: A thing.
                        type: object
                        required:
                        - spec
                        properties:
                          apiVersion:
                            description: The group and version of this object.
                            type: string
                          kind:
                            description: What this object is.
                            type: string
                          metadata:
                            type: object
                          spec:
                            type: object
                            required:
                            - a
                            properties:
                              a:
                                type: integer
                                format: int64
                                minimum: 1
                          status:
                            type: object
                            properties:
                              phase:
                                type: string
                        x-kubernetes-validations:
                        - rule: self.metadata.name != 'x'
                          message: no x

                """)
    }
}
