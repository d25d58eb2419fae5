import KarsCore

@testable import Kars

/// What an account may do with nothing but what is shipped, read from the manifests: the rights that it has everywhere, those in the
/// operator's namespace, and those that come with the namespace of each sandbox.
struct ShippedRights {
    /// One verb on one resource (of one name), as one role grants it.
    struct Right: Hashable, Sendable, CustomStringConvertible {
        var role: String
        var verb: String
        var group: String
        var resource: String
        var name: String?
        var scope: Scope

        var description: String {
            "\(role): \(verb) \(resource)\(group.isEmpty ? "" : ".\(group)")\(name.map { " \($0)" } ?? "")"
        }

        func allows(_ question: RecordedAccess.Question) -> Bool {
            let rule = PolicyRule(
                verbs: [verb], apiGroups: [group], resources: [resource], resourceNames: name.map { [$0] } ?? [])
            return scope.holds(in: question.namespace) && rule.allows(question.attributes)
        }
    }

    enum Scope: Hashable, Sendable {
        case everywhere
        case namespace(String)
        /// Of all sandboxes.
        case sandboxes

        func holds(in namespace: String?) -> Bool {
            switch self {
            case .everywhere: true
            case .namespace(let own): namespace == own
            case .sandboxes: namespace.map { $0.hasPrefix("kars-") && $0 != ManifestConfig().namespace } ?? false
            }
        }
    }

    let rights: Set<Right>

    init(of account: String, in manifests: [Manifest], lent: [String] = []) {
        var rights: Set<Right> = []
        func add(_ role: String, _ kind: GroupVersionResource, _ scope: Scope) {
            for manifest in manifests where manifest.resource == kind && manifest.object.name == role {
                for atom in AccessRules.rules(of: manifest.object).flatMap(\.atoms) {
                    rights.insert(
                        Right(
                            role: role, verb: atom.verbs[0], group: atom.apiGroups[0], resource: atom.resources[0],
                            name: atom.resourceNames.first, scope: scope))
                }
            }
        }
        for binding in manifests where [.roleBindings, .clusterRoleBindings].contains(binding.resource) {
            guard binding.object["subjects"]?.arrayValue?.contains(where: { $0["name"]?.stringValue == account }) == true,
                let role = binding.object["roleRef"]?["name"]?.stringValue
            else { continue }
            let isClusterRole = binding.object["roleRef"]?["kind"] == "ClusterRole"
            add(
                role, isClusterRole ? .clusterRoles : .roles,
                binding.object.namespace.map(Scope.namespace) ?? .everywhere)
        }
        for role in lent { add(role, .clusterRoles, .sandboxes) }
        self.rights = rights
    }

    func covers(_ question: RecordedAccess.Question) -> Bool { rights.contains { $0.allows(question) } }

    /// Rights that none of `questions` took.
    func unused(by questions: [RecordedAccess.Question]) -> [String] {
        rights.filter { right in !questions.contains(where: right.allows) }.map(\.description).sorted()
    }
}
