import KarsCore
import Testing

@testable import Kars

@Suite struct `Sandbox status` {
    static func status(
        _ object: JSONObject = SandboxFixture.object(), outcome: PlanOutcome = .carriedOut,
        _ change: (inout SandboxObserved) -> Void = { _ in }
    ) throws -> KarsSandbox.Status {
        var (sandbox, seen) = try SandboxFixture.fresh(object)
        let owner = SandboxOwnership(object)
        seen.namespace = SandboxAccess.namespace(owner)
        seen.hasAccess = true
        change(&seen)
        let plan = SandboxPlan(sandbox, owner, given: seen, SandboxSettings())
        return SandboxStatus(
            sandbox: sandbox, owner: owner, plan: plan, seen: seen, outcome: outcome, now: UTCTime(seconds: 1_000)
        ).status
    }

    static func deployment(replicas: Int = 1, _ status: JSON) -> JSONObject {
        ["metadata": ["name": "research", "generation": 2], "spec": ["replicas": .int(replicas)], "status": status]
    }

    static let workloads: [(JSON, SandboxWorkload.State)] = [
        ([:], .creating),
        (["observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1], .available),
        // Of the template before.
        (["observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1], .creating),
        (["observedGeneration": 2, "availableReplicas": 1], .creating),
        (["observedGeneration": 2, "updatedReplicas": 1], .creating),
        (
            ["observedGeneration": 2, "conditions": [["type": "ReplicaFailure", "status": "True", "message": "no"]]],
            .failed("no")
        ),
        (
            [
                "observedGeneration": 2,
                "conditions": [
                    ["type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "late"]
                ],
            ], .failed("late")
        ),
    ]

    @Test(arguments: workloads)
    func `a Deployment is available when its present template is`(status: JSON, state: SandboxWorkload.State) {
        #expect(SandboxWorkload(Self.deployment(status)).state == state)
    }

    @Test func `why pods wait is told`() throws {
        let pod: JSONObject = [
            "status": [
                "containerStatuses": [
                    ["name": "agent", "state": ["waiting": ["reason": "ImagePullBackOff", "message": "no such image"]]],
                    ["name": "other", "state": ["waiting": ["reason": "PodInitializing"]]],
                ],
                "conditions": [["type": "PodScheduled", "status": "False", "message": "no node has the label"]],
            ]
        ]
        #expect(
            SandboxWorkload.problems(of: pod) == [
                "agent: ImagePullBackOff: no such image", "not scheduled: no node has the label",
            ])
        let status = try Self.status { seen in
            seen.deployment = Self.deployment(["observedGeneration": 2])
            seen.podProblems = SandboxWorkload.problems(of: pod)
        }
        #expect(status.phase == .creating)
        #expect(status.conditions["Ready"]?.message.contains("no such image") == true)
    }

    @Test func `what a refused pod says degrades its sandbox`() throws {
        let status = try Self.status {
            $0.deployment = Self.deployment([
                "conditions": [["type": "ReplicaFailure", "status": "True", "message": "denied by policy"]]
            ])
        }
        #expect(status.phase == .degraded)
        #expect(status.conditions["Degraded"]?.status == .true)
        #expect(status.conditions["Degraded"]?.message == "denied by policy")
    }

    @Test func `suspended is told for good`() throws {
        var object = SandboxFixture.object { $0["suspended"] = true }
        let stopped = try Self.status(object) { $0.deployment = Self.deployment(replicas: 0, ["observedGeneration": 2]) }
        #expect(stopped.phase == .suspended)
        #expect(stopped.conditions["Suspended"]?.status == .true)
        object = SandboxFixture.object()
        object["status"] = stopped.json
        let back = try Self.status(object) {
            $0.deployment = Self.deployment(["observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1])
        }
        #expect(back.phase == .running)
        #expect(back.conditions["Suspended"]?.status == .false)
        #expect(try Self.status().conditions["Suspended"] == nil)
    }

    @Test func `an overlay says that nobody guards the pod`() throws {
        let object = SandboxFixture.object {
            $0["upstreamCompatibility"] = ["sigsAgentSandbox": "overlay", "upstreamSandboxRef": ["name": "theirs"]]
        }
        let status = try Self.status(object)
        #expect(status.phase == .overlay)
        #expect(status.sandboxPod == "upstream/theirs")
        #expect(status.conditions["RuntimeReady"]?.reason == "OverlayMode")
        #expect(status.conditions["Ready"]?.message.contains("neither the router nor the packet rules") == true)
    }

    @Test func `a failure is told, and one of fresh rights is no alarm`() throws {
        let forbidden = APIStatus(code: 403, reason: .forbidden, message: "not yet")
        let early = try Self.status(outcome: .failed(forbidden)) {
            $0.namespace = nil
            $0.hasAccess = false
        }
        #expect(early.phase == .pending)
        #expect(early.conditions["Degraded"]?.status == .false)
        let late = try Self.status(outcome: .failed(forbidden)) { $0.deployment = Self.deployment([:]) }
        #expect(late.phase == .degraded)
        #expect(late.conditions["Degraded"]?.status == .true)
    }

    @Test func `dropped variables are told, and forgotten when they are gone`() throws {
        let object = SandboxFixture.object(runtime: ["kind": "Native", "native": ["extraEnv": ["KARS_MODEL": "x"]]])
        let status = try Self.status(object)
        #expect(status.conditions["EnvironmentAccepted"]?.message.contains("KARS_MODEL") == true)
        var clean = SandboxFixture.object()
        clean["status"] = status.json
        #expect(try Self.status(clean).conditions["EnvironmentAccepted"] == nil)
    }

    @Test func `what no sandbox gets is told as long as it is asked for`() throws {
        let asking = try Self.status(SandboxFixture.object { $0["sandbox"] = ["allowPrivilegeEscalation": true] })
        #expect(asking.conditions["PostureAccepted"]?.status == .false)
        #expect(asking.conditions["PostureAccepted"]?.reason == "EscalationRefused")
        #expect(try Self.status().conditions["PostureAccepted"] == nil)
    }

    private static func enforced(_ answer: RouterAnswer?, expecting digest: String? = "sha256:a") throws -> Condition? {
        try status {
            $0.expectedAllowlist = digest
            $0.router = answer
        }.conditions["EgressEnforced"]
    }

    @Test func `the allow list is in force when the router says so`() throws {
        func report(_ digest: String, error: String? = nil) -> RouterAnswer {
            .report(
                RouterReport(sandbox: "research", entries: [.allowlist: RouterReport.Entry(digest: digest, lastError: error)]))
        }
        #expect(try Self.enforced(report("sha256:a"))?.status == .true)
        #expect(try Self.enforced(report("sha256:b"))?.status == .false)
        #expect(try Self.enforced(report("sha256:b", error: "line 3"))?.message.contains("refuses the newest: line 3") == true)
        #expect(try Self.enforced(.report(RouterReport(sandbox: "research", entries: [:])))?.status == .false)
        #expect(try Self.enforced(.disbelieved("x"))?.reason == "AwaitingRouterEnforcement")
        #expect(try Self.enforced(nil)?.status == .false)
        #expect(try Self.enforced(report("sha256:a"), expecting: nil) == nil)
    }
}
