import KarsCore
import Synchronization

@testable import Kars

/// Notes every question of access that the API server decides, and lets the real authorizer decide it.
final class RecordedAccess: Sendable {
    struct Question: Hashable, Sendable, CustomStringConvertible {
        var user: String
        var verb: String
        var group: String
        /// With the subresource: `pods/log`.
        var resource: String
        var namespace: String?
        var name: String?

        var description: String {
            let place = [namespace, name].map { $0 ?? "-" }.joined(separator: "/")
            return "\(user.split(separator: ":").last ?? ""): \(verb) \(resource)\(group.isEmpty ? "" : ".\(group)") \(place)"
        }

        var attributes: AccessAttributes {
            let parts = resource.split(separator: "/", maxSplits: 1).map(String.init)
            return AccessAttributes(
                verb: verb,
                target: .resource(
                    GroupVersionResource(group: group, version: "v1", resource: parts[0]),
                    subresource: parts.count > 1 ? parts[1] : nil, namespace: namespace, name: name))
        }
    }

    /// Each question once, with whether it was ever refused.
    private let questions = Mutex<[Question: Bool]>([:])

    func around(_ authorizer: any Authorizer) -> any Authorizer { Recorder(base: authorizer, record: self) }

    /// What `user` asked for.
    func asked(by user: String) -> [Question] {
        questions.withLock { $0.keys.filter { $0.user == user } }.sorted { $0.description < $1.description }
    }

    /// What `user` asked for and was refused at least once.
    func refused(to user: String) -> [Question] {
        questions.withLock { $0.filter { $0.key.user == user && $0.value }.map(\.key) }.sorted { $0.description < $1.description }
    }

    private struct Recorder: Authorizer {
        let base: any Authorizer
        let record: RecordedAccess

        func decide(_ user: UserInfo, _ attributes: AccessAttributes) -> AccessDecision {
            let decision = base.decide(user, attributes)
            guard case .resource(let resource, let subresource, let namespace, let name) = attributes.target else {
                return decision
            }
            let question = Question(
                user: user.name, verb: attributes.verb, group: resource.group,
                resource: resource.resource + (subresource.map { "/\($0)" } ?? ""), namespace: namespace, name: name)
            var isRefused = false
            if case .denied = decision { isRefused = true }
            record.questions.withLock { $0[question] = $0[question, default: false] || isRefused }
            return decision
        }
    }
}
