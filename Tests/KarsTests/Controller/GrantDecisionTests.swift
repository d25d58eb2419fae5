import KarsCore
import Testing

@testable import Kars

@Suite struct `Grants of egress` {
    private static let now = UTCTime(seconds: 1_800_000_000)
    private static let allowlist = #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443}]}"#

    private func spec(ttl: String = "PT1H", hosts: [String] = ["b.example"], reason: String = "because") -> EgressApproval.Spec {
        var spec = EgressApproval.Spec()
        (spec.sandbox, spec.ttl, spec.reason) = ("demo", ttl, reason)
        spec.hosts = hosts.map {
            var host = EgressApproval.Host()
            host.host = $0
            return host
        }
        return spec
    }

    private func map(_ data: JSONObject, home: String = "team") -> JSONObject {
        [
            "metadata": ["name": "m", "namespace": "kars-demo", "labels": ["kars.azure.com/parent-namespace": .string(home)]],
            "data": .object(data),
        ]
    }

    private func surroundings(phase: String = "Running") -> GrantDecision.Surroundings {
        let sandbox: JSONObject = ["metadata": ["name": "demo", "namespace": "team"], "status": ["phase": .string(phase)]]
        return GrantDecision.Surroundings(
            sandbox: SandboxView(sandbox), allowlist: map(["allowlist.json": .string(Self.allowlist)]))
    }

    private func decide(
        _ spec: EgressApproval.Spec, status: EgressApproval.Status = EgressApproval.Status(),
        _ seen: GrantDecision.Surroundings? = nil,
        longest: Int = 86_400, now: UTCTime = now
    ) -> GrantDecision {
        GrantDecision.decide(
            spec, name: "g", home: "team", status: status, created: Self.now.advanced(by: .seconds(-60)), seen ?? surroundings(),
            longest: longest, now: now)
    }

    @Test func `a grant begins when its sandbox runs, and its file is what the router reads`() throws {
        let decision = decide(spec())
        #expect(decision.standing == .awaiting("the router was not asked yet"))
        #expect(decision.effectiveAt == Self.now)
        #expect(decision.expiresAt == Self.now.advanced(by: .seconds(3600)))
        let grant = try EgressGrant(parsing: Array((decision.file ?? "").utf8), file: "approval-g.json")
        #expect(grant.rules.map(\.description) == ["b.example:443"])
        #expect(grant.isActive(at: Self.now))
        #expect(!grant.isActive(at: Self.now.advanced(by: .seconds(3600))))
    }

    @Test func `the digest is over what lies there, and this grant`() throws {
        let other = try #require(
            spec(hosts: ["c.example"]).file(name: "h", from: Self.now, until: Self.now.advanced(by: .seconds(60))))
        var seen = surroundings()
        seen.grants = map(["approval-h.json": .string(other), "readme.txt": "x"])
        let list =
            #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443},{"host":"b.example","port":443},{"host":"c.example","port":443}]}"#
        #expect(
            decide(spec(), seen).mergedDigest == PolicyDigest(name: "merged-allowlist.json", body: Array(list.utf8)).description)
    }

    @Test func `it is active when the router says so`() {
        var seen = surroundings()
        let digest = decide(spec()).mergedDigest
        seen.answer = .report(RouterReport(sandbox: "demo", entries: [.approvals: RouterReport.Entry(digest: digest)]))
        #expect(decide(spec(), seen).standing == .active)
        seen.answer = .report(RouterReport(sandbox: "demo", entries: [.allowlist: RouterReport.Entry(digest: digest)]))
        #expect(decide(spec(), seen).standing != .active)
        seen.answer = .disbelieved("another certificate")
        #expect(decide(spec(), seen).standing == .awaiting("the router is not believed: another certificate"))
    }

    @Test(arguments: [
        ("PT0S", "TtlInvalid"), ("P1W", "TtlInvalid"), ("PT25H", "TtlExceedsCeiling"), ("P8D", "TtlExceedsCeiling"),
    ])
    func `no time that is none, and none that is too long`(ttl: String, reason: String) {
        guard case .invalid(reason, _) = decide(spec(ttl: ttl)).standing else {
            Issue.record("\(decide(spec(ttl: ttl)).standing)")
            return
        }
        #expect(decide(spec(ttl: ttl)).file == nil)
    }

    @Test func `seven days are the most, whatever is configured`() {
        #expect(decide(spec(ttl: "P7D"), longest: .max).file != nil)
        #expect(decide(spec(ttl: "P7DT1S"), longest: .max).file == nil)
    }

    @Test(arguments: ["*.example.com", "169.254.169.254", "metadata.google.internal", "kubernetes.default.svc"])
    func `hosts inside the cluster and its cloud are not granted`(host: String) {
        let decision = decide(spec(hosts: [host]))
        guard case .invalid("SpecInvalid", _) = decision.standing else {
            Issue.record("\(decision.standing)")
            return
        }
        #expect(decision.file == nil)
    }

    @Test func `a reason with control characters is none`() {
        guard case .invalid("ReasonInvalid", _) = decide(spec(reason: "a\u{1b}b")).standing else {
            Issue.record("it was taken")
            return
        }
    }

    @Test(arguments: ["Creating", "Degraded", "Suspended"])
    func `nothing begins while the sandbox does not run`(phase: String) {
        let decision = decide(spec(), surroundings(phase: phase))
        #expect(decision.standing == .blocked("the sandbox demo does not run"))
        #expect(decision.effectiveAt == nil)
        #expect(decision.file == nil)
    }

    @Test func `a sandbox of the same name in another namespace is not the one`() {
        var seen = surroundings()
        seen.allowlist = map(["allowlist.json": .string(Self.allowlist)], home: "other")
        guard case .blocked = decide(spec(), seen).standing else {
            Issue.record("it was granted")
            return
        }
        #expect(decide(spec(), seen).file == nil)
    }

    @Test func `the end is fixed when it begins, and comes although the sandbox does not run`() {
        var status = EgressApproval.Status()
        status.effectiveAt = Self.now.rfc3339
        let later = Self.now.advanced(by: .seconds(1800))
        #expect(decide(spec(), status: status, now: later).expiresAt == Self.now.advanced(by: .seconds(3600)))
        let stopped = decide(spec(), status: status, surroundings(phase: "Creating"), now: later)
        #expect(stopped.standing == .blocked("the sandbox demo does not run"))
        #expect(stopped.file != nil)
        for phase in ["Running", "Creating"] {
            let over = decide(spec(), status: status, surroundings(phase: phase), now: Self.now.advanced(by: .seconds(3600)))
            #expect(over.standing == .expired)
            #expect(over.file == nil)
        }
    }

    @Test func `a status that was not written lengthens nothing`() throws {
        var seen = surroundings()
        let file = try #require(spec().file(name: "g", from: Self.now, until: Self.now.advanced(by: .seconds(3600))))
        seen.grants = map(["approval-g.json": .string(file)])
        #expect(decide(spec(), seen, now: Self.now.advanced(by: .seconds(100))).effectiveAt == Self.now)
    }

    @Test func `what is over stays over`() {
        var status = EgressApproval.Status()
        status.phase = .expired
        let decision = decide(spec(), status: status)
        #expect(decision.standing == .expired)
        #expect(decision.file == nil)
    }
}
