import KarsCore

/// Proves callers of the embedded API server by client certificate or by a service account's token.
///
/// A certificate that TLS has verified names its user (common name) and groups (organizations). Whoever shows neither is
/// `system:anonymous`; a credential that is not valid is an error and never anonymous.
struct ClusterAuthenticator: Authenticator {
    let tokens: ServiceAccountTokens
    var clock: @Sendable () -> UTCTime = UTCTime.now

    func authenticate(_ request: HTTPServerRequest) async throws(APIStatus) -> UserInfo {
        if let header = request.head.headers["authorization"] {
            guard let token = Self.bearerToken(header) else { throw .unauthorized() }
            do throws(ServiceAccountTokens.Failure) {
                return try tokens.review(token, audiences: [], now: clock()).user
            } catch {
                throw .unauthorized()
            }
        }
        guard let certificate = await request.peerCertificate else { return .anonymous }
        guard let name = certificate.commonName, !name.isEmpty else { throw .unauthorized() }
        return UserInfo(
            name: name, groups: certificate.organizations + ["system:authenticated"],
            extra: ["authentication.kubernetes.io/credential-id": ["X509SHA256=\(Hex.encode(certificate.fingerprint))"]])
    }

    /// RFC 6750 §2.1; the scheme's name in any case (RFC 9110 §11.1).
    private static func bearerToken(_ header: String) -> String? {
        let scheme = "bearer "
        guard header.utf8.count > scheme.utf8.count,
            header.utf8.prefix(scheme.utf8.count).elementsEqual(scheme.utf8, by: { $0 | 0x20 == $1 })
        else { return nil }
        let token = String(decoding: header.utf8.dropFirst(scheme.utf8.count), as: UTF8.self).trimmingWhitespace()
        return token.isEmpty ? nil : token
    }
}

/// Issues and reviews the tokens of service accounts (authentication/v1 `TokenRequest`, `TokenReview`).
struct ServiceAccountTokens: Sendable {
    enum Failure: Error, Equatable {
        case invalid(String)
        case wrongAudience(of: [String], wanted: [String])
    }

    static let serviceAccounts = GroupVersionResource(group: "", version: "v1", resource: "serviceaccounts")
    private static let bindable: [String: GroupVersionResource] = [
        "Pod": GroupVersionResource(group: "", version: "v1", resource: "pods"),
        "Secret": GroupVersionResource(group: "", version: "v1", resource: "secrets"),
        "Node": GroupVersionResource(group: "", version: "v1", resource: "nodes"),
    ]

    let signer: ServiceAccountSigner
    let reader: any ObjectReader
    /// Also the audience of tokens that ask for none: the API server itself.
    let issuer: String

    init(signer: ServiceAccountSigner, reader: any ObjectReader, issuer: String = "https://kubernetes.default.svc.cluster.local")
    {
        self.signer = signer
        self.reader = reader
        self.issuer = issuer
    }

    struct Reviewed: Equatable {
        var user: UserInfo
        var audiences: [String]
    }

    /// Checks signature, time, audience, and that the account and what the token is bound to still exist.
    ///
    /// - Parameter audiences: any of which must be the token's; empty stands for the API server.
    func review(_ token: String, audiences: [String], now: UTCTime) throws(Failure) -> Reviewed {
        let claims: ServiceAccountClaims
        do throws(ServiceAccountSigner.Failure) {
            claims = try signer.verify(token)
        } catch {
            throw .invalid("invalid bearer token")
        }
        guard claims.issuer == issuer, claims.issuedAt <= now.seconds + 60, now.seconds < claims.expiresAt else {
            throw .invalid("[invalid bearer token, service account token has expired]")
        }
        let wanted = audiences.isEmpty ? [issuer] : audiences
        let common = claims.audiences.filter(wanted.contains)
        guard !common.isEmpty else { throw .wrongAudience(of: claims.audiences, wanted: wanted) }
        let account = reader.get(Self.serviceAccounts, namespace: claims.account.namespace, name: claims.account.name)
        guard account?.uid == claims.accountUID else {
            throw .invalid(
                "[invalid bearer token, service account \(claims.account.namespace)/\(claims.account.name) has been deleted]")
        }
        for (kind, bound) in [("Pod", claims.pod), ("Secret", claims.secret), ("Node", claims.node)] {
            // A pod's token says where the pod was scheduled; it is worth something for as long as the pod is there.
            guard let bound, let resource = Self.bindable[kind], kind != "Node" || claims.pod == nil else { continue }
            let holder = reader.get(resource, namespace: kind == "Node" ? nil : claims.account.namespace, name: bound.name)
            guard holder?.uid == bound.uid else {
                throw .invalid("[invalid bearer token, the \(kind.lowercased()) that the token was bound to is gone]")
            }
        }
        return Reviewed(user: claims.user, audiences: common)
    }

