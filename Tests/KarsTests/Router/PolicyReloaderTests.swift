import KarsCore
import KarsTesting
import Synchronization
import Testing

@testable import Kars

@Suite struct `Policy reloader` {
    private final class Egress: EgressPolicySink {
        let baseline = Mutex<[EgressRule]?>([])
        let approvals = Mutex<[EgressGrant]>([])
        func replace(baseline: [EgressRule]?) { self.baseline.withLock { $0 = baseline } }
        func replace(approvals: [EgressGrant]) { self.approvals.withLock { $0 = approvals } }
        func replace(blockList: BlockList) {}
        func mergedDocument(at now: UTCTime) -> [UInt8] {
            let approved = approvals.withLock { $0 }.filter { $0.isActive(at: now) }.flatMap(\.rules)
            return EgressRule.document((baseline.withLock { $0 } ?? []) + approved)
        }
        func nextApprovalTurn(after now: UTCTime) -> UTCTime? {
            approvals.withLock { $0 }.flatMap { [$0.effectiveAt, $0.expiresAt] }.filter { $0 > now }.min()
        }
    }

    private final class Clock: Sendable {
        let now = Mutex(UTCTime(seconds: 1_800_000_000))
    }

    private struct Fixture {
        let directory: String
        let store = PolicyStore()
        let egress = Egress()
        let clock = Clock()
        let reloader: PolicyReloader

        init(_ directory: String) throws {
            self.directory = directory
            for name in ["profiles", "inference", "memory", "egress", "approvals"] {
                try Files.createDirectories("\(directory)/\(name)", mode: 0o700)
            }
            reloader = PolicyReloader(
                sandbox: "t",
                paths: RouterConfig.PolicyPaths(
                    profiles: "\(directory)/profiles", inference: "\(directory)/inference",
                    memory: "\(directory)/memory", allowlist: "\(directory)/egress", approvals: "\(directory)/approvals",
                    blockList: "\(directory)/blocklist.txt", blockListEnabled: true, learnsEgress: false,
                    pollInterval: .milliseconds(20)),
                store: store, egress: egress, metrics: RouterMetrics(in: Metrics(), sandbox: "t", models: []), log: .silent,
                clock: { [clock] in clock.now.withLock { $0 } })
        }

        func write(_ text: String, _ name: String) throws {
            try AtomicFile.write(Array(text.utf8), to: "\(directory)/\(name)", mode: 0o600)
            reloader.loadAll()
        }

        func allows(_ name: String) -> Bool {
            let action = Action(surface: .tool, principal: "t", name: name)
            if case .allow = store.current.engine.evaluate(action) { return true }
            return false
        }
    }

    static func profile(_ pattern: String) -> String {
        "version: \"2\"\nagent: t\npolicies:\n  - name: r\n    type: capability\n    allowed_actions: [\"\(pattern)\"]\n"
    }

