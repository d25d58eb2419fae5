import KarsCore

/// A service account as user names have it: `system:serviceaccount:NAMESPACE:NAME`.
struct ServiceAccountName: Sendable, Equatable {
    var namespace: String
    var name: String

    var userName: String { "system:serviceaccount:\(namespace):\(name)" }
    var groups: [String] { ["system:serviceaccounts", "system:serviceaccounts:\(namespace)", "system:authenticated"] }
}

/// What a service account's token says: a JSON web token (RFC 7519) with Kubernetes' private claims.
struct ServiceAccountClaims: Sendable, Equatable {
    /// An object the token is bound to: it is worth nothing once that is gone.
    struct Bound: Sendable, Equatable {
        var name: String
        var uid: String
    }

    var account: ServiceAccountName
    var accountUID: String
    var audiences: [String]
    var issuer: String
    /// Seconds since 1970.
    var issuedAt: Int64
    var expiresAt: Int64
    var identifier: String
    var pod: Bound?
    var node: Bound?
    var secret: Bound?

    var json: JSON {
        func bound(_ value: Bound) -> JSON { ["name": .string(value.name), "uid": .string(value.uid)] }
        var kubernetes: JSONObject = ["namespace": .string(account.namespace)]
        kubernetes["node"] = node.map(bound)
        kubernetes["pod"] = pod.map(bound)
        kubernetes["secret"] = secret.map(bound)
        kubernetes["serviceaccount"] = bound(Bound(name: account.name, uid: accountUID))
        return [
            "aud": .array(audiences.map(JSON.string)), "exp": .int(Int(expiresAt)), "iat": .int(Int(issuedAt)),
            "iss": .string(issuer), "jti": .string(identifier), "kubernetes.io": .object(kubernetes), "nbf": .int(Int(issuedAt)),
            "sub": .string(account.userName),
        ]
    }

    init(
        account: ServiceAccountName, accountUID: String, audiences: [String], issuer: String, issuedAt: Int64, expiresAt: Int64,
        identifier: String
    ) {
        self.account = account
        self.accountUID = accountUID
        self.audiences = audiences
        self.issuer = issuer
        self.issuedAt = issuedAt
        self.expiresAt = expiresAt
        self.identifier = identifier
    }

    init?(_ json: JSON) {
        func bound(_ json: JSON?) -> Bound? {
            guard let name = json?["name"]?.stringValue, let uid = json?["uid"]?.stringValue else { return nil }
            return Bound(name: name, uid: uid)
        }
        let kubernetes = json["kubernetes.io"]
        guard let namespace = kubernetes?["namespace"]?.stringValue, let account = bound(kubernetes?["serviceaccount"]),
            let audiences = json["aud"]?.arrayValue?.compactMap(\.stringValue), let issuer = json["iss"]?.stringValue,
            let issuedAt = json["nbf"]?.intValue, let expiresAt = json["exp"]?.intValue,
            let identifier = json["jti"]?.stringValue,
            json["sub"]?.stringValue == ServiceAccountName(namespace: namespace, name: account.name).userName
        else { return nil }
        self.init(
            account: ServiceAccountName(namespace: namespace, name: account.name), accountUID: account.uid, audiences: audiences,
            issuer: issuer, issuedAt: Int64(issuedAt), expiresAt: Int64(expiresAt), identifier: identifier)
        pod = bound(kubernetes?["pod"])
        node = bound(kubernetes?["node"])
        secret = bound(kubernetes?["secret"])
    }

    /// Who the token's bearer is.
    var user: UserInfo {
        var extra = ["authentication.kubernetes.io/credential-id": ["JTI=\(identifier)"]]
        for (kind, bound) in [("pod", pod), ("node", node)] {
            guard let bound else { continue }
            extra["authentication.kubernetes.io/\(kind)-name"] = [bound.name]
            extra["authentication.kubernetes.io/\(kind)-uid"] = [bound.uid]
        }
        return UserInfo(name: account.userName, uid: accountUID, groups: account.groups, extra: extra)
    }
}

/// Signs and checks service accounts' tokens. The signature is Ed25519 (`alg` `EdDSA`, RFC 8037).
struct ServiceAccountSigner: Sendable {
    enum Failure: Error, Equatable {
        case malformed, badSignature
    }

    /// Longer ones are not looked at, in bytes.
    static let maxTokenBytes = 8_192

    let key: Ed25519.PrivateKey
    private let verified = VerifiedTokens()

    init(key: Ed25519.PrivateKey) { self.key = key }

    private var keyID: String { Base64.encodeURL(SHA256.hash(key.publicKey.rawBytes)) }

    func sign(_ claims: ServiceAccountClaims) -> String {
        let header: JSON = ["alg": "EdDSA", "kid": .string(keyID)]
        let signed = Base64.encodeURL(header.encoded()) + "." + Base64.encodeURL(claims.json.encoded())
        return signed + "." + Base64.encodeURL(key.sign(Array(signed.utf8)))
    }

    /// The claims of a token that this key has signed. Whether they hold now is the caller's question.
    func verify(_ token: String) throws(Failure) -> ServiceAccountClaims {
        guard token.utf8.count <= Self.maxTokenBytes else { throw .malformed }
        let digest = VerifiedTokens.digest(of: token)
        if let claims = verified[digest] { return claims }
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Substring.init)
        guard parts.count == 3 else { throw .malformed }
        guard let signature = Base64.decodeURL(parts[2]), signature.count == Ed25519.signatureBytes,
            key.publicKey.isValid(signature, for: Array("\(parts[0]).\(parts[1])".utf8))
        else { throw .badSignature }
        guard let payload = Base64.decodeURL(parts[1]) else { throw .malformed }
        do {
            guard let claims = ServiceAccountClaims(try JSON(parsing: payload)) else { throw Failure.malformed }
            verified.remember(claims, as: digest)
            return claims
        } catch { throw .malformed }
    }
}
