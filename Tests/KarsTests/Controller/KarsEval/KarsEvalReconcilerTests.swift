import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `KarsEval reconciler` {
    static let home = "team-a", place = "kars-research"
    static let key = ObjectKey(namespace: home, name: "nightly")
    static let start = UTCTime(seconds: 1_767_323_045)
    static let evals = KarsEval.kind.resource

    /// A sandbox that runs, and an evaluation of it.
    final class Story: Sendable {
        let cluster: FakeCluster
        let clock: ManualClock
        let loop: ReconcileLoop<KarsEvalReconciler>

        convenience init(fault: @escaping @Sendable (KubernetesRequest) async -> FakeCluster.Fault? = { _ in nil }) {
            self.init(on: FakeCluster(fault: fault), ManualClock(utc: start))
        }

        init(on cluster: FakeCluster, _ clock: ManualClock) {
            self.cluster = cluster
            self.clock = clock
            loop = ReconcileLoop(
                KarsEvalReconciler(time: clock), informers: SharedInformers(of: cluster, time: clock))
        }

        func set(
            corpus: JSON = ["builtin": "banned-tools"], withSandbox: Bool = true, _ change: (inout JSONObject) -> Void = { _ in }
        ) async throws {
            if withSandbox {
                _ = try await cluster.send(.create(KarsSandbox.kind.resource, SandboxFixture.object()))
                let plan = try SandboxFixture.plan(SandboxFixture.object())
                let deployment = try #require(plan.made("Deployment"))
                _ = try await cluster.send(.create(.deployments, deployment))
            }
            var spec: JSONObject = ["targetSandboxRef": ["name": "research"], "corpus": corpus]
            change(&spec)
            _ = try await cluster.send(
                .create(
                    evals,
                    [
                        "apiVersion": .string(KarsKind.apiVersion), "kind": "KarsEval", "spec": .object(spec),
                        "metadata": [
                            "name": .string(key.name), "namespace": .string(home),
                            "creationTimestamp": .string(start.rfc3339),
                        ],
                    ]))
            try await settle()
        }

        func settle() async throws { for _ in 0..<5 { _ = await loop.reconcile(key) } }

        func ask() async throws {
            _ = try await cluster.send(
                .patch(
                    .merge, evals, namespace: home, name: key.name,
                    ["metadata": ["annotations": .object([KarsEval.runNowAnnotation: "true"])]]))
            try await settle()
        }

        var jobs: [JSONObject] { cluster.objects(.jobs) }
        var status: KarsEval.Status? { cluster.object(evals, key).flatMap { try? KarsEval(reading: $0) }?.status }

        /// What the node and then the Job's controller say of a run that is over.
        func finish(
            _ job: JSONObject, failed: Int = 0, errored: Int = 0, says words: String? = nil, isLost: Bool = false,
            settles: Bool = true
        ) async throws {
            if !isLost {
                let digest = EvalCorpus.digest(of: try #require(BuiltinCorpora.bytes("banned-tools")))
                let names: [JSON] = (0..<min(failed, 5)).map { .string("case-\($0)") }
                let summary: JSON = [
                    "schemaVersion": "v1", "corpusDigest": .string(digest), "corpusLabel": "builtin:banned-tools", "total": 5,
                    "passed": .int(5 - failed - errored), "failed": .int(failed), "errored": .int(errored),
                    "firstFailingCases": .array(names),
                ]
                let message = words ?? String(decoding: summary.encoded(), as: UTF8.self)
                let status: JSON = ["name": "runner", "state": ["terminated": ["exitCode": 1, "message": .string(message)]]]
                _ = try await cluster.send(
                    .create(
                        .pods,
                        [
                            "metadata": [
                                "name": .string("\(job.name)-x"), "namespace": .string(place),
                                "labels": .object([EvalJob.jobNameLabel: .string(job.name)]),
                            ],
                            "status": ["containerStatuses": [status]],
                        ]))
            }
            let condition: JSON = [
                "type": failed + errored > 0 ? "Failed" : "Complete", "status": "True",
                "lastTransitionTime": .string(clock.utc().rfc3339),
            ]
            _ = try await cluster.send(
                .patchStatus(.jobs, namespace: place, name: job.name, ["conditions": [condition]]))
            if settles { try await settle() }
        }
    }

    @Test func `asked, it runs once: a pod that is the sandbox's in everything but the agent`() async throws {
        let story = Story()
        try await story.set()
        #expect(story.status?.phase == .pending)
        #expect(story.jobs == [])
        try await story.ask()
        let job = try #require(story.jobs.first)
        #expect(story.jobs.count == 1)
        #expect(job.namespace == Self.place)
        #expect(story.cluster.object(Self.evals, Self.key)?.annotations[KarsEval.runNowAnnotation] == nil)
        #expect(story.status?.phase == .running)

        let template = try #require(job["spec"]?["template"])
        let labels = try #require(template.objectValue?.labels)
        #expect(labels[SandboxOwnership.componentLabel] == "sandbox", "the network policy is the sandbox's")
        #expect(labels[SandboxOwnership.sandboxLabel] == nil, "no Service and no Deployment takes it for the sandbox")
        let pod = try #require(template["spec"])
        #expect(pod["containers"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == ["runner"])
        #expect(
            pod["initContainers"]?.arrayValue?.compactMap { $0["name"]?.stringValue }
                == [SandboxPod.guardContainer, SandboxPod.routerContainer])
        #expect(pod["restartPolicy"] == "Never")
        #expect(job["spec"]?["backoffLimit"] == 0)
        let map = try #require(
            story.cluster.object(.configMaps, ObjectKey(namespace: Self.place, name: EvalJob.configMap(of: "nightly"))))
        let text = try #require(map["data"]?[EvalJob.corpusFile]?.stringValue)
        #expect(try EvalCorpus(parsing: Array(text.utf8)).cases.count == 5)
    }

    @Test func `BEAT: the runner is as confined as the agent`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        let pod = try #require(story.jobs.first?["spec"]?["template"]?["spec"])
        let context = try #require(pod["containers"]?[0]?["securityContext"])
        #expect(context["allowPrivilegeEscalation"] == false)
        #expect(context["capabilities"]?["drop"] == ["ALL"])
        #expect(context["readOnlyRootFilesystem"] == true)
        #expect(pod["automountServiceAccountToken"] == false)
    }

    @Test func `BEAT: the runner is there wherever the router is: it is the same image`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        let pod = try #require(story.jobs.first?["spec"]?["template"]?["spec"])
        let router = pod["initContainers"]?.arrayValue?.first { $0["name"]?.stringValue == SandboxPod.routerContainer }
        #expect(pod["containers"]?[0]?["image"] == router?["image"])
        let own = Story()
        try await own.set { $0["runnerImage"] = "registry.example/runner:1" }
        try await own.ask()
        #expect(own.jobs.first?["spec"]?["template"]?["spec"]?["containers"]?[0]?["image"] == "registry.example/runner:1")
    }

    @Test func `BEAT: the report is the container's last words, and says its version; nobody reads a log for it`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        try await story.finish(try #require(story.jobs.first))
        #expect(story.status?.lastResult?.schemaVersion == "v1")
        let logs = story.cluster.requests.filter { request in
            guard case .object(let path) = request.target else { return false }
            return path.subresource == "log"
        }
        #expect(logs.isEmpty)
    }

    @Test func `BEAT: a Job that ends brings its evaluation up, and nothing else does`() async throws {
        let cluster = FakeCluster(), clock = ManualClock(utc: Self.start)
        let story = Story(on: cluster, clock)
        try await story.set()
        try await story.ask()
        let informers = SharedInformers(of: cluster, time: clock)
        let loop = ReconcileLoop(KarsEvalReconciler(time: clock), informers: informers)
        KarsEvalReconciler.addWatches(to: loop)
        let running = Task {
            await withDiscardingTaskGroup { group in
                group.addTask { await informers.run() }
                group.addTask { await loop.run() }
            }
        }
        try await informers.waitUntilSynced()
        try await story.finish(try #require(story.jobs.first), failed: 1, settles: false)
        await cluster.wait { _ in story.status?.lastResult?.failed == 1 }
        running.cancel()
        await running.value
    }

    @Test func `BEAT: a run whose Job failed is seen, and is drift`() async throws {
        let story = Story()
        try await story.set { $0["failSandboxOnDrift"] = true }
        try await story.ask()
        try await story.finish(try #require(story.jobs.first), failed: 2)
        let status = try #require(story.status)
        #expect(status.phase == .degraded)
        #expect(status.lastResult?.failed == 2)
        #expect(status.lastResult?.firstFailingCases == ["case-0", "case-1"])
        #expect(status.conditions["ConformanceDrift"]?.status == .true)
        #expect(status.history.count == 1)
        let sandbox = try KarsSandbox(
            reading: #require(
                story.cluster.object(KarsSandbox.kind.resource, ObjectKey(namespace: Self.home, name: "research"))))
        #expect(sandbox.status.conditions["ConformanceDrift"]?.reason == "DriftDetected")

        try await story.ask()
        try await story.finish(try #require(story.jobs.last { EvalJob.end(of: $0) == nil }))
        #expect(story.status?.phase == .ready)
        #expect(story.status?.conditions["ConformanceDrift"]?.reason == "AllPassed")
        #expect(story.status?.history.map(\.failed) == [0, 2])
    }

    @Test func `BEAT: cases that could not be tried are errored, neither passed nor drift`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        try await story.finish(try #require(story.jobs.first), errored: 5)
        let status = try #require(story.status)
        #expect(status.phase == .degraded)
        #expect((status.lastResult?.failed, status.lastResult?.errored) == (0, 5))
        #expect(status.conditions["ConformanceDrift"]?.status == .false)
        #expect(status.conditions["Ready"]?.status == .false)
    }

    @Test(arguments: [
        "", "{}", #"{"schemaVersion":"v1"}"#,
        #"{"schemaVersion":"v1","corpusDigest":"sha256:00","corpusLabel":"l","total":5,"passed":5,"failed":0,"errored":0}"#,
    ])
    func `a report that makes no sense, or is of another corpus, shows nothing`(words: String) async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        try await story.finish(try #require(story.jobs.first), errored: 1, says: words)
        #expect(story.status?.phase == .degraded)
        #expect(story.status?.conditions["Degraded"]?.reason == "RunReportParseFailed")
        #expect(story.status?.history.count == 1)
        #expect(story.status?.lastResult == nil)
        let version = story.cluster.version
        try await story.settle()
        #expect(story.cluster.version == version)
    }

    @Test func `numbers that do not add up are refused`() throws {
        func read(_ passed: Int, _ failed: Int) throws(ResourceError) -> KarsEval.Result {
            let summary: JSON = [
                "schemaVersion": "v1", "corpusDigest": "d", "corpusLabel": "l", "total": 5, "passed": .int(passed),
                "failed": .int(failed), "errored": 0,
            ]
            return try EvalJob.result(
                reading: String(decoding: summary.encoded(), as: UTF8.self), of: "j", corpusDigest: "d")
        }
        #expect(try read(3, 2).failed == 2)
        #expect(throws: ResourceError.self) { try read(5, 2) }
        #expect(throws: ResourceError.self) { try read(7, -2) }
    }

    @Test func `a run that is lost with its pod is in the history all the same`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        try await story.finish(try #require(story.jobs.first), failed: 1, isLost: true)
        #expect(story.status?.history.count == 1)
        #expect(story.status?.conditions["Degraded"]?.reason == "RunReportParseFailed")
    }

    @Test func `by schedule it runs when it is due, one run at a time, and makes up for what was missed once`() async throws {
        let story = Story()
        try await story.set { $0["schedule"] = "0 * * * *" }
        #expect(story.jobs == [])
        #expect(story.status?.conditions["Ready"]?.reason == "Scheduled")
        story.clock.advance(by: .seconds(5 * 3_600))
        try await story.settle()
        #expect(story.jobs.count == 1)
        story.clock.advance(by: .seconds(3_600))
        try await story.settle()
        #expect(story.jobs.count == 1, "the first still runs")
        try await story.finish(try #require(story.jobs.first))
        #expect(story.jobs.count == 1, "what came due meanwhile was before its end")
        story.clock.advance(by: .seconds(3_600))
        try await story.settle()
        #expect(story.jobs.count == 2)
    }

    @Test func `at most twenty runs are remembered, the newest first`() async throws {
        let story = Story()
        try await story.set()
        for index in 0..<22 {
            story.clock.advance(by: .seconds(60))
            try await story.ask()
            let job = try #require(story.jobs.first { EvalJob.end(of: $0) == nil })
            try await story.finish(job, failed: index == 21 ? 1 : 0)
            _ = try await story.cluster.send(.delete(.jobs, namespace: Self.place, name: job.name))
        }
        #expect(story.status?.history.count == 20)
        #expect(story.status?.history.first?.failed == 1)
    }

    @Test func `what is missing is said, and heals`() async throws {
        let story = Story()
        try await story.set(withSandbox: false)
        #expect(story.status?.conditions["Degraded"]?.reason == "TargetSandboxMissing")
        _ = try await story.cluster.send(.create(KarsSandbox.kind.resource, SandboxFixture.object()))
        try await story.settle()
        #expect(story.status?.conditions["Degraded"]?.reason == "TargetSandboxNotReady")
        let unknown = Story()
        try await unknown.set(corpus: ["builtin": "nothing"])
        #expect(unknown.status?.conditions["Degraded"]?.reason == "CorpusBuiltinMissing")
        let never = Story()
        try await never.set { $0["schedule"] = "61 * * * *" }
        #expect(never.status?.conditions["Degraded"]?.reason == "SpecInvalid")
    }

    @Test func `a sandbox of that name in another namespace is not evaluated`() async throws {
        let story = Story()
        var other = try #require(try SandboxFixture.plan(SandboxFixture.object()).made("Deployment"))
        other.metadata["labels"] = .object([SandboxOwnership.homeLabel: "team-b"])
        _ = try await story.cluster.send(.create(.deployments, other))
        _ = try await story.cluster.send(.create(KarsSandbox.kind.resource, SandboxFixture.object()))
        try await story.set(withSandbox: false)
        try await story.ask()
        #expect(story.jobs == [])
    }

    @Test func `at rest nothing is written; deleted, it leaves nothing`() async throws {
        let story = Story()
        try await story.set()
        try await story.ask()
        try await story.finish(try #require(story.jobs.first))
        let version = story.cluster.version
        try await story.settle()
        #expect(story.cluster.version == version)
        _ = try await story.cluster.send(.delete(Self.evals, namespace: Self.home, name: Self.key.name))
        try await story.settle()
        #expect(story.jobs == [])
        #expect(story.cluster.objects(.configMaps) == [])
        #expect(story.cluster.objects(Self.evals) == [])
    }

    @Test(arguments: 0..<12) func `a round that is cut off anywhere does not run twice`(point: Int) async throws {
        for fault in [FakeCluster.Fault.refuse(.internalError("crash")), .loseAnswer] {
            let left = Watched<Int?>(nil)
            let story = Story { _ in
                guard let count = left.value else { return nil }
                left.change { $0 = count == 0 ? nil : count - 1 }
                return count == 0 ? fault : nil
            }
            try await story.set()
            _ = try await story.cluster.send(
                .patch(
                    .merge, Self.evals, namespace: Self.home, name: Self.key.name,
                    ["metadata": ["annotations": .object([KarsEval.runNowAnnotation: "true"])]]))
            left.change { $0 = point }
            try await story.settle()
            #expect(story.jobs.count == 1)
            #expect(story.cluster.object(Self.evals, Self.key)?.annotations[KarsEval.runNowAnnotation] == nil)
        }
    }
}
