/// A repair that somebody proposes and somebody else decides on: one of a closed set of actions on one object, done with a credential that
/// can do only that.
///
/// What was proposed never changes, so that what is done is what was looked at. It is born `Pending`; a decision names who decided, and
/// stands. That the name is the decider's own and that no agent decides is said by the admission policy `kars-sre-approval`.
package struct KarsSREAction: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "KarsSREAction", plural: "karssreactions", shortName: "sreaction",
        summary: "A repair that was proposed, and what became of it.",
        columns: [
            .init("Type", ".spec.action.type"), .init("Target-NS", ".spec.action.params.namespace"),
            .init("Target-Name", ".spec.action.params.name"), .phase, .init("Approval", ".spec.approval.state"), .age,
        ],
        spec: Spec.schema, status: Status.schema)

    package struct Spec: SchemaRecord {
        package var action = SREActionRequest()
        package var approval = Approval()
        package var rationale: String?
        package var diagnosis: String?
        /// Minutes from its creation in which it can be approved.
        package var ttlMinutes = 15

        package init() {}

        package static let summary = "What is proposed and what was decided."
        package static let fields: [SchemaField<Spec>] = [
            .required("action", \.action, "What is to be done; never changes."),
            .required("approval", \.approval, "What was decided."),
            .optional("rationale", \.rationale, "Why this is the right thing to do; never changes.") { $0.plainText(0...2_048) },
            .optional("diagnosis", \.diagnosis, "What is wrong; never changes.") { $0.plainText(0...512) },
            .defaulted("ttlMinutes", \.ttlMinutes, "Minutes in which it can be approved; never changes.") {
                $0.atLeast(1).atMost(60)
            },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init("self.action == oldSelf.action", message: "an action never changes: propose another"),
            .init("self.?rationale == oldSelf.?rationale", message: "the rationale of an action never changes"),
            .init("self.?diagnosis == oldSelf.?diagnosis", message: "the diagnosis of an action never changes"),
            .init("self.ttlMinutes == oldSelf.ttlMinutes", message: "ttlMinutes of an action never changes"),
        ]

        /// What a server with this definition would refuse, of what can be seen without the object before.
        package func faults() -> [ResourceError] {
            var faults = keywordFaults(at: "spec") + action.faults(at: "spec.action") + approval.faults(at: "spec.approval")
            for (name, text) in [("rationale", rationale), ("diagnosis", diagnosis)] where !SchemaText.isPlain(text ?? "") {
                faults.append(ResourceError("spec.\(name)", "only printable text, tabs and line ends"))
            }
            return faults
        }
    }

    package struct Approval: SchemaRecord {
        package enum State: String, SchemaChoice { case pending = "Pending", approved = "Approved", rejected = "Rejected" }

        package var state = State.pending
        /// Who decided, as the API server calls them.
        package var by: String?
        package var note: String?

        package init() {}

        package static let summary = "A decision: made once, by a person who is named."
        package static let fields: [SchemaField<Approval>] = [
            .required("state", \.state, "Pending at first; Approved or Rejected once somebody decided."),
            .optional("by", \.by, "Who decided: your user name as the API server knows it (kubectl auth whoami).") {
                $0.plainText(1...512)
            },
            .optional("note", \.note, "What the decider has to say.") { $0.plainText(0...512) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            bornPending,
            .init("oldSelf.state == 'Pending' || self == oldSelf", message: "a decision stands: propose another action"),
            .init("has(self.by) == (self.state != 'Pending')", message: "'by' says who decided, once somebody has"),
        ]
        private static let bornPending: StructuralSchema.Rule = {
            var rule = StructuralSchema.Rule(
                "oldSelf.hasValue() || self.state == 'Pending'",
                message: "an action is proposed Pending; approving it comes after")
            rule.optionalOldSelf = true
            rule.reason = "FieldValueForbidden"
            return rule
        }()

        func faults(at path: String) -> [ResourceError] {
            var faults: [ResourceError] = []
            if (by != nil) != (state != .pending) {
                faults.append(ResourceError(path, "'by' says who decided, once somebody has"))
            }
            for (name, text) in [("by", by), ("note", note)] where !SchemaText.isPlain(text ?? "") {
                faults.append(ResourceError("\(path).\(name)", "only printable text, tabs and line ends"))
            }
            return faults
        }
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice {
            case proposed = "Proposed", approved = "Approved", applied = "Applied", recovered = "Recovered", failed = "Failed"
            case rejected = "Rejected", expired = "Expired"
        }

        package var phase: Phase?
        package var observedGeneration: Int?
        /// SHA-256 of `spec.action` when it was first seen, in hexadecimal digits.
        package var actionDigest: String?
        package var approvedBy: String?
        /// Times are RFC 3339.
        package var approvedAt: String?
        package var startedAt: String?
        package var appliedAt: String?
        package var completedAt: String?
        package var writerCrbName: String?
        package var change: String?
        package var previous: JSON?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "How far it is."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Proposed, Approved, Applied, Recovered; or Rejected, Expired, Failed."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("actionDigest", \.actionDigest, "Digest of what was proposed, to see that nothing else is done."),
            .optional("approvedBy", \.approvedBy, "Who approved it, as the API server knew them."),
            .optional("approvedAt", \.approvedAt, "When the approval was seen.") { $0.with(\.format, "date-time") },
            .optional("startedAt", \.startedAt, "When it began to be done; written before anything is.") {
                $0.with(\.format, "date-time")
            },
            .optional("appliedAt", \.appliedAt, "When it was done.") { $0.with(\.format, "date-time") },
            .optional("completedAt", \.completedAt, "When nothing more was to come.") { $0.with(\.format, "date-time") },
            .optional("writerCrbName", \.writerCrbName, "The binding that lends the right to do it, while it is lent."),
            .optional("change", \.change, "What the dry run said that it changes.") { $0.with(\.maxLength, 8_192) },
            .optional("previous", \.previous, "What was there before, to go back to."),
            [Condition].field(\.conditions),
        ]
    }
}
