import KarsCore

/// What expressions of a policy get to see of one request.
struct PolicyInputs: Sendable {
    let request: RequestInfo
    let operation: AdmissionOperation
    let object: JSONObject
    let old: JSONObject?
    /// The namespace that the object is in.
    let namespace: JSONObject?
    let authorizer: any Authorizer

    private var name: String { object.name.isEmpty ? request.name ?? "" : object.name }

    /// - Parameters:
    ///   - matched: the version of the resource that the policy speaks of; objects are shown in it.
    ///   - parameters: the object that the binding refers to, if any.
    func values(as matched: GroupVersionResource, parameters: JSONObject?) throws(CELEvaluationError) -> [String: CELValue] {
        let check = CELAuthorization(
            PolicyAuthorizer(user: request.user, authorizer: authorizer), about: question)
        return [
            "object": operation == .delete ? .null : try shown(object, as: matched),
            "oldObject": try old.map { (old) throws(CELEvaluationError) in try shown(old, as: matched) } ?? .null,
            "params": try parameters.map { (object) throws(CELEvaluationError) in try CELValue(.object(object)) } ?? .null,
            "request": .object(CELObject(members: requestObject(matched), type: PolicyEnvironment.request)),
            "namespaceObject": namespace.map { .object(CELObject(members: $0, type: PolicyEnvironment.namespace)) } ?? .null,
            PolicyEnvironment.authorizer: .opaque(
                .authorization(CELAuthorization(PolicyAuthorizer(user: request.user, authorizer: authorizer)))),
            PolicyEnvironment.requestResource: .opaque(.authorization(check)),
        ]
    }

    private func shown(_ object: JSONObject, as resource: GroupVersionResource) throws(CELEvaluationError) -> CELValue {
        var object = object
        object["apiVersion"] = .string(resource.groupVersion.description)
        return try CELValue(.object(object))
    }

    private var question: CELAuthorizationQuestion.Resource {
        var question = CELAuthorizationQuestion.Resource(group: request.resource.group, resource: request.resource.resource)
        question.subresource = request.subresource ?? ""
        question.namespace = request.namespace ?? ""
        question.name = name
        return question
    }

    /// `AdmissionRequest` of admission/v1, as far as expressions see it.
    private func requestObject(_ matched: GroupVersionResource) -> JSONObject {
        func kind(_ resource: GroupVersionResource) -> JSON {
            [
                "group": .string(resource.group), "version": .string(resource.version),
                "kind": object["kind"] ?? "",
            ]
        }
        func json(_ resource: GroupVersionResource) -> JSON {
            ["group": .string(resource.group), "version": .string(resource.version), "resource": .string(resource.resource)]
        }
        let options =
            switch operation {
            case .create: "CreateOptions"
            case .update: "UpdateOptions"
            case .delete: "DeleteOptions"
            // What a connection asks for is the object itself.
            case .connect: ""
            }
        return [
            "kind": kind(matched), "resource": json(matched), "subResource": .string(request.subresource ?? ""),
            "requestKind": kind(request.resource), "requestResource": json(request.resource),
            "requestSubResource": .string(request.subresource ?? ""), "name": .string(name),
            "namespace": .string(request.namespace ?? ""), "operation": .string(operation.rawValue),
            "userInfo": .object(request.user.json), "dryRun": .bool(request.isDryRun),
            "options": operation == .connect ? .null : ["kind": .string(options), "apiVersion": "meta.k8s.io/v1"],
        ]
    }
}
