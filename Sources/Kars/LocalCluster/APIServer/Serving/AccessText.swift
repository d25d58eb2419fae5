import KarsCore

/// The words of refused access (apiserver `responsewriters.Forbidden`).
enum AccessText {
    static func forbidden(_ user: UserInfo, _ attributes: AccessAttributes, _ reason: String) -> APIStatus {
        let subject = "User \(JSON.string(user.name)) cannot \(attributes.verb)"
        let why = reason.isEmpty ? "" : ": \(reason)"
        switch attributes.target {
        case .path(let path):
            return .bare(403, .forbidden, "forbidden: \(subject) path \(JSON.string(path))\(why)")
        case .resource(let resource, let subresource, let namespace, let name):
            let what = subresource.map { "\(resource.resource)/\($0)" } ?? resource.resource
            let place = namespace.map { "in the namespace \"\($0)\"" } ?? "at the cluster scope"
            return .forbidden(
                resource, name: name,
                "\(subject) resource \"\(what)\" in API group \"\(resource.group)\" \(place)\(why)")
        }
    }
}

/// Acting as somebody else (`Impersonate-…` headers, KEP-5284 for the words of the refusal).
struct Impersonation: Sendable {
    private let name: String?
    private let uid: String?
    private let groups: [String]
    private var extra: [String: [String]] = [:]
    private let authorizer: any Authorizer

    init(_ headers: HTTPHeaders, _ authorizer: any Authorizer) {
        self.authorizer = authorizer
        name = headers["impersonate-user"].flatMap { $0.isEmpty ? nil : $0 }
        uid = headers["impersonate-uid"].flatMap { $0.isEmpty ? nil : $0 }
        groups = headers.values("impersonate-group").filter { !$0.isEmpty }
        let prefix = "impersonate-extra-"
        for (field, value) in headers where field.lowercased().hasPrefix(prefix) {
            let key = field.lowercased().dropFirst(prefix.utf8.count)
            extra[PercentEncoding.decode(key, plusIsSpace: false) ?? String(key), default: []].append(value)
        }
    }

    /// Who the request counts for. Throws 403 when `user` may not act as them.
    func user(for user: UserInfo, _ attributes: AccessAttributes) throws(APIStatus) -> UserInfo {
        guard let name else {
            guard uid == nil, groups.isEmpty, extra.isEmpty else {
                throw .internalError("requested impersonation of groups, extra or uid without impersonating a user")
            }
            return user
        }
        let account = name.split(separator: ":", omittingEmptySubsequences: false)
        let isAccount = account.count == 4 && account[0] == "system" && account[1] == "serviceaccount"
        var needed: [AccessAttributes] = []
        if isAccount {
            needed.append(Self.right("serviceaccounts", group: "", namespace: String(account[2]), name: String(account[3])))
        } else {
            needed.append(Self.right("users", group: "", name: name))
        }
        needed += groups.map { Self.right("groups", group: "", name: $0) }
        if let uid { needed.append(Self.right("uids", group: "authentication.k8s.io", name: uid)) }
        for (key, values) in extra {
            needed += values.map { Self.right("userextras", group: "authentication.k8s.io", subresource: key, name: $0) }
        }
        for right in needed {
            guard case .allowed = authorizer.decide(user, right) else {
                var refused = attributes
                refused.verb = "impersonate-on:user-info:\(attributes.verb)"
                throw AccessText.forbidden(user, refused, "")
            }
        }
        var groups = groups
        if groups.isEmpty, isAccount { groups = ["system:serviceaccounts", "system:serviceaccounts:\(account[2])"] }
        let isNobody = name == UserInfo.anonymous.name
        let everybody = isNobody ? "system:unauthenticated" : "system:authenticated"
        if !groups.contains(everybody) { groups.append(everybody) }
        return UserInfo(name: name, uid: uid, groups: groups, extra: extra)
    }

    private static func right(
        _ resource: String, group: String, subresource: String? = nil, namespace: String? = nil, name: String
    ) -> AccessAttributes {
        AccessAttributes(
            verb: "impersonate",
            target: .resource(
                GroupVersionResource(group: group, version: "v1", resource: resource), subresource: subresource,
                namespace: namespace, name: name))
    }
}