    @Test func `nothing mounted denies everything`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            fixture.reloader.loadAll()
            #expect(!fixture.allows("tool:a:"))
            #expect(fixture.store.board[.profile] == nil)
            #expect(fixture.store.current.profileDigest == nil)
        }
    }

    @Test func `a change is in force after one look, a bad version changes nothing but the status`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            try fixture.write(Self.profile("tool:a:*"), "profiles/p.yaml")
            #expect(fixture.allows("tool:a:x"))
            let good = fixture.store.board[.profile]?.digest
            #expect(good == PolicyDigest(name: "p.yaml", body: Array(Self.profile("tool:a:*").utf8)).description)

            try fixture.write("policies: [", "profiles/p.yaml")
            #expect(fixture.allows("tool:a:x"))
            #expect(fixture.store.board[.profile]?.digest == good)
            #expect(fixture.store.board[.profile]?.lastError?.contains("p.yaml") == true)

            try fixture.write(Self.profile("tool:b:*"), "profiles/p.yaml")
            #expect(fixture.allows("tool:b:x") && !fixture.allows("tool:a:x"))
            #expect(fixture.store.board[.profile]?.lastError == nil)
        }
    }

    @Test func `a profile that is taken away takes its permissions with it`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            try fixture.write(Self.profile("*"), "profiles/p.yaml")
            try Files.remove("\(directory)/profiles/p.yaml")
            fixture.reloader.loadAll()
            #expect(!fixture.allows("tool:a:x"))
            #expect(fixture.store.board[.profile] == nil)
        }
    }

    @Test func `inference policy, allow list and approvals are loaded with their digests`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            try fixture.write(#"{"tokenBudget":{"perRequestTokens":100}}"#, "inference/inference-policy.json")
            #expect(fixture.store.current.inference.limits.perRequest == 100)
            #expect(
                fixture.store.board[.inference]?.digest
                    == "sha256:e62fdbdb01f0da186e70e530f2238ceeaf3755bf6e09a0bc533071aa578705ce")
            let list = #"{"schemaVersion":1,"endpoints":[{"host":"a.example","port":443},{"host":"b.example","port":8443}]}"#
            try fixture.write(list, "egress/allowlist.json")
            #expect(fixture.egress.baseline.withLock { $0?.count } == 2)
            #expect(
                fixture.store.board[.allowlist]?.digest
                    == "sha256:782c6aedb45fe8457c10f95b481bbdae92711c6bd21e0d38eb46e14c43583ef3")
            #expect(
                fixture.store.board[.approvals]?.digest
                    == "sha256:198b19f6015f413581c14e4019c761aeb2a37e40b65352a4d9d6f66dbd1a1161")
            try fixture.write("{}", "approvals/approval-a.json")
            #expect(fixture.store.board[.approvals]?.lastError?.contains("approval-a.json") == true)
            try Files.remove("\(directory)/egress/allowlist.json")
            fixture.reloader.loadAll()
            #expect(fixture.egress.baseline.withLock { $0 } == nil)
            #expect(fixture.store.board[.allowlist] == nil)
        }
    }

    @Test func `what was read past shows in the status of the version in force`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            try fixture.write(
                "version: \"1.0\"\nagent: t\nsurprise: 1\npolicies: []\n", "profiles/p.yaml")
            let warnings = try #require(fixture.store.board[.profile]?.warnings)
            #expect(warnings.contains { $0.contains("surprise") })
            #expect(fixture.store.board.json["entries"]?[0]?["warnings"]?.arrayValue?.isEmpty == false)
            try fixture.write(Self.profile("tool:b:*"), "profiles/p.yaml")
            #expect(fixture.store.board[.profile]?.warnings.isEmpty == true)
        }
    }

    @Test func `the digest of approvals follows the allow list and the clock`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            let start = fixture.clock.now.withLock { $0 }
            func merged(_ hosts: String...) -> String {
                let rules = hosts.compactMap { try? EgressRule(host: $0, port: 443) }
                return PolicyDigest(name: PolicyDigest.Name.mergedAllowlist, body: EgressRule.document(rules)).description
            }
            let list = { (host: String) in #"{"schemaVersion":1,"endpoints":[{"host":"\#(host)","port":443}]}"# }
            try fixture.write(list("a.example"), "egress/allowlist.json")
            try fixture.write(
                """
                {"schemaVersion":1,"approvalName":"x","hosts":[{"host":"b.example"}],
                "effectiveAt":"\(start.advanced(by: .seconds(60)).rfc3339Milliseconds)",
                "expiresAt":"\(start.advanced(by: .seconds(120)).rfc3339Milliseconds)"}
                """, "approvals/approval-x.json")
            #expect(fixture.store.board[.approvals]?.digest == merged("a.example"))
            for (seconds, expected) in [
                (59, merged("a.example")), (60, merged("a.example", "b.example")), (120, merged("a.example")),
            ] {
                fixture.clock.now.withLock { $0 = start.advanced(by: .seconds(seconds)) }
                fixture.reloader.loadAll()
                #expect(fixture.store.board[.approvals]?.digest == expected, "after \(seconds) s")
            }
            try fixture.write(list("c.example"), "egress/allowlist.json")
            #expect(fixture.store.board[.approvals]?.digest == merged("c.example"))
        }
    }

    // MARK: - Memory, and grants that end

    @Test func `a binding for another sandbox is refused, and the one in force stays`() throws {
        try withTemporaryDirectory { directory in
            let fixture = try Fixture(directory)
            let mine = MemoryBinding(store: "s", sandbox: "t", scope: "x")
            try fixture.write(String(decoding: mine.json.encoded(), as: UTF8.self), "memory/binding.json")
            #expect(fixture.store.memory == mine)
            let digest = fixture.store.board[.memory]?.digest
            let other = MemoryBinding(store: "s", sandbox: "other", scope: "x")
            try fixture.write(String(decoding: other.json.encoded(), as: UTF8.self), "memory/binding.json")
            #expect(fixture.store.memory == mine)
            #expect(fixture.store.board[.memory]?.digest == digest)
            #expect(fixture.store.board[.memory]?.lastError?.contains("it is for other, not for t") == true)
        }
    }

    @Test func `a grant whose file stays ends by itself: nothing is allowed by it, and the digest says so`() throws {
        try withTemporaryDirectory { directory in
            let control = try EgressControl(EgressControl.Config(sandbox: "t", statePath: nil))
            let clock = Clock()
            for name in ["egress", "approvals"] { try Files.createDirectories("\(directory)/\(name)", mode: 0o700) }
            let store = PolicyStore()
            let reloader = PolicyReloader(
                sandbox: "t",
                paths: RouterConfig.PolicyPaths(
                    profiles: "\(directory)/none", inference: "\(directory)/none", memory: "\(directory)/none",
                    allowlist: "\(directory)/egress", approvals: "\(directory)/approvals", blockList: "\(directory)/none",
                    blockListEnabled: false, learnsEgress: false, pollInterval: .milliseconds(20)),
                store: store, egress: control, metrics: RouterMetrics(in: Metrics(), sandbox: "t", models: []), log: .silent,
                clock: { clock.now.withLock { $0 } })
            let start = clock.now.withLock { $0 }
            let spec = try EgressApproval.Spec(
                reading: ["sandbox": "t", "hosts": [["host": "b.example"]], "reason": "r", "ttl": "PT1H"], at: "spec")
            let file = try #require(spec.file(name: "g", from: start, until: start.advanced(by: .seconds(3600))))
            try AtomicFile.write(EgressRule.document([]), to: "\(directory)/egress/allowlist.json", mode: 0o600)
            reloader.loadAll()
            try AtomicFile.write(Array(file.utf8), to: "\(directory)/approvals/approval-g.json", mode: 0o600)
            reloader.loadAll()
            let host = Host.name(try HostName("b.example"))
            let granted = store.board[.approvals]?.digest
            guard case .allow = control.decide(host, port: 443, now: start.advanced(by: .seconds(3599))) else {
                Issue.record("the grant is not in force")
                return
            }
            let end = start.advanced(by: .seconds(3600))
            guard case .refuse = control.decide(host, port: 443, now: end) else {
                Issue.record("the grant outlives its end")
                return
            }
            clock.now.withLock { $0 = end }
            reloader.loadAll()
            let empty = try MergedAllowlist.digest(baseline: #"{"schemaVersion":1,"endpoints":[]}"#, files: [:], at: end)
            #expect(store.board[.approvals]?.digest == empty.description)
            #expect(granted != empty.description)
        }
    }
}
