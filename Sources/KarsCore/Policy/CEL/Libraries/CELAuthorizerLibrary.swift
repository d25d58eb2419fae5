/// Answers whether the user of a request, or a service account, may do something: the caller's side of the variable `authorizer`.
package protocol CELAuthorizer: Sendable {
    func decide(_ question: CELAuthorizationQuestion) -> CELAuthorizationDecision
}

/// What an expression asks the authorizer.
package struct CELAuthorizationQuestion: Equatable, Sendable {
    package enum Target: Equatable, Sendable {
        case path(String)
        case resource(Resource)
    }

    package struct Resource: Equatable, Sendable {
        /// Empty for the core group.
        package var group = ""
        package var resource = ""
        package var subresource = ""
        /// Empty for the whole cluster.
        package var namespace = ""
        /// Empty for any.
        package var name = ""
        package var fieldSelector = ""
        package var labelSelector = ""

        package init(group: String = "", resource: String = "") {
            self.group = group
            self.resource = resource
        }
    }

    package struct ServiceAccount: Equatable, Sendable {
        package var namespace: String
        package var name: String

        package init(namespace: String, name: String) {
            self.namespace = namespace
            self.name = name
        }
    }

    /// Nil for the user of the request.
    package var serviceAccount: ServiceAccount?
    package var target: Target
    package var verb: String

    package init(serviceAccount: ServiceAccount? = nil, target: Target, verb: String) {
        self.serviceAccount = serviceAccount
        self.target = target
        self.verb = verb
    }
}

package struct CELAuthorizationDecision: Equatable, Sendable {
    package var isAllowed: Bool
    package var reason: String
    /// Why there was no decision; nil when there was one.
    package var error: String?

    package init(isAllowed: Bool, reason: String = "", error: String? = nil) {
        self.isAllowed = isAllowed
        self.reason = reason
        self.error = error
    }
}

/// The variable `authorizer`, and a question that is being put together from it.
package struct CELAuthorization: Sendable {
    enum Stage: Equatable, Sendable {
        case authorizer
        case group
        case target(CELAuthorizationQuestion.Target)
    }

    let authorizer: any CELAuthorizer
    var serviceAccount: CELAuthorizationQuestion.ServiceAccount?
    var resource = CELAuthorizationQuestion.Resource()
    var stage = Stage.authorizer

    package init(_ authorizer: any CELAuthorizer) { self.authorizer = authorizer }

    /// A question about `resource` that lacks its verb only: the variable `authorizer.requestResource`.
    package init(_ authorizer: any CELAuthorizer, about resource: CELAuthorizationQuestion.Resource) {
        self.authorizer = authorizer
        self.resource = resource
        stage = .target(.resource(resource))
    }

    var type: CELOpaqueType {
        switch stage {
        case .authorizer: .authorizer
        case .group: .groupCheck
        case .target(.path): .pathCheck
        case .target(.resource): .resourceCheck
        }
    }
}

extension CELAuthorization: Equatable {
    /// The same question, whoever answers it.
    package static func == (left: Self, right: Self) -> Bool {
        left.serviceAccount == right.serviceAccount && left.resource == right.resource && left.stage == right.stage
    }
}

/// The authorizer library of Kubernetes.
enum CELAuthorizerLibrary {
    static let overloads: [CELOverload] = [
        step("path", .authorizer, .pathCheck) { (authorization, text) throws(CELEvaluationError) in
            authorization.stage = .target(.path(try nonEmpty(text, "path")))
        },
        step("group", .authorizer, .groupCheck) { (authorization, text) throws(CELEvaluationError) in
            authorization.resource.group = text
            authorization.stage = .group
        },
        step("resource", .groupCheck, .resourceCheck) { (authorization, text) throws(CELEvaluationError) in
            authorization.resource.resource = try nonEmpty(text, "resource")
        },
        narrowing("subresource", \.subresource), narrowing("namespace", \.namespace), narrowing("name", \.name),
        narrowing("fieldSelector", \.fieldSelector), narrowing("labelSelector", \.labelSelector),
        .member(
            "serviceAccount", [.opaque(.authorizer), .string, .string], .opaque(.authorizer), .general(serviceAccount)),
        .member("check", [.opaque(.pathCheck), .string], .opaque(.decision), .binary(check)),
        .member("check", [.opaque(.resourceCheck), .string], .opaque(.decision), .binary(check)),
        reading("allowed", .bool) { .bool($0.isAllowed) },
        reading("reason", .string) { .string($0.reason) },
        reading("errored", .bool) { .bool($0.error != nil) },
        reading("error", .string) { .string($0.error ?? "") },
    ]

    private static func step(
        _ name: String, _ from: CELOpaqueType, _ to: CELOpaqueType,
        _ change: @escaping @Sendable (inout CELAuthorization, String) throws(CELEvaluationError) -> Void
    ) -> CELOverload {
        .member(
            name, [.opaque(from), .string], .opaque(to),
            .binary { (value, text, frame) throws(CELEvaluationError) in
                guard case .opaque(.authorization(var authorization)) = value, authorization.type == from else {
                    throw .noSuchOverload
                }
                try frame.charge(1)
                try change(&authorization, try text.text())
                if to == .resourceCheck { authorization.stage = .target(.resource(authorization.resource)) }
                return .opaque(.authorization(authorization))
            })
    }

    private static func narrowing(
        _ name: String, _ field: any WritableKeyPath<CELAuthorizationQuestion.Resource, String> & Sendable
    ) -> CELOverload {
        step(name, .resourceCheck, .resourceCheck) { (authorization, text) throws(CELEvaluationError) in
            authorization.resource[keyPath: field] = text
        }
    }

    private static func nonEmpty(_ text: String, _ what: String) throws(CELEvaluationError) -> String {
        guard text.unicodeScalars.contains(where: { !$0.properties.isWhitespace }) else {
            throw .invalid("\(what) must not be empty")
        }
        return text
    }

    static func serviceAccount(_ arguments: [CELValue], _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.authorization(var authorization)) = arguments[0], authorization.type == .authorizer else {
            throw .noSuchOverload
        }
        try frame.charge(1)
        let namespace = try arguments[1].text()
        let name = try arguments[2].text()
        guard KubernetesNames.dns1123Subdomain(name).isEmpty else { throw .invalid("Invalid service account name") }
        guard KubernetesNames.dns1123Label(namespace).isEmpty else { throw .invalid("Invalid service account namespace") }
        authorization.serviceAccount = .init(namespace: namespace, name: name)
        return .opaque(.authorization(authorization))
    }

    /// Costs so much that an expression can ask twice.
    static func check(_ value: CELValue, _ verb: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.authorization(let authorization)) = value, case .target(let target) = authorization.stage else {
            throw .noSuchOverload
        }
        try frame.charge(350_000)
        let question = CELAuthorizationQuestion(
            serviceAccount: authorization.serviceAccount, target: target, verb: try verb.text())
        return .opaque(.decision(authorization.authorizer.decide(question)))
    }

    private static func reading(
        _ name: String, _ result: CELType, _ read: @escaping @Sendable (CELAuthorizationDecision) -> CELValue
    ) -> CELOverload {
        .member(
            name, [.opaque(.decision)], result,
            .unary { (decision, frame) throws(CELEvaluationError) in
                guard case .opaque(.decision(let decision)) = decision else { throw .noSuchOverload }
                try frame.charge(1)
                return read(decision)
            })
    }
}
