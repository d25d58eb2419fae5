import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Egress control` {
    static let now = UTCTime(seconds: 1_800_000_000)

    func control(_ path: String? = nil, mode: EgressPolicy.Mode = .strict) throws -> EgressControl {
        let control = try EgressControl(.init(sandbox: "dev-agent", mode: mode, statePath: path))
        control.replace(baseline: [])
        return control
    }

    func isAllowed(_ control: EgressControl, _ host: String, _ port: UInt16 = 443) throws -> Bool {
        if case .refuse = control.decide(try Host(host), port: port, now: Self.now) { return false }
        return true
    }

    @Test func `a refused host is pending until it is approved, on the port it was refused on`() throws {
        let control = try control()
        for port in [8443, 0] as [UInt16] {
            control.noteRefused(try Host("api.example.com"), port: port, rule: "egress:default-deny", now: Self.now)
        }
        control.noteRefused(try Host("other.example.com"), port: 443, rule: "egress:default-deny", now: Self.now)
        #expect(control.pendingJSON()["count"] == 3)
        #expect(try control.approve("API.example.com.").map(\.description) == ["api.example.com:8443"])
        #expect(try isAllowed(control, "api.example.com", 8443))
        #expect(try !isAllowed(control, "api.example.com", 443))
        #expect(control.pendingJSON()["pending"]?[0]?["domain"] == "other.example.com")
        #expect(control.pendingJSON()["count"] == 1)
        #expect(try control.approve("new.example.com").map(\.port) == [443])
        #expect(try control.approve("*.wild.example.com:80").map(\.description) == ["*.wild.example.com:80"])
        #expect(try isAllowed(control, "a.wild.example.com", 80))
    }

    @Test func `a denial takes back a grant, and an approval takes back a denial`() throws {
        let control = try control()
        try control.approve("x.example.com")
        try control.deny("x.example.com")
        #expect(try !isAllowed(control, "x.example.com"))
        #expect(control.status(now: Self.now).granted == 0)
        try control.approve("x.example.com")
        #expect(try isAllowed(control, "x.example.com"))
        #expect(control.denied.isEmpty)
    }

    @Test func `learning records, enforcing makes rules of it`() throws {
        let control = try control(mode: .learn)
        #expect(control.decide(try Host("a.example.com"), port: 443, now: Self.now) == .learn)
        control.noteLearned(try HostName("a.example.com"), port: 443, now: Self.now)
        control.noteLearned(try HostName("a.example.com"), port: 80, now: Self.now)
        #expect(control.learnedJSON["domains"] == ["a.example.com"])
        #expect(control.learnedJSON["learn_mode"] == true)
        let done = try control.enforceJSON(now: Self.now)
        #expect(done["status"] == "enforcing")
        #expect(done["promoted"] == 2)
        #expect(done["allowlist"] == ["a.example.com:80", "a.example.com:443"])
        #expect(try isAllowed(control, "a.example.com", 80))
        #expect(try !isAllowed(control, "b.example.com"))
        #expect(try control.enforceJSON(now: Self.now)["status"] == "already_enforcing")
        try control.setLearning(true)
        #expect(control.status(now: Self.now).mode == .learn)
    }

    @Test func `decisions survive a restart, and files do not become part of them`() throws {
        try withTemporaryDirectory { directory in
            let path = directory + "/egress.json"
            let first = try control(path, mode: .learn)
            first.replace(baseline: [try EgressRule(host: "file.example.com")])
            try first.approve("x.example.com:8443")
            try first.deny("*.bad.example.com")
            try first.setLearning(false)
            first.noteLearned(try HostName("l.example.com"), port: 443, now: Self.now)
            try first.saveIfNeeded()
            let second = try control(path, mode: .learn)
            #expect(second.status(now: Self.now).mode == .strict)
            #expect(try isAllowed(second, "x.example.com", 8443))
            #expect(try !isAllowed(second, "file.example.com"))
            #expect(second.denied.map(\.description) == ["*.bad.example.com"])
            #expect(second.learned.map(\.rule.description) == ["l.example.com:443"])
        }
    }

    @Test(arguments: [
        "", "{}", #"{"schemaVersion":2}"#, #"{"schemaVersion":1,"granted":["a b"],"denied":[],"learned":[]}"#,
        #"{"schemaVersion":1,"granted":[],"denied":[],"learned":[{}]}"#,
        #"{"schemaVersion":1,"mode":"open","granted":[],"denied":[],"learned":[]}"#,
    ])
    func `a state file that cannot be understood is an error, not an empty state`(text: String) throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(Array(text.utf8), to: directory + "/egress.json", mode: 0o600)
            #expect(throws: EgressStateError.self) { try control(directory + "/egress.json") }
        }
    }

    @Test func `an operation that cannot be saved is not in force`() throws {
        try withTemporaryDirectory { directory in
            let control = try control(directory + "/missing/egress.json")
            #expect(throws: EgressStateError.self) { try control.approve("x.example.com") }
            #expect(try !isAllowed(control, "x.example.com"))
        }
    }

    @Test(arguments: ["", "*", "a b", "http://x.example.com", "x.example.com:0", "1.2.3"])
    func `arguments that are no destination are refused`(text: String) throws {
        #expect(throws: EgressStateError.self) { try control().approve(text) }
    }

    @Test func `views have the shapes that tools read`() throws {
        let control = try control()
        control.noteRefused(try Host("169.254.169.254"), port: 80, rule: "egress:ip-literal", now: Self.now)
        let blocked = control.blockedJSON(since: UTCTime(seconds: 0))
        #expect(blocked["entries"]?[0]?["host"] == "169.254.169.254")
        #expect(blocked["entries"]?[0]?["source_sandbox"] == "dev-agent")
        #expect(blocked["entries"]?[0]?["first_seen"] == "2027-01-15T08:00:00.000Z")
        #expect(control.topBlockedJSON(5, window: .seconds(300), now: Self.now)["top"]?[0]?["count"] == 1)
        #expect(control.statusJSON(now: Self.now)["pending_count"] == 1)
        #expect(control.allowlistJSON(now: Self.now)["count"] == 0)
    }

    @Test func `connections by a grant are counted while it is mounted`() throws {
        let control = try control()
        let grant = EgressGrant(
            name: "visit", rules: [try EgressRule(parsing: "a.example.com")], effectiveAt: Self.now,
            expiresAt: Self.now.advanced(by: .seconds(60)))
        control.replace(approvals: [grant])
        guard case .allow(let rule) = control.decide(try Host("a.example.com"), port: 443, now: Self.now) else {
            Issue.record("it is not allowed")
            return
        }
        control.noteUse(of: rule)
        control.noteUse(of: rule)
        control.noteUse(of: "egress:allowlist:a.example.com:443")
        control.noteUse(of: "egress:learn")
        #expect(control.approvalUses == ["visit": 2])
        control.replace(approvals: [grant])
        #expect(control.approvalUses == ["visit": 2])
        control.replace(approvals: [])
        #expect(control.approvalUses == [:])
    }
}
