import KarsCore
import Testing

@testable import Kars

@Suite struct `Service account tokens` {
    static let now = UTCTime(seconds: 1_795_225_421)
    static let robot = ServiceAccountName(namespace: "golden", name: "robot")
    static let pods = GroupVersionResource.pods

    static func account(_ uid: String = "u1") -> JSONObject {
        .read(#"{"metadata":{"name":"robot","namespace":"golden","uid":"\#(uid)"}}"#)
    }

    static func pod(_ uid: String = "p1", account: String = "robot", node: String = "") -> JSONObject {
        .read(
            #"{"metadata":{"name":"p","namespace":"golden","uid":"\#(uid)"},"spec":{"serviceAccountName":"\#(account)","nodeName":"\#(node)"}}"#
        )
    }

    let shelf: ObjectShelf
    let tokens: ServiceAccountTokens

    init() {
        shelf = ObjectShelf([(ServiceAccountTokens.serviceAccounts, Self.account()), (Self.pods, Self.pod())])
        tokens = ServiceAccountTokens(signer: ServiceAccountSigner(key: Ed25519.PrivateKey()), reader: shelf)
    }

    func issue(_ spec: String = "{}") throws -> String {
        let answer = try tokens.issue(.read(#"{"spec":\#(spec)}"#), for: Self.robot, now: Self.now)
        return try #require(answer["status"]?["token"]?.stringValue)
    }

    func refusal(_ token: String, _ audiences: [String] = [], at now: UTCTime = Self.now) -> ServiceAccountTokens.Failure? {
        do throws(ServiceAccountTokens.Failure) {
            _ = try tokens.review(token, audiences: audiences, now: now)
            return nil
        } catch { return error }
    }

    @Test func `a token proves its account`() throws {
        let reviewed = try tokens.review(try issue(), audiences: [], now: Self.now)
        #expect(reviewed.user.name == "system:serviceaccount:golden:robot")
        #expect(reviewed.user.uid == "u1")
        #expect(
            reviewed.user.groups == ["system:serviceaccounts", "system:serviceaccounts:golden", "system:authenticated"])
        #expect(reviewed.audiences == [tokens.issuer])
    }

    /// Records `token-request` and `token-request-audience`.
    @Test func `a request is answered as recorded`() throws {
        let request = JSONObject.read(
            #"{"spec":{"audiences":["other"],"expirationSeconds":600,"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p"}}}"#
        )
        let answer = try tokens.issue(request, for: Self.robot, now: Self.now)
        #expect(answer["kind"] == "TokenRequest" && answer["apiVersion"] == "authentication.k8s.io/v1")
        #expect(answer.metadata["creationTimestamp"] == "2026-11-21T01:43:41Z")
        #expect(answer["status"]?["expirationTimestamp"] == "2026-11-21T01:53:41Z")
        #expect(answer["spec"]?["boundObjectRef"]?["name"] == "p")
        let plain = try tokens.issue(.read(#"{"spec":{}}"#), for: Self.robot, now: Self.now)
        #expect(plain["spec"]?["expirationSeconds"] == 3600)
        #expect(plain["spec"]?["boundObjectRef"] == .null)
    }

    /// Records `token-request-short` and `token-request-absent`.
    @Test func `requests that cannot be met are refused`() throws {
        let short = #expect(throws: APIStatus.self) {
            try tokens.issue(.read(#"{"spec":{"expirationSeconds":10}}"#), for: Self.robot, now: Self.now)
        }
        #expect(
            short?.message
                == #"TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: Invalid value: 10: may not specify a duration less than 10 minutes"#
        )
        let absent = #expect(throws: APIStatus.self) {
            try tokens.issue(.read("{}"), for: ServiceAccountName(namespace: "golden", name: "absent"), now: Self.now)
        }
        #expect(absent?.message == #"serviceaccounts "absent" not found"#)
        // As kubectl says it when no uid was named.
        #expect(throws: Never.self) { try self.issue(#"{"boundObjectRef":{"kind":"Pod","name":"p","uid":""}}"#) }
        let foreign = #expect(throws: APIStatus.self) { try self.issue(#"{"boundObjectRef":{"kind":"Pod","name":"none"}}"#) }
        #expect(foreign?.code == 404)
        shelf.put(Self.pods, Self.pod(account: "other"))
        let others = #expect(throws: APIStatus.self) { try self.issue(#"{"boundObjectRef":{"kind":"Pod","name":"p"}}"#) }
        #expect(others?.code == 400)
    }

    @Test func `a token ends with its time`() throws {
        let token = try issue(#"{"expirationSeconds":600}"#)
        #expect(refusal(token, at: Self.now.advanced(by: .seconds(599))) == nil)
        #expect(refusal(token, at: Self.now.advanced(by: .seconds(600))) != nil)
        // A clock that was set back by an hour: the token is from the future.
        #expect(refusal(token, at: UTCTime(seconds: Self.now.seconds - 3_600)) != nil)
    }

    /// Record `token-review-wrong-audience`.
    @Test func `a token is good for its audiences only`() throws {
        let token = try issue(#"{"audiences":["other"]}"#)
        #expect(refusal(token, ["other", "more"]) == nil)
        #expect(refusal(token) == .wrongAudience(of: ["other"], wanted: [tokens.issuer]))
        #expect(refusal(try issue(), ["other"]) == .wrongAudience(of: [tokens.issuer], wanted: ["other"]))
    }

    @Test func `a token ends with its account, even if another of the name comes`() throws {
        let token = try issue()
        shelf.put(ServiceAccountTokens.serviceAccounts, Self.account("u2"))
        #expect(refusal(token) != nil)
        shelf.remove(ServiceAccountTokens.serviceAccounts, namespace: "golden", name: "robot")
        #expect(refusal(token) != nil)
    }

    @Test func `a bound token ends with its pod`() throws {
        let token = try issue(#"{"boundObjectRef":{"kind":"Pod","name":"p"}}"#)
        let user = try tokens.review(token, audiences: [], now: Self.now).user
        #expect(user.extra["authentication.kubernetes.io/pod-name"] == ["p"])
        #expect(user.extra["authentication.kubernetes.io/pod-uid"] == ["p1"])
        shelf.put(Self.pods, Self.pod("p2"))
        #expect(refusal(token) != nil)
    }

    @Test func `a scheduled pod's token names the node`() throws {
        shelf.put(Self.pods, Self.pod(node: "n"))
        shelf.put(.nodes, .read(#"{"metadata":{"name":"n","uid":"n1"}}"#))
        let token = try issue(#"{"boundObjectRef":{"kind":"Pod","name":"p"}}"#)
        let user = try tokens.review(token, audiences: [], now: Self.now).user
        #expect(user.extra["authentication.kubernetes.io/node-name"] == ["n"])
        #expect(user.extra["authentication.kubernetes.io/node-uid"] == ["n1"])
    }

    // MARK: - Remembered signatures

    @Test func `a token seen before is still refused when it has expired or its account is gone`() throws {
        let token = try issue()
        #expect(refusal(token) == nil)
        #expect(refusal(token, at: UTCTime(seconds: Self.now.seconds + 3_601)) != nil)
        #expect(refusal(token, ["elsewhere"]) != nil)
        shelf.remove(ServiceAccountTokens.serviceAccounts, namespace: Self.robot.namespace, name: Self.robot.name)
        #expect(refusal(token) != nil)
    }

    @Test func `a token that differs in one byte from one seen before is refused`() throws {
        let token = try issue()
        #expect(refusal(token) == nil)
        for place in [0, token.utf8.count / 2, token.utf8.count - 2] {
            var bytes = Array(token.utf8)
            bytes[place] = bytes[place] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            #expect(refusal(String(decoding: bytes, as: UTF8.self)) == .invalid("invalid bearer token"))
        }
    }

    @Test func `of remembered tokens the oldest goes first`() throws {
        let remembered = VerifiedTokens(limit: 2)
        let claims = ServiceAccountClaims(
            account: Self.robot, accountUID: "u1", audiences: [], issuer: "", issuedAt: 0, expiresAt: 0, identifier: "")
        for token in ["a", "b", "a", "c"] { remembered.remember(claims, as: VerifiedTokens.digest(of: token)) }
        #expect(["a", "b", "c"].map { remembered[VerifiedTokens.digest(of: $0)] != nil } == [false, true, true])
    }

    // MARK: - Forgeries

    @Test func `another key's signature is refused`() throws {
        let forger = ServiceAccountTokens(signer: ServiceAccountSigner(key: Ed25519.PrivateKey()), reader: shelf)
        let answer = try forger.issue(.read("{}"), for: Self.robot, now: Self.now)
        #expect(refusal(answer["status"]?["token"]?.stringValue ?? "") == .invalid("invalid bearer token"))
    }

    @Test func `a token of another issuer is refused`() throws {
        let other = ServiceAccountTokens(signer: tokens.signer, reader: shelf, issuer: "https://elsewhere.example")
        let answer = try other.issue(
            .read(#"{"spec":{"audiences":["\#(tokens.issuer)"]}}"#), for: Self.robot, now: Self.now)
        #expect(refusal(answer["status"]?["token"]?.stringValue ?? "") != nil)
    }

    @Test func `no bit of a token may change`() throws {
        let token = Array(try issue().utf8)
        for index in stride(from: 0, to: token.count, by: 7) {
            var changed = token
            // The last characters of a part may have bits that say nothing; a character outside of the alphabet never does.
            changed[index] = UInt8(ascii: "!")
            #expect(refusal(String(decoding: changed, as: UTF8.self)) != nil, "byte \(index)")
        }
        for count in 0..<token.count { #expect(refusal(String(decoding: token[..<count], as: UTF8.self)) != nil) }
    }

    @Test func `a token without a signature is refused, whatever its header says`() throws {
        let parts = try issue().split(separator: ".").map(String.init)
        let header = Base64.encodeURL(Array(#"{"alg":"none"}"#.utf8))
        #expect(refusal("\(header).\(parts[1]).") == .invalid("invalid bearer token"))
        #expect(refusal("\(header).\(parts[1]).\(parts[2])") == .invalid("invalid bearer token"))
        #expect(refusal(String(repeating: "a", count: 100_000)) == .invalid("invalid bearer token"))
    }
}
