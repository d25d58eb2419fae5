import KarsCore
import Testing

@testable import Kars

@Suite struct `Policy admission` {
    static let group = "admissionregistration.k8s.io"
    static let policies = GroupVersionResource(group: group, version: "v1", resource: "validatingadmissionpolicies")
    static let bindings = GroupVersionResource(group: group, version: "v1", resource: "validatingadmissionpolicybindings")
    static let namespace: (GroupVersionResource, JSONObject) = (
        NamespaceLifecycle.namespaces,
        .read(#"{"metadata":{"name":"golden","labels":{"kubernetes.io/metadata.name":"golden","tier":"test"}}}"#)
    )

    /// Policy and binding of records `vap-create` and `vap-binding-create`.
    static let recorded = (
        policy: #"""
        {"failurePolicy":"Fail","matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],
        "operations":["CREATE","UPDATE"],"resources":["configmaps"]}]},
        "variables":[{"name":"d","expression":"has(object.data) ? object.data : {}"}],
        "validations":[{"expression":"!('bad' in variables.d)","message":"no bad key","reason":"Forbidden"},
        {"expression":"size(variables.d) < 4","messageExpression":"'too many keys: ' + string(size(variables.d))"}]}
        """#,
        binding: #"""
        {"policyName":"golden-no-bad","validationActions":["Deny","Audit"],
        "matchResources":{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"golden"}}}}
        """#
    )

    static func shelf(policy: String, binding: String) -> ObjectShelf {
        ObjectShelf([
            namespace, (policies, .read(#"{"metadata":{"name":"golden-no-bad","uid":"p"},"spec":\#(policy)}"#)),
            (bindings, .read(#"{"metadata":{"name":"golden-no-bad"},"spec":\#(binding)}"#)),
        ])
    }

    struct Outcome {
        var refusal: APIStatus?
        var warnings: [String] = []
    }

    static func ask(
        _ shelf: ObjectShelf, _ data: String, old: String? = nil, verb: ResourceDescription.Verb? = nil,
        resource: GroupVersionResource = .configMaps, user: UserInfo = UserInfo(name: "alice", groups: ["dev"])
    ) async -> Outcome {
        func object(_ data: String) -> JSONObject {
            .read(
                #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"vt","namespace":"golden","labels":{"app":"x"}},"data":\#(data)}"#
            )
        }
        var new = object(data)
        let request = RequestInfo.of(verb ?? (old == nil ? .create : .update), resource, name: "vt", user: user)
        let step = PolicyAdmission(authorizer: RBACAuthorizer(reader: shelf), log: .silent)
        do throws(APIStatus) {
            return Outcome(warnings: try await step.admit(&new, old: old.map(object), request, reader: shelf))
        } catch { return Outcome(refusal: error) }
    }

    static func outcome(policy: String, binding: String = recorded.binding, data: String = #"{"a":"1"}"#) async -> Outcome {
        await ask(shelf(policy: policy, binding: binding), data)
    }

    static func policy(
        _ expression: String, match: String = #"{"apiGroups":["*"],"apiVersions":["*"],"operations":["*"],"resources":["*"]}"#,
        extra: String = ""
    ) -> String {
        #"{"matchConstraints":{"resourceRules":[\#(match)]},"validations":[{"expression":"\#(expression)","message":"no"}]\#(extra)}"#
    }

    /// Record `vap-denied`.
    @Test func `a denial is as recorded`() async {
        let refusal = await Self.outcome(policy: Self.recorded.policy, data: #"{"bad":"1"}"#).refusal
        #expect(refusal?.code == 403 && refusal?.reason == .forbidden && refusal?.name == "vt")
        let words = "ValidatingAdmissionPolicy 'golden-no-bad' with binding 'golden-no-bad' denied request: no bad key"
        #expect(refusal?.message == "configmaps \"vt\" is forbidden: \(words)")
        #expect(refusal?.causes == [APIStatus.Cause(reason: "", message: words)])
    }

    /// Record `vap-denied-default-reason`.
    @Test func `without a reason it is invalid, and messages are computed`() async {
        let refusal = await Self.outcome(
            policy: Self.recorded.policy, data: #"{"a":"1","b":"1","c":"1","d":"1"}"#
        ).refusal
        #expect(refusal?.code == 422 && refusal?.reason == .invalid)
        #expect(refusal?.message.hasSuffix("denied request: too many keys: 4") == true)
    }

    /// Record `vap-warned`.
    @Test func `a warning is as recorded`() async {
        let binding = #"{"policyName":"golden-no-bad","validationActions":["Warn"]}"#
        let outcome = await Self.outcome(policy: Self.recorded.policy, binding: binding, data: #"{"bad":"1"}"#)
        #expect(outcome.refusal == nil)
        #expect(
            outcome.warnings == [
                "Validation failed for ValidatingAdmissionPolicy 'golden-no-bad' with binding 'golden-no-bad': no bad key"
            ])
    }

    @Test func `what passes passes, and so does what is only audited`() async {
        #expect(await Self.outcome(policy: Self.recorded.policy).refusal == nil)
        let audit = #"{"policyName":"golden-no-bad","validationActions":["Audit"]}"#
        let outcome = await Self.outcome(policy: Self.policy("false"), binding: audit)
        #expect(outcome.refusal == nil && outcome.warnings.isEmpty)
    }

    @Test(arguments: [
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}"#, true),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["UPDATE"],"resources":["configmaps"]}"#, false),
        (#"{"apiGroups":["apps"],"apiVersions":["*"],"operations":["*"],"resources":["*"]}"#, false),
        (#"{"apiGroups":[""],"apiVersions":["v2"],"operations":["*"],"resources":["*"]}"#, false),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["secrets","configmaps/status"]}"#, false),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["*/*"]}"#, true),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["*"],"scope":"Cluster"}"#, false),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["*"],"resourceNames":["vt"]}"#, true),
        (#"{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["*"],"resourceNames":["other"]}"#, false),
    ])
    func `rules say which requests are meant`(rule: String, isMeant: Bool) async {
        #expect((await Self.outcome(policy: Self.policy("false", match: rule)).refusal != nil) == isMeant)
    }

    @Test(arguments: [
        (#"{"namespaceSelector":{"matchLabels":{"tier":"test"}}}"#, true),
        (#"{"namespaceSelector":{"matchLabels":{"tier":"live"}}}"#, false),
        (#"{"objectSelector":{"matchLabels":{"app":"x"}}}"#, true),
        (#"{"objectSelector":{"matchLabels":{"app":"y"}}}"#, false),
        (
            #"{"excludeResourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["*"],"resources":["configmaps"]}]}"#,
            false
        ),
    ])
    func `a binding narrows it`(match: String, isMeant: Bool) async {
        let binding = #"{"policyName":"golden-no-bad","validationActions":["Deny"],"matchResources":\#(match)}"#
        #expect((await Self.outcome(policy: Self.policy("false"), binding: binding).refusal != nil) == isMeant)
    }

    @Test func `a policy without a binding is not in force`() async {
        let binding = #"{"policyName":"another","validationActions":["Deny"]}"#
        #expect(await Self.outcome(policy: Self.policy("false"), binding: binding).refusal == nil)
    }

    @Test(arguments: [
        ("request.operation == 'CREATE' && request.userInfo.username == 'alice' && 'dev' in request.userInfo.groups", true),
        ("request.namespace == 'golden' && request.name == 'vt' && request.resource.resource == 'configmaps'", true),
        ("request.kind.kind == 'ConfigMap' && !request.dryRun && oldObject == null", true),
        ("namespaceObject.metadata.labels['tier'] == 'test'", true), ("namespaceObject.metadata.name == 'other'", false),
        ("authorizer.group('').resource('secrets').namespace('golden').check('get').allowed()", false),
        ("authorizer.requestResource.check('create').allowed()", false), ("params == null", true),
    ])
    func `expressions see the request`(expression: String, holds: Bool) async {
        let outcome = await Self.outcome(policy: Self.policy(expression))
        #expect((outcome.refusal == nil) == holds, "\(outcome.refusal?.message ?? "")")
    }

    @Test func `an update and a deletion show the old object`() async {
        let shelf = Self.shelf(policy: Self.policy("object.data == oldObject.data"), binding: Self.recorded.binding)
        #expect(await Self.ask(shelf, #"{"a":"1"}"#, old: #"{"a":"1"}"#).refusal == nil)
        #expect(await Self.ask(shelf, #"{"a":"2"}"#, old: #"{"a":"1"}"#).refusal?.code == 422)
        let deletion = Self.shelf(
            policy: Self.policy("object == null && oldObject.data.a == '1' && request.operation == 'DELETE'"),
            binding: Self.recorded.binding)
        #expect(await Self.ask(deletion, #"{"a":"1"}"#, old: #"{"a":"1"}"#, verb: .delete).refusal == nil)
    }

    @Test func `an expression that fails refuses, unless the policy says to ignore it`() async {
        let failing = "object.data.absent == '1'"
        let refusal = await Self.outcome(policy: Self.policy(failing)).refusal
        #expect(
            refusal?.message.hasSuffix("denied request: expression '\(failing)' resulted in error: no such key: absent") == true)
        #expect(await Self.outcome(policy: Self.policy(failing, extra: #","failurePolicy":"Ignore""#)).refusal == nil)
    }

    @Test func `a condition that is false leaves the request alone`() async {
        let condition = { (text: String) in #","matchConditions":[{"name":"c","expression":"\#(text)"}]"# }
        #expect(await Self.outcome(policy: Self.policy("false", extra: condition("false"))).refusal == nil)
        #expect(await Self.outcome(policy: Self.policy("false", extra: condition("true"))).refusal != nil)
        #expect(await Self.outcome(policy: Self.policy("true", extra: condition("object.data.absent == ''"))).refusal != nil)
    }

    @Test func `parameters come from the object that the binding names`() async {
        let policy = Self.policy(
            "size(object.data) <= int(params.data.most)", extra: #","paramKind":{"apiVersion":"v1","kind":"ConfigMap"}"#)
        func binding(_ action: String) -> String {
            #"{"policyName":"golden-no-bad","validationActions":["Deny"],"paramRef":{"name":"limits","parameterNotFoundAction":"\#(action)"}}"#
        }
        let shelf = Self.shelf(policy: policy, binding: binding("Deny"))
        let absent = await Self.ask(shelf, #"{"a":"1"}"#).refusal
        #expect(
            absent?.message.hasSuffix(
                "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction") == true)
        shelf.put(.configMaps, .read(#"{"metadata":{"name":"limits","namespace":"golden"},"data":{"most":"1"}}"#))
        #expect(await Self.ask(shelf, #"{"a":"1"}"#).refusal == nil)
        #expect(await Self.ask(shelf, #"{"a":"1","b":"2"}"#).refusal != nil)
        #expect(await Self.outcome(policy: policy, binding: binding("Allow")).refusal == nil)
    }

    @Test func `the policies themselves are exempt`() async {
        let shelf = Self.shelf(policy: Self.policy("false"), binding: Self.recorded.binding)
        #expect(await Self.ask(shelf, "{}", resource: Self.policies).refusal == nil)
    }

    @Test func `an expression that runs away is stopped`() async {
        let list = "[0,1,2,3,4,5,6,7,8,9]"
        let deep = (0..<7).reduce("true") { body, depth in "\(list).all(x\(depth), \(body))" }
        let refusal = await Self.outcome(policy: Self.policy(deep)).refusal
        #expect(refusal?.message.contains("cost limit exceeded") == true)
    }

    /// Record `vap-bad-cel`.
    @Test func `what does not compile is told with its place`() {
        let faults = CompiledPolicy.faults(in: ["validations": [["expression": "object.("]]])
        #expect(faults.map(\.field) == ["spec.validations[0].expression"])
        #expect(
            faults.first?.message
                == "Invalid value: \"object.(\": compilation failed: ERROR: <input>:1:8: Syntax error: no viable alternative at input '.('\n | object.(\n | .......^"
        )
    }
}
