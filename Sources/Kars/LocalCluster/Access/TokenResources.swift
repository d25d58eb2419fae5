import KarsCore

/// `POST …/serviceaccounts/NAME/token`.
struct TokenRequestHandler: SubresourceHandler {
    let tokens: ServiceAccountTokens

    var methods: Set<HTTPMethod> { [.post] }

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        var exchange = APIExchange(request: request, response: response, now: info.now)
        try exchange.negotiate([])
        let options = try WriteParameters(exchange.query, kind: "CreateOptions")
        let (bytes, type) = try await exchange.body()
        let body: JSON
        do throws(RequestBody.BodyFault) { body = try RequestBody.value(bytes, type).0 } catch {
            throw APIStatus.badRequest("the object provided is unrecognized (must be of type TokenRequest): \(error.text)")
        }
        guard var object = body.objectValue else { throw APIStatus.badRequest("a TokenRequest is an object") }
        do throws(APIDecoder.Fault) { object = try APIDecoder.decode(object, as: ReviewTypes.tokenRequest) } catch {
            throw APIStatus.badRequest("TokenRequest in version \"v1\" cannot be handled as a TokenRequest: \(error.text)")
        }
        let account = ServiceAccountName(namespace: info.namespace ?? "", name: info.name ?? "")
        var answer = try tokens.issue(object, for: account, now: info.now)
        answer.metadata["managedFields"] = Self.ownership(
            of: object, manager: options.fieldManager ?? WriteParameters.manager(from: request.head.headers["user-agent"]), info)
        try await exchange.answer(APIAnswer(status: 201, .json(.object(answer))))
    }

    /// What was asked for is the asker's.
    private static func ownership(of request: JSONObject, manager: String, _ info: RequestInfo) -> JSON? {
        var asked: JSONObject = ["apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": [:]]
        asked["spec"] = request["spec"]
        FieldManagement.update(
            &asked, from: APIDecoder.blank(ReviewTypes.tokenRequest), manager: manager, subresource: info.subresource,
            schema: ReviewTypes.tokenRequest.schema, now: info.now)
        return asked.metadata["managedFields"]
    }
}

/// `TokenReview`: whether a bearer token is good, and whose it is.
struct TokenReviews: VirtualResource {
    let tokens: ServiceAccountTokens

    func create(_ object: JSONObject, _ info: RequestInfo) async throws(APIStatus) -> JSONObject {
        let spec = object["spec"]
        let audiences = (spec?["audiences"]?.arrayValue ?? []).compactMap(\.stringValue)
        var answer = object
        answer.metadata = [:]
        guard let token = spec?["token"]?.stringValue, !token.isEmpty else {
            throw .invalid(
                group: "authentication.k8s.io", kind: "TokenReview", name: "",
                [.required("spec.token", "token is required for TokenReview in authentication")])
        }
        do throws(ServiceAccountTokens.Failure) {
            let reviewed = try tokens.review(token, audiences: audiences, now: info.now)
            answer["status"] = [
                "authenticated": true, "user": .object(reviewed.user.json),
                "audiences": .array(reviewed.audiences.map(JSON.string)),
            ]
        } catch {
            let reason =
                switch error {
                case .invalid(let reason): reason
                case .wrongAudience(let own, let wanted):
                    "[invalid bearer token, token audiences \(list(own)) is invalid for the target audiences \(list(wanted))]"
                }
            answer["status"] = ["user": [:], "error": .string(reason)]
        }
        return answer
    }

    private func list(_ texts: [String]) -> String { "[" + texts.map { "\"\($0)\"" }.joined(separator: " ") + "]" }
}

/// `SelfSubjectReview`: who the server takes the caller for.
struct SelfSubjectReviews: VirtualResource {
    func create(_ object: JSONObject, _ info: RequestInfo) async throws(APIStatus) -> JSONObject {
        var answer = object
        answer.metadata = ["creationTimestamp": .string(UTCTime(seconds: info.now.seconds).rfc3339)]
        answer["status"] = ["userInfo": .object(info.user.json)]
        return answer
    }
}

extension UserInfo {
    /// As authentication/v1 has it.
    var json: JSONObject {
        var object: JSONObject = ["username": .string(name)]
        object["uid"] = uid.map(JSON.string)
        if !groups.isEmpty { object["groups"] = .array(groups.map(JSON.string)) }
        if !extra.isEmpty {
            object["extra"] = .object(
                JSONObject(extra.sorted { $0.key < $1.key }.map { ($0.key, .array($0.value.map(JSON.string))) }))
        }
        return object
    }
}
