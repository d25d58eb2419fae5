import KarsCore
import Testing

@testable import Kars

@Suite struct `Confirmation of policies` {
    private static let digest = "sha256:" + String(repeating: "ab", count: 32)
    private static let other = "sha256:" + String(repeating: "cd", count: 32)

    private func sandbox(_ name: String, phase: String? = "Running", suspended: Bool = false, deleted: Bool = false)
        -> SandboxView
    {
        var object: JSONObject = [
            "metadata": ["name": .string(name), "namespace": "n"], "spec": ["suspended": .bool(suspended)],
        ]
        object["status"] = phase.map { ["phase": .string($0)] }
        if deleted { object.metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z" }
        return SandboxView(object)
    }

    private func says(_ digest: String?, _ error: String? = nil, sandbox: String = "a") -> RouterAnswer {
        .report(RouterReport(sandbox: sandbox, entries: [.profile: RouterReport.Entry(digest: digest, lastError: error)]))
    }

    private func judge(_ sandboxes: [SandboxView], _ answers: [String: RouterAnswer]) -> PolicyConfirmation {
        .judge(Self.digest, of: .profile, in: sandboxes) { answers[$0.name] }
    }

    @Test func `every router has to echo the digest`() {
        let all = [sandbox("a"), sandbox("b")]
        #expect(judge(all, ["a": says(Self.digest), "b": says(Self.digest)]).state == .confirmed)
        let half = judge(all, ["a": says(Self.digest), "b": says(Self.other)])
        #expect(half.state == .awaiting)
        #expect((half.confirmed, half.total) == (1, 2))
        #expect(half.message.contains("b: enforces sha256:cdcd"))
    }

    @Test(
        arguments: [
            nil, .silent("refused"), .disbelieved("another certificate"), .report(RouterReport(sandbox: "a", entries: [:])),
            .report(RouterReport(sandbox: "a", entries: [.inference: RouterReport.Entry(digest: digest)])),
            .report(RouterReport(sandbox: "a", entries: [.profile: RouterReport.Entry(digest: nil)])),
        ] as [RouterAnswer?])
    func `nothing else than the digest of this kind confirms`(answer: RouterAnswer?) {
        let result = PolicyConfirmation.judge(Self.digest, of: .profile, in: [sandbox("a")]) { _ in answer }
        #expect(result.state == .awaiting)
        #expect(result.total == 1)
    }

    @Test func `suspended sandboxes and those that go have no router to ask`() {
        let all = [sandbox("a"), sandbox("b", suspended: true), sandbox("c", deleted: true)]
        #expect(judge(all, ["a": says(Self.digest), "b": says(Self.other), "c": says(Self.other)]).state == .confirmed)
        #expect(judge([sandbox("b", suspended: true)], [:]).state == .unreferenced)
    }

    @Test func `a sandbox that does not run yet counts once its router answers`() {
        let all = [sandbox("a"), sandbox("b", phase: "Creating")]
        #expect(judge(all, ["a": says(Self.digest)]).state == .confirmed)
        #expect(judge(all, ["a": says(Self.digest), "b": .silent("no pod")]).state == .confirmed)
        #expect(judge(all, ["a": says(Self.digest), "b": says(Self.other)]).state == .awaiting)
        #expect(judge(all, ["a": says(Self.digest), "b": .disbelieved("x")]).state == .awaiting)
    }

    @Test func `nobody refers to it`() { #expect(judge([], [:]).state == .unreferenced) }

    @Test func `a binding that cannot be used is not well although it is loaded`() {
        let all = [sandbox("a"), sandbox("b"), sandbox("c")]
        let answers = [
            "a": says(Self.digest), "b": says(Self.digest, "MemoryStoreMissing: no store s"),
            "c": says(Self.digest, "AuthMisconfigured: 403"),
        ]
        let expected = PolicyConfirmation.State.hindered(reason: "AuthMisconfigured", message: "c: AuthMisconfigured: 403")
        #expect(judge(all, answers).state == expected)
    }

    @Test func `a message names three and counts the rest`() {
        let result = judge((0..<5).map { sandbox("s\($0)") }, [:])
        #expect(result.message.contains("s2"))
        #expect(!result.message.contains("s3"))
        #expect(result.message.contains("(+2 more)"))
    }

    // MARK: References

    @Test func `who names no ToolPolicy has the default one, and who is not governed has none`() {
        func view(_ spec: JSON) -> SandboxView { SandboxView(["metadata": ["name": "a", "namespace": "n"], "spec": spec]) }
        #expect(view([:]).toolPolicy == "kars-default")
        #expect(view(["governance": [:]]).toolPolicy == "kars-default")
        #expect(view(["governance": ["toolPolicyRef": ["name": "t"]]]).toolPolicy == "t")
        #expect(view(["governance": ["enabled": false, "toolPolicyRef": ["name": "t"]]]).toolPolicy == nil)
        #expect(view(["inferenceRef": ["name": "i"], "memoryRef": ["name": "m"]]).memory == "m")
    }
}
