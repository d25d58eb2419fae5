/// An AGT governance profile (spec/router 14.1) as a value: what the files said, before it is compiled into a `PolicyEngine`.
///
/// It owns the meaning of fields and the merge of several files. It does not know how actions are matched.
package struct PolicyProfile: Equatable, Sendable {
    package enum DefaultDecision: String, CaseIterable, Sendable { case allow, deny }

    /// Whose evaluation rules apply.
    package enum Semantics: String, CaseIterable, Sendable {
        /// Priorities count, deny wins a tie, what no rule mentions gets the default decision (deny unless stated).
        case kars
        /// AGT 1 as existing profiles were written for (spec/router 14.3): file order, in-scope denial, default allow.
        case agt1 = "agt-1"
    }

    package struct Rule: Equatable, Sendable {
        package enum Kind: Equatable, Sendable {
            case capability(denied: [ActionPattern], allowed: [ActionPattern])
            case approval(actions: [ActionPattern], minimumApprovals: Int)
            case rateLimit(actions: [ActionPattern], maxCalls: Int, window: Duration)
        }

        package var name: String
        package var kind: Kind
        /// All must hold: key, then the values of which one must be equal.
        package var conditions: [String: [String]]
        /// Higher is asked first.
        package var priority: Int
        /// The file that the rule came from; part of its identity, so that two files may use one name.
        package var file: String

        package init(
            name: String, kind: Kind, conditions: [String: [String]] = [:], priority: Int = 0, file: String = ""
        ) {
            self.name = name
            self.kind = kind
            self.conditions = conditions
            self.priority = priority
            self.file = file
        }
    }

    /// Something the reader could live with but a person should see: `file:line:column: text`.
    package struct Warning: Equatable, Sendable, CustomStringConvertible {
        package var file: String
        package var line: Int
        package var column: Int
        package var text: String

        package init(file: String, line: Int, column: Int, text: String) {
            self.file = file
            self.line = line
            self.column = column
            self.text = text
        }

        package var description: String { "\(file):\(line):\(column): \(text)" }
    }

    /// Whose profile it is, one name per file; empty when no file was read.
    package var agents: [String]
    /// What happens to an action that no rule mentions; nil when no file says (then: deny, or allow under AGT 1).
    package var defaultDecision: DefaultDecision?
    package var semantics: Semantics
    package var rules: [Rule]
    package var warnings: [Warning]

    package init(
        agents: [String] = [], defaultDecision: DefaultDecision? = nil, semantics: Semantics = .kars, rules: [Rule] = [],
        warnings: [Warning] = []
    ) {
        self.agents = agents
        self.defaultDecision = defaultDecision
        self.semantics = semantics
        self.rules = rules
        self.warnings = warnings
    }
}
