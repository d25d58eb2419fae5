import KarsCore

/// The four questions "may this subject do that?" of authorization/v1, answered by the authorizer that decides in earnest.
struct AccessReviews: VirtualResource {
    enum Kind: String, CaseIterable, Sendable {
        case subject = "SubjectAccessReview"
        case local = "LocalSubjectAccessReview"
        case own = "SelfSubjectAccessReview"

        var type: APIObjectType {
            switch self {
            case .subject: ReviewTypes.subjectAccessReview
            case .local: ReviewTypes.localSubjectAccessReview
            case .own: ReviewTypes.selfSubjectAccessReview
            }
        }
    }

    let kind: Kind
    let authorizer: any Authorizer

    func create(_ object: JSONObject, _ info: RequestInfo) async throws(APIStatus) -> JSONObject {
        let spec = object["spec"]?.objectValue ?? JSONObject()
        let faults = ReviewKind(type: kind.type).faults(in: object)
        guard faults.isEmpty else { throw .invalid(group: "authorization.k8s.io", kind: "", name: "", faults) }
        let user = kind == .own ? info.user : Self.user(of: spec)
        var answer = object
        answer.metadata = kind == .local ? ["namespace": .string(info.namespace ?? "")] : [:]
        // What is empty stands for nothing, and is not sent back.
        if var attributes = spec["resourceAttributes"]?.objectValue {
            for (key, value) in attributes where value.stringValue == "" { attributes[key] = nil }
            var shown = spec
            shown["resourceAttributes"] = .object(attributes)
            answer["spec"] = .object(shown)
        }
        var status = JSONObject()
        switch authorizer.decide(user, Self.attributes(of: spec)) {
        case .allowed(let reason):
            status["allowed"] = true
            if !reason.isEmpty { status["reason"] = .string(reason) }
        case .denied(let reason):
            status["allowed"] = false
            if !reason.isEmpty { status["reason"] = .string(reason) }
        }
        answer["status"] = .object(status)
        return answer
    }

    private static func user(of spec: JSONObject) -> UserInfo {
        var extra: [String: [String]] = [:]
        for (key, value) in spec["extra"]?.objectValue ?? JSONObject() {
            extra[key] = (value.arrayValue ?? []).compactMap(\.stringValue)
        }
        return UserInfo(
            name: spec["user"]?.stringValue ?? "", uid: spec["uid"]?.stringValue,
            groups: (spec["groups"]?.arrayValue ?? []).compactMap(\.stringValue), extra: extra)
    }

    private static func attributes(of spec: JSONObject) -> AccessAttributes {
        func text(_ json: JSON?, _ key: String) -> String? {
            json?[key]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let path = spec["nonResourceAttributes"], !path.isNull {
            return AccessAttributes(verb: text(path, "verb") ?? "", target: .path(text(path, "path") ?? ""))
        }
        let json = spec["resourceAttributes"]
        let resource = GroupVersionResource(
            group: text(json, "group") ?? "", version: text(json, "version") ?? "", resource: text(json, "resource") ?? "")
        return AccessAttributes(
            verb: text(json, "verb") ?? "",
            target: .resource(
                resource, subresource: text(json, "subresource"), namespace: text(json, "namespace"), name: text(json, "name")))
    }
}

/// `SelfSubjectRulesReview`: what the caller may do in a namespace.
struct RulesReviews: VirtualResource {
    let rules: AccessRules
    let keepsQuestion = false

    func create(_ object: JSONObject, _ info: RequestInfo) async throws(APIStatus) -> JSONObject {
        guard let namespace = object["spec"]?["namespace"]?.stringValue, !namespace.isEmpty else {
            throw .badRequest("no namespace on request")
        }
        var resources: [JSON] = []
        var paths: [JSON] = []
        let all = PolicyRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"])
        let everything = PolicyRule(verbs: ["*"], nonResourceURLs: ["*"])
        let isMaster = info.user.groups.contains("system:masters")
        for rule in (isMaster ? [all, everything] : []) + rules.rules(for: info.user, in: namespace) {
            if rule.nonResourceURLs.isEmpty { resources.append(rule.json) } else { paths.append(rule.json) }
        }
        var answer = object
        answer.metadata = [:]
        answer["spec"] = [:]
        answer["status"] = ["resourceRules": .array(resources), "nonResourceRules": .array(paths), "incomplete": false]
        return answer
    }
}
