import KarsCore
import Testing

/// The operator's own namespace and pod, as they are shipped.
@Suite struct `Shipped operator` {
    static let manifests = KarsManifests.part(.controller)

    private static func object(_ kind: String, _ name: String) throws -> JSONObject {
        try #require(manifests.first { $0.object["kind"]?.stringValue == kind && $0.object.name == name }).object
    }

    @Test func `the controller's pod knows its name and namespace`() throws {
        let pod = try Self.object("Deployment", "kars-controller")["spec"]?["template"]?["spec"]
        let environment = pod?["containers"]?[0]?["env"]?.arrayValue ?? []
        func field(_ name: String) -> JSON? {
            environment.first { $0["name"]?.stringValue == name }?["valueFrom"]?["fieldRef"]?["fieldPath"]
        }
        #expect(field("POD_NAME") == "metadata.name" && field("POD_NAMESPACE") == "metadata.namespace")
    }

    @Test func `the controller compiles with the floor that admission holds`() throws {
        for floor in SafetySeverity.allCases {
            var config = ManifestConfig()
            config.contentSafetyFloor = floor
            let environment = KarsManifests.part(.controller, config).flatMap { manifest in
                manifest.object["spec"]?["template"]?["spec"]?["containers"]?[0]?["env"]?.arrayValue ?? []
            }
            let value = environment.first { $0["name"] == "CONTENT_SAFETY_FLOOR" }?["value"]?.stringValue
            #expect(value.flatMap(SafetySeverity.init(name:)) == floor)
        }
    }

    @Test func `what is added to the operator's namespace has an opening of its own`() throws {
        let closed = try Self.object("NetworkPolicy", "kars-system-default-deny")["spec"]
        #expect(closed?["podSelector"] == [:] && closed?["ingress"] == nil)
        for (component, port) in [("controller", 9_091), ("a2a-gateway", 8_443)] {
            let opening = try Self.object("NetworkPolicy", "kars-\(component)")["spec"]
            #expect(opening?["podSelector"]?["matchLabels"]?["app.kubernetes.io/component"]?.stringValue == component)
            let ports = (opening?["ingress"]?[0]?["ports"]?.arrayValue ?? []).compactMap { $0["port"]?.intValue }
            #expect(ports.contains(port))
            #expect(opening?["egress"]?.arrayValue?.isEmpty == false)
        }
    }

    @Test func `nobody's signature counts until somebody says whose`() throws {
        let data = try Self.object("ConfigMap", ControllerManifests.signerPolicy)["data"]?.objectValue ?? JSONObject()
        #expect(!data.members.isEmpty)
        for file in data.members {
            let lines = (file.value.stringValue ?? "?").split(separator: "\n")
            #expect(lines.allSatisfy { $0.hasPrefix("#") }, "\(file.key)")
        }
    }
}
