import KarsCore
import Testing

/// Roles as they are shipped, looked at as a reviewer would.
@Suite struct `Shipped roles` {
    struct Rule {
        var role: String
        var isClusterWide: Bool
        var groups: [String]
        var resources: [String]
        var verbs: [String]
        var names: [String]
    }

    static let manifests = KarsManifests.all(ManifestPart.allCases)

    static func rules(of resource: GroupVersionResource) -> [Rule] {
        manifests.filter { $0.resource == resource }.flatMap { manifest in
            (manifest.object["rules"]?.arrayValue ?? []).map { json in
                func texts(_ key: String) -> [String] { (json[key]?.arrayValue ?? []).compactMap(\.stringValue) }
                return Rule(
                    role: manifest.object.name, isClusterWide: resource == .clusterRoles, groups: texts("apiGroups"),
                    resources: texts("resources"), verbs: texts("verbs"), names: texts("resourceNames"))
            }
        }
    }

    /// Cluster roles that somebody has everywhere.
    static let everywhere = Set(
        manifests.filter { $0.resource == .clusterRoleBindings }.compactMap { $0.object["roleRef"]?["name"]?.stringValue })

    @Test func `no secret is read cluster-wide`() {
        let secrets = Self.rules(of: .clusterRoles).filter { $0.resources.contains("secrets") }
        #expect(secrets.map(\.role) == ["kars-sandbox-manager"])
        #expect(
            secrets.allSatisfy { !Self.everywhere.contains($0.role) && !$0.verbs.contains("list") && !$0.verbs.contains("watch") }
        )
    }

    @Test func `BEAT: the repair agent reads no secret`() {
        let rules = Self.rules(of: .clusterRoles).filter { ["kars-sre-reader", "kars-sre-action-author"].contains($0.role) }
        #expect(!rules.isEmpty && rules.allSatisfy { !$0.resources.contains("secrets") })
        #expect(
            rules.filter { $0.role == "kars-sre-reader" }.allSatisfy { Set($0.verbs).isSubset(of: ["get", "list", "watch"]) })
    }

    @Test func `nothing is granted with a star, and nobody escalates`() {
        for rule in Self.rules(of: .clusterRoles) + Self.rules(of: .roles) {
            #expect(!(rule.groups + rule.resources + rule.verbs).contains("*"), "\(rule)")
            #expect(!rule.verbs.contains("escalate") && !rule.verbs.contains("impersonate"), "\(rule)")
        }
    }

    @Test func `the controller binds named roles only, and writes neither roles nor pods`() {
        let rules = Self.rules(of: .clusterRoles).filter { $0.role == "kars-controller" }
        #expect(
            rules.filter { $0.verbs.contains("bind") }.map(\.names) == [
                ["kars-sandbox-manager", "kars-sandbox-spawner", "kars-sre-action-author"]
            ])
        for rule in rules where !rule.verbs.contains("bind") {
            let writes = !Set(rule.verbs).isSubset(of: ["get", "list", "watch"])
            for resource in ["roles", "clusterroles", "clusterrolebindings", "pods", "configmaps", "secrets", "deployments"] {
                #expect(!(writes && rule.resources.contains(resource)), "\(rule)")
            }
        }
    }

    @Test func `a sandbox's account has no right beyond its home namespace`() {
        #expect(!Self.everywhere.contains("kars-sandbox-spawner"))
    }

    @Test func `egress is approved by administrators of a namespace and not by its editors`() throws {
        let role = try #require(Self.manifests.first { $0.object.name == "kars:egress-approver" })
        #expect(role.object.labels["rbac.authorization.k8s.io/aggregate-to-admin"] == "true")
        #expect(role.object.labels["rbac.authorization.k8s.io/aggregate-to-edit"] == nil)
        let verbs = Self.rules(of: .clusterRoles).filter { $0.resources == ["egressapprovals"] && $0.role == role.object.name }
        #expect(verbs.map(\.verbs) == [["get", "list", "watch", "create", "delete"]])
    }

    @Test func `tokens are asked for two accounts only`() {
        let tokens = (Self.rules(of: .clusterRoles) + Self.rules(of: .roles)).filter {
            $0.resources.contains("serviceaccounts/token")
        }
        #expect(tokens.map(\.names) == [["kars-sre-granter", "kars-sre-writer"]])
        #expect(tokens.allSatisfy { !$0.isClusterWide })
    }

    @Test func `the one who acts has no right of its own`() {
        let bound = Self.manifests.filter { $0.object["subjects"] != nil }.flatMap { manifest in
            (manifest.object["subjects"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        }
        #expect(!bound.contains("kars-sre-writer"))
    }

    @Test func `without a repair agent there is nothing of it`() {
        let plain = KarsManifests.all(ManifestPart.allCases.filter { $0 != .sre })
        #expect(!plain.contains { $0.object.name.hasPrefix("kars-sre-granter") || $0.object.name.hasPrefix("kars-sre-reader") })
    }

    @Test func `another namespace is another namespace everywhere`() {
        var config = ManifestConfig()
        config.namespace = "agents"
        let text = YAML.emit(KarsManifests.all(ManifestPart.allCases, config).map { .object($0.object) })
        let mentions = text.split(separator: "\n").filter { $0.contains("kars-system") }
        // Where nothing is ever repaired, and the name of the policy that closes the network.
        #expect(
            mentions.allSatisfy {
                $0.contains("kars-system-default-deny") || $0.contains("kube-node-lease") || $0.contains("kube-public")
            },
            "\(mentions)")
    }
}