    /// Answers a `TokenRequest` for the account `name`.
    func issue(_ request: JSONObject, for name: ServiceAccountName, now: UTCTime) throws(APIStatus) -> JSONObject {
        guard let account = reader.get(Self.serviceAccounts, namespace: name.namespace, name: name.name) else {
            throw .notFound(Self.serviceAccounts, name: name.name)
        }
        let spec = request["spec"]
        let seconds = spec?["expirationSeconds"]?.intValue ?? 3_600
        let faults = TokenRequestRules.faults(in: request)
        guard faults.isEmpty else { throw .invalid(group: "authentication.k8s.io", kind: "TokenRequest", name: "", faults) }
        var audiences = (spec?["audiences"]?.arrayValue ?? []).compactMap(\.stringValue)
        if audiences.isEmpty { audiences = [issuer] }
        let expiry = now.seconds + Int64(seconds)
        var claims = ServiceAccountClaims(
            account: name, accountUID: account.uid ?? "", audiences: audiences, issuer: issuer, issuedAt: now.seconds,
            expiresAt: expiry, identifier: Identifier.uuid())
        if let bound = spec?["boundObjectRef"], !bound.isNull { try bind(&claims, to: bound) }
        var answered = request
        answered["apiVersion"] = "authentication.k8s.io/v1"
        answered["kind"] = "TokenRequest"
        answered.metadata = [
            "name": .string(name.name), "namespace": .string(name.namespace), "uid": .string(claims.accountUID),
            "creationTimestamp": .string(UTCTime(seconds: now.seconds).rfc3339),
        ]
        answered["spec"] = [
            "audiences": .array(audiences.map(JSON.string)), "expirationSeconds": .int(seconds),
            "boundObjectRef": spec?["boundObjectRef"] ?? .null,
        ]
        answered["status"] = [
            "token": .string(signer.sign(claims)), "expirationTimestamp": .string(UTCTime(seconds: expiry).rfc3339),
        ]
        return answered
    }

    private func bind(_ claims: inout ServiceAccountClaims, to reference: JSON) throws(APIStatus) {
        let kind = reference["kind"]?.stringValue ?? ""
        let name = reference["name"]?.stringValue ?? ""
        guard let resource = Self.bindable[kind] else {
            throw .badRequest("cannot bind token to object of kind \(kind): Pod, Secret and Node are possible")
        }
        guard let object = reader.get(resource, namespace: kind == "Node" ? nil : claims.account.namespace, name: name) else {
            throw .notFound(resource, name: name)
        }
        let uid = object.uid ?? ""
        if let wanted = reference["uid"]?.stringValue, !wanted.isEmpty, wanted != uid {
            throw .conflict(
                resource, name: name,
                "the UID in the bound object reference (\(wanted)) does not match the UID in record. The object might have been deleted and then recreated"
            )
        }
        let bound = ServiceAccountClaims.Bound(name: name, uid: uid)
        switch kind {
        case "Pod":
            let account = object["spec"]?["serviceAccountName"]?.stringValue ?? ""
            guard account == claims.account.name else {
                throw .badRequest(
                    "cannot bind token for serviceaccount \"\(claims.account.name)\" to pod running with different serviceaccount name."
                )
            }
            claims.pod = bound
            if let node = object["spec"]?["nodeName"]?.stringValue, !node.isEmpty {
                let uid = reader.get(.nodes, namespace: nil, name: node)?.uid ?? ""
                claims.node = ServiceAccountClaims.Bound(name: node, uid: uid)
            }
        case "Secret": claims.secret = bound
        default: claims.node = bound
        }
    }
}
