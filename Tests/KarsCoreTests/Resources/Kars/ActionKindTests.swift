import KarsCore
import Testing

/// KarsSREAction, KarsEval, KarsAuthConfig and KarsPairing, each row through the definition and through the program.
@Suite struct `Kinds of actions and identities` {
    static let action = KindCheck.of(KarsSREAction.self) { $0.faults() }
    static let quota: JSON = [
        "action": ["type": "DeleteResourceQuota", "params": ["namespace": "kars-research", "name": "platform-hardening-quota"]],
        "approval": ["state": "Pending"],
    ]

    /// A merge patch of `quota`; whether the result is good.
    static let actions: [(patch: String, isGood: Bool)] = [
        ("{}", true),
        (#"{"rationale":"it leaves room for no pod","diagnosis":"exceeded quota","ttlMinutes":60}"#, true),
        (#"{"ttlMinutes":0}"#, false), (#"{"ttlMinutes":61}"#, false),
        (#"{"action":{"type":"DropDatabase"}}"#, false),
        (#"{"action":{"params":{"name":null}}}"#, false), (#"{"action":{"params":{"namespace":null}}}"#, false),
        (#"{"action":{"params":{"namespace":"kube-system"}}}"#, false),
        (#"{"action":{"params":{"namespace":"kars-system"}}}"#, false),
        (#"{"action":{"params":{"namespace":"Kars"}}}"#, false), (#"{"action":{"params":{"name":"../x"}}}"#, false),
        (#"{"action":{"params":{"replicas":1}}}"#, false),
        (#"{"action":{"type":"ScaleDeployment"}}"#, false),
        (#"{"action":{"type":"ScaleDeployment","params":{"replicas":0}}}"#, true),
        (#"{"action":{"type":"ScaleDeployment","params":{"replicas":50}}}"#, true),
        (#"{"action":{"type":"ScaleDeployment","params":{"replicas":51}}}"#, false),
        (#"{"action":{"type":"ScaleDeployment","params":{"replicas":-1}}}"#, false),
        (#"{"action":{"type":"ScaleDeployment","params":{"replicas":"3"}}}"#, false),
        (#"{"action":{"type":"PatchDeploymentImage","params":{"container":"c","image":"registry.example/a:1.2"}}}"#, true),
        (#"{"action":{"type":"PatchDeploymentImage","params":{"container":"c"}}}"#, false),
        (#"{"action":{"type":"PatchDeploymentImage","params":{"image":"a:1"}}}"#, false),
        (#"{"action":{"type":"PatchDeploymentImage","params":{"container":"c","image":"a"}}}"#, false),
        (#"{"action":{"type":"PatchDeploymentImage","params":{"container":"c","image":"a b:1"}}}"#, false),
        (#"{"action":{"type":"RolloutRestart"}}"#, true),
        (#"{"action":{"type":"RolloutRestart","params":{"kind":"StatefulSet"}}}"#, true),
        (#"{"action":{"type":"RolloutRestart","params":{"kind":"Job"}}}"#, false),
        (#"{"action":{"params":{"kind":"Deployment"}}}"#, false),
        (#"{"action":{"type":"DeletePod"}}"#, true),
        (#"{"approval":{"state":"Maybe"}}"#, false), (#"{"approval":{"by":"alice"}}"#, false),
        (#"{"rationale":"\u001b[2J"}"#, false), (#"{"diagnosis":"tab\tand\nline"}"#, true),
    ]

    @Test(arguments: actions)
    func `BEAT: an action is refused by its definition and by the program alike`(patch: String, isGood: Bool) throws {
        let spec = try merged(Self.quota, patch)
        #expect(Self.action.served(spec).isEmpty == isGood, "\(Self.action.served(spec))")
        #expect(Self.action.held(spec).isEmpty == isGood, "\(Self.action.held(spec))")
    }

    @Test(arguments: [
        (#"{"approval":{"state":"Approved","by":"alice"}}"#, true), (#"{"approval":{"state":"Rejected","by":"alice"}}"#, true),
        (#"{"approval":{"state":"Approved"}}"#, false), (#"{"approval":{"note":"looking"}}"#, true),
        (#"{"action":{"params":{"name":"another"}}}"#, false), (#"{"action":{"type":"DeletePod"}}"#, false),
        (#"{"rationale":"more"}"#, false), (#"{"diagnosis":"more"}"#, false), (#"{"ttlMinutes":16}"#, false),
        ("{}", true),
    ])
    func `BEAT: what was proposed never changes`(patch: String, isGood: Bool) throws {
        #expect(Self.action.served(try merged(Self.quota, patch), old: Self.quota).isEmpty == isGood)
    }

    @Test(arguments: ["Approved", "Rejected"])
    func `a decision stands`(state: String) throws {
        let decided = try merged(Self.quota, #"{"approval":{"state":"\#(state)","by":"alice"}}"#)
        #expect(Self.action.served(decided, old: decided).isEmpty)
        for patch in [
            #"{"approval":{"state":"Pending","by":null}}"#, #"{"approval":{"by":"bob"}}"#, #"{"approval":{"note":"later"}}"#,
            #"{"approval":{"state":"\#(state == "Approved" ? "Rejected" : "Approved")"}}"#,
        ] {
            #expect(!Self.action.served(try merged(decided, patch), old: decided).isEmpty, "\(patch)")
        }
    }

    @Test func `BEAT: an action born approved is refused`() throws {
        let approved = try merged(Self.quota, #"{"approval":{"state":"Approved","by":"mallory"}}"#)
        #expect(
            Self.action.served(approved).map(\.description) == [
                "spec.approval: Forbidden: an action is proposed Pending; approving it comes after"
            ])
    }

    // MARK: - KarsEval

    static let eval = KindCheck.of(KarsEval.self) { $0.faults() }
    static let corpus: JSON = ["targetSandboxRef": ["name": "research"], "corpus": ["builtin": "banned-tools"]]
    static let bundle = """
        {"registry":"registry.example","repository":"corpora/a","digest":"sha256:\(String(repeating: "a", count: 64))",
        "artifactType":"application/vnd.kars.eval-corpus.v1+json"}
        """

    static let evals: [(patch: String, isGood: Bool)] = [
        ("{}", true), (#"{"schedule":"0 */6 * * *","failSandboxOnDrift":true,"displayName":"Nightly"}"#, true),
        (#"{"schedule":"0 0 */6 * * *"}"#, true), (#"{"schedule":"0 */6 * *"}"#, false), (#"{"schedule":"@daily"}"#, false),
        (#"{"schedule":""}"#, false), (#"{"corpus":{"builtin":null}}"#, false), (#"{"corpus":{"builtin":""}}"#, false),
        (#"{"corpus":{"bundleRef":\#(bundle)}}"#, false), (#"{"corpus":{"builtin":null,"bundleRef":\#(bundle)}}"#, true),
        (#"{"targetSandboxRef":{"name":""}}"#, false), (#"{"targetSandboxRef":{"name":"a/b"}}"#, false),
        (#"{"runnerImage":"a b"}"#, false), (#"{"displayName":"\u0000"}"#, false),
    ]

    @Test(arguments: evals)
    func `an eval is refused by its definition and by the program alike`(patch: String, isGood: Bool) throws {
        let spec = try merged(Self.corpus, patch)
        #expect(Self.eval.served(spec).isEmpty == isGood, "\(Self.eval.served(spec))")
        #expect(Self.eval.held(spec).isEmpty == isGood, "\(Self.eval.held(spec))")
    }

    @Test func `an eval's name leaves room for the names of its runs`() {
        #expect(Self.eval.served(Self.corpus, name: String(repeating: "a", count: 36)).isEmpty)
        #expect(!Self.eval.served(Self.corpus, name: String(repeating: "a", count: 37)).isEmpty)
    }

    // MARK: - KarsAuthConfig

    static let authentication = KindCheck.of(KarsAuthConfig.self) { $0.faults() }
    static let guid = "5e0bd9bd-7b93-4f28-af87-19fc36ad61bd"
    static let tenant: JSON = [
        "tenant": ["tenantId": .string(guid)],
        "agentId": ["blueprintClientId": .string(guid), "blueprintObjectId": .string(guid)],
        "controller": ["managedIdentityClientId": .string(guid), "managedIdentityResourceId": "/subscriptions/s/x"],
    ]

    static let authentications: [(patch: String, isGood: Bool)] = [
        ("{}", true), (#"{"tenant":{"tenantId":"contoso"}}"#, false), (#"{"tenant":{"authorityHost":"http://a/"}}"#, false),
        (#"{"agentId":{"blueprintClientId":"x"}}"#, false), (#"{"agentId":{"sponsorUserObjectIds":["\#(guid)"]}}"#, true),
        (#"{"agentId":{"sponsorUserObjectIds":["me"]}}"#, false),
        (#"{"controller":{"managedIdentityClientId":null}}"#, false),
        (#"{"controller":{"managedIdentityClientId":null,"credentialMode":"WorkloadIdentity"}}"#, true),
        (#"{"controller":{"credentialMode":"Password"}}"#, false), (#"{"meshAuthBackend":"EntraAgentIdentity"}"#, true),
        (#"{"downstreamApis":{"Graph":{"baseUrl":"https://graph.example/","scopes":["a"]}}}"#, true),
        (#"{"downstreamApis":{"Graph__X":{"baseUrl":"https://graph.example/"}}}"#, false),
        (#"{"downstreamApis":{"Graph":{"baseUrl":"http://graph.example/"}}}"#, false),
        (#"{"foundryRbac":[{"scope":"/subscriptions/s","roleDefinitionIds":["\#(guid)"]}]}"#, true),
        (#"{"foundryRbac":[{"scope":"/subscriptions/s","roleDefinitionIds":[]}]}"#, false),
    ]

    @Test(arguments: authentications)
    func `BEAT: an authentication is refused by its definition and by the program alike`(patch: String, isGood: Bool) throws {
        let spec = try merged(Self.tenant, patch)
        let check = Self.authentication
        #expect(check.served(spec, name: "default").isEmpty == isGood, "\(check.served(spec, name: "default"))")
        #expect(check.held(spec).isEmpty == isGood, "\(check.held(spec))")
    }

    @Test func `BEAT: there is one authentication, named default`() {
        #expect(
            Self.authentication.served(Self.tenant, name: "other").map(\.description) == [
                "<nil>: Invalid value: there is one KarsAuthConfig, named default"
            ])
    }

    @Test func `BEAT: credentialMode is in the definition`() {
        var spec = Self.tenant
        KarsAuthConfig.Spec.schema.applyDefaults(to: &spec)
        #expect(spec["controller"]?["credentialMode"] == "ManagedIdentityImds")
        #expect(KarsAuthConfig.Spec.schema.prune(&spec, at: "").isEmpty)
    }

    // MARK: - KarsPairing

    static let pairing = KindCheck.of(KarsPairing.self) { $0.faults() }
    static let invitation: JSON = [
        "tokenHash": .string(String(repeating: "0a", count: 32)), "expiresAt": "2026-12-01T00:00:00Z",
    ]

    static let pairings: [(patch: String, isGood: Bool)] = [
        ("{}", true), (#"{"expiresAt":"tomorrow"}"#, false), (#"{"expiresAt":""}"#, false), (#"{"tokenHash":"secret"}"#, false),
        (#"{"slotsMax":0}"#, false), (#"{"slotsMax":100}"#, true), (#"{"tokenBudget":-1}"#, false), (#"{"tokenBudget":0}"#, true),
        (#"{"capabilities":["offload"]}"#, true), (#"{"capabilities":["Off load"]}"#, false),
        (#"{"isolation":"confidential"}"#, true), (#"{"isolation":"none"}"#, false),
    ]

    @Test(arguments: pairings)
    func `a pairing is refused by its definition and by the program alike`(patch: String, isGood: Bool) throws {
        let spec = try merged(Self.invitation, patch)
        #expect(Self.pairing.served(spec).isEmpty == isGood, "\(Self.pairing.served(spec))")
        #expect(Self.pairing.held(spec).isEmpty == isGood, "\(Self.pairing.held(spec))")
    }

    @Test func `BEAT: an expiry that cannot be read never comes into being`() throws {
        #expect(
            Self.pairing.served(try merged(Self.invitation, #"{"expiresAt":"2026-13-01"}"#)).map(\.field) == ["spec.expiresAt"])
    }

    @Test func `defaults are those of a fresh value`() throws {
        var spec = Self.invitation
        KarsPairing.Spec.schema.applyDefaults(to: &spec)
        let read = try KarsPairing.Spec(reading: spec, at: "spec")
        #expect(read.slotsMax == 1 && read.tokenBudget == 500_000 && read.capabilities == ["offload", "handoff"])
        #expect(read.json == spec)
    }
}
