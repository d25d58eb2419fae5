import KarsCore

/// What the sandbox answered to one try.
struct EvalObservation: Equatable, Sendable {
    var decision: EvalDecision
    var byPolicyKind: EvalPolicyKind?
    var reason: String?

    var json: JSONObject {
        var object: JSONObject = ["decision": .string(decision.rawValue)]
        object["byPolicyKind"] = byPolicyKind.map { .string($0.rawValue) }
        object["reason"] = reason.map(JSON.string)
        return object
    }
}

/// Whether what came is what had to come.
enum EvalVerdict: Equatable, Sendable {
    enum Mismatch: String, Sendable {
        case decision = "DecisionMismatch", atLeastSome = "DecisionAtLeastSomeMissing"
        case policyKind = "ByPolicyKindMismatch", reason = "ReasonContainsMissing"
    }

    case pass
    case fail(Mismatch)
    /// There was no answer to judge: the sandbox was not reached, or does not offer what the case asks for. Neither passed nor failed.
    case errored(String)

    /// In this order: the decision, at least some, who decided, why.
    static func judge(
        _ observations: [EvalObservation], of scenario: EvalScenario, against expected: EvalExpectation
    ) -> EvalVerdict {
        guard let first = observations.first else { return .errored("nothing was tried") }
        // Of a burst that is to be slowed down the first call says what is allowed at all.
        guard first.decision == expected.decision else { return .fail(.decision) }
        var judged = first
        if let some = expected.decisionAtLeastSome {
            guard let found = observations.first(where: { $0.decision == some }) else { return .fail(.atLeastSome) }
            judged = found
        }
        if let kind = expected.byPolicyKind, (judged.byPolicyKind ?? scenario.policy) != kind { return .fail(.policyKind) }
        if let part = expected.reasonContains, !(judged.reason ?? "").lowercased().contains(part.lowercased()) {
            return .fail(.reason)
        }
        return .pass
    }

    var json: JSON {
        switch self {
        case .pass: ["result": "Pass"]
        case .fail(let mismatch): ["result": "Fail", "reason": .string(mismatch.rawValue)]
        case .errored(let reason): ["result": "Error", "reason": .string(reason)]
        }
    }
}

/// What one run found.
struct EvalReport: Sendable {
    struct Line: Sendable {
        var item: EvalCase
        var observations: [EvalObservation]
        var verdict: EvalVerdict
        var duration: Duration
    }

    static let schemaVersion = "v1"
    /// The most that a container can leave as its last words.
    static let maxSummaryBytes = 4_096

    var corpusName: String
    var corpusDigest: String
    var corpusLabel: String
    var startedAt: UTCTime
    var completedAt: UTCTime
    var routerBase: String
    var lines: [Line] = []

    var passed: Int { lines.count { $0.verdict == .pass } }
    var failed: Int { lines.count { if case .fail = $0.verdict { true } else { false } } }
    var errored: Int { lines.count - passed - failed }
    private var firstFailing: [String] {
        lines.filter { if case .fail = $0.verdict { true } else { false } }.prefix(5).map(\.item.id)
    }

    private var head: JSONObject {
        [
            "schemaVersion": .string(Self.schemaVersion), "corpusName": .string(corpusName),
            "corpusDigest": .string(corpusDigest), "corpusLabel": .string(corpusLabel),
            "startedAt": .string(startedAt.rfc3339), "completedAt": .string(completedAt.rfc3339),
            "total": .int(lines.count), "passed": .int(passed), "failed": .int(failed), "errored": .int(errored),
        ]
    }

    /// All of it.
    var json: JSON {
        var report = head
        report["durationMs"] = .int(Int(completedAt.duration(since: startedAt).wholeNanoseconds / 1_000_000))
        report["routerBase"] = .string(routerBase)
        report["results"] = .array(
            lines.map { line in
                var actual = line.observations.first?.json ?? JSONObject()
                if line.observations.count > 1 {
                    actual["observations"] = .array(
                        line.observations.enumerated().map { index, observation in
                            var object: JSONObject = ["seq": .int(index), "decision": .string(observation.decision.rawValue)]
                            object["reason"] = observation.reason.map(JSON.string)
                            return .object(object)
                        })
                }
                return [
                    "caseId": .string(line.item.id), "tags": .array(line.item.tags.map(JSON.string)),
                    "scenario": line.item.scenario.json, "expected": line.item.expect.json, "actual": .object(actual),
                    "verdict": line.verdict.json, "durationMs": .int(Int(line.duration.wholeNanoseconds / 1_000_000)),
                ]
            })
        return .object(report)
    }

    /// What the controller needs, on one line of bounded length.
    var summary: [UInt8] {
        var summary = head
        summary["firstFailingCases"] = .array(firstFailing.map { .string($0.cut(toBytes: 256)) })
        return JSON.object(summary).encoded()
    }
}
