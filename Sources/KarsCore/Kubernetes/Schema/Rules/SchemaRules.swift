/// The rules of a schema (`x-kubernetes-validations`), compiled once and run over every object (KEP-2876).
///
/// Rules run after the schema has been checked, and only if none of its faults is of a kind that would mislead them
/// (`FieldError.preventRules`).
package struct SchemaRules: Sendable {
    /// What all rules may cost together for one object, in CEL's units.
    package static let costBudget = 10_000_000

    /// Why a definition with these rules is refused. A rule with a fault of its own is not run.
    package let faults: [FieldError]
    private let root: RuleNode?

    /// - Parameters:
    ///   - schema: without structural faults.
    ///   - path: where it stands in the definition.
    ///   - isObject: rules of the root see `apiVersion`, `kind`, `metadata.name` and `metadata.generateName`.
    package init(compiling schema: StructuralSchema, at path: String, isObject: Bool = true) {
        var compiler = RuleCompiler()
        root = compiler.compile(schema, at: path, isObject: isObject)
        faults = compiler.faults
    }

    /// No rule at all: nothing to run.
    package var isEmpty: Bool { root == nil }

    /// - Parameter old: the object that `object` replaces. Transition rules run where it has a counterpart, and faults of other
    ///   rules about parts that have not changed are dropped (KEP-4008).
    package func validate(_ object: JSON, old: JSON? = nil, at path: String = "") -> [FieldError] {
        guard let root else { return [] }
        var run = RuleRun(remaining: Self.costBudget)
        run.check(object, old: old, isUnchanged: old == object, root, at: path)
        return run.faults
    }
}

extension FieldError {
    /// What stands for all faults that rules might have found.
    package static let rulesNotChecked = FieldError(
        .invalid, "", value: .null,
        detail: """
            some validation rules were not checked because the object was invalid; correct the existing errors to complete validation
            """)

    /// Whether the object is so wrong that rules about it make no sense.
    package var preventsRules: Bool {
        switch kind {
        case .required, .typeInvalid, .notSupported, .tooLong, .tooMany: true
        case .invalid, .duplicate, .notFound, .forbidden, .internal: false
        }
    }
}

private struct RuleRun {
    var faults: [FieldError] = []
    /// Below zero nothing runs any more.
    var remaining: Int

    init(remaining: Int) { self.remaining = remaining }

    /// - Parameter isUnchanged: whether this value, or the nearest one around it that has an old counterpart, equals it.
    mutating func check(_ value: JSON, old: JSON?, isUnchanged: Bool, _ node: RuleNode, at path: String) {
        guard remaining >= 0, !value.isNull else { return }
        if !node.rules.isEmpty { run(value, old: old, isUnchanged: isUnchanged, node, at: path) }
        switch value {
        case .object(let members):
            let before = node.schema.mapType == .atomic ? nil : old?.objectValue
            if let values = node.values {
                for (name, member) in members {
                    descend(member, before?[name], isUnchanged, values, at: "\(path)[\(name)]")
                }
            }
            for (name, inner) in node.properties {
                guard let member = members[name] else { continue }
                descend(member, before?[name], isUnchanged, inner, at: path.isEmpty ? name : "\(path).\(name)")
            }
        case .array(let elements):
            guard let items = node.items else { return }
            let before = old?.arrayValue.flatMap { ListCorrelation(of: $0, node.schema) }
            for (index, element) in elements.enumerated() {
                descend(element, before?.match(element), isUnchanged, items, at: "\(path)[\(index)]")
            }
        case .null, .bool, .number, .string: break
        }
    }

    private mutating func descend(_ value: JSON, _ old: JSON?, _ isUnchanged: Bool, _ node: RuleNode, at path: String) {
        check(value, old: old, isUnchanged: old.map { $0 == value } ?? isUnchanged, node, at: path)
    }

    // MARK: One place

    private mutating func run(_ value: JSON, old: JSON?, isUnchanged: Bool, _ node: RuleNode, at path: String) {
        let type = JSON.string(node.schema.type?.rawValue ?? "")
        guard remaining > 0 else { return exhausted(path, type) }
        let old = old?.isNull == true ? nil : old
        for rule in node.rules {
            guard !rule.usesOldSelf || old != nil || rule.takesOptionalOldSelf else { continue }
            let variables: [String: CELValue]
            do throws(CELEvaluationError) {
                variables = try bindings(value, old: old, rule, node.type)
                let result = try evaluate(rule.program, variables)
                guard remaining >= 0 else { return exhausted(path, type) }
                guard case .bool(let holds) = result else { throw .noSuchOverload }
                if holds { continue }
            } catch {
                guard report(error, rule, path, type) else { return }
                continue
            }
            let field = rule.fieldPath.isEmpty ? path : path.isEmpty ? rule.fieldPath : "\(path).\(rule.fieldPath)"
            let detail: String
            do throws(Stop) { detail = try message(rule, variables) } catch {
                if !isUnchanged || rule.usesOldSelf { faults.append(.invalid(field, type, error.reason)) }
                remaining = -1
                return
            }
            if !isUnchanged || rule.usesOldSelf { faults.append(fault(rule, field, value, detail)) }
        }
    }

    private func bindings(
        _ value: JSON, old: JSON?, _ rule: RuleNode.Rule, _ type: CELType
    ) throws(CELEvaluationError) -> [String: CELValue] {
        var variables = ["self": try CELValue(value, as: type)]
        guard rule.usesOldSelf || rule.message?.variables.contains("oldSelf") == true else { return variables }
        var before: CELValue?
        if let old { before = try CELValue(old, as: type) }
        if rule.takesOptionalOldSelf {
            variables["oldSelf"] = .optional(before)
        } else {
            variables["oldSelf"] = before
        }
        return variables
    }

    private mutating func evaluate(_ program: CELProgram, _ variables: [String: CELValue]) throws(CELEvaluationError) -> CELValue
    {
        var cost: UInt64 = 0
        defer { remaining -= Int(clamping: cost) }
        return try program.evaluate(variables, cost: &cost)
    }

    /// False when nothing may run after this.
    private mutating func report(_ error: CELEvaluationError, _ rule: RuleNode.Rule, _ path: String, _ type: JSON) -> Bool {
        guard remaining >= 0 else {
            exhausted(path, type)
            return false
        }
        switch error.code {
        case .noSuchOverload:
            let why = "call arguments did not match a supported operator, function or macro signature for rule"
            faults.append(.invalid(path, type, "'\(error)': \(why): \(rule.text)"))
        case .costLimitExceeded:
            let why = "no further validation rules will be run due to call cost exceeds limit for rule"
            faults.append(.invalid(path, type, "'\(error)': \(why): \(rule.text)"))
            remaining = -1
            return false
        case .noSuchKey, .indexOutOfBounds, .unbound, .overflow, .divisionByZero, .conversion, .invalidArgument:
            faults.append(.invalid(path, type, "\(error) evaluating rule: \(rule.text)"))
        }
        return true
    }

    private mutating func exhausted(_ path: String, _ type: JSON) {
        let why = "validation failed due to running out of cost budget, no further validation rules will be run"
        faults.append(.invalid(path, type, why))
        remaining = -1
    }

    // MARK: Words

    private struct Stop: Error { let reason: String }

    /// Longest text of a `messageExpression` in bytes.
    private static let maxMessageBytes = 5 << 10

    /// What a `messageExpression` makes, if it makes a line of text; the fixed message or the rule otherwise.
    private mutating func message(_ rule: RuleNode.Rule, _ variables: [String: CELValue]) throws(Stop) -> String {
        let fixed = rule.source.message.isEmpty ? "failed rule: \(rule.text)" : rule.source.message.trimmed
        guard let program = rule.message else { return fixed }
        let result: CELValue
        do throws(CELEvaluationError) { result = try evaluate(program, variables) } catch {
            guard error.code == .costLimitExceeded else { return fixed }
            let source = JSON.string(rule.source.messageExpression)
            throw Stop(
                reason: "no further validation rules will be run due to call cost exceeds limit for messageExpression: \(source)")
        }
        guard remaining >= 0 else {
            throw Stop(
                reason: """
                    messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run
                    """)
        }
        guard case .string(let text) = result else { return fixed }
        let line = text.trimmed
        return line.isEmpty || line.utf8.count > Self.maxMessageBytes || line.unicodeScalars.contains("\n") ? fixed : line
    }

    /// The value is shown if it is a scalar.
    private func fault(_ rule: RuleNode.Rule, _ field: String, _ value: JSON, _ detail: String) -> FieldError {
        let shown: JSON? =
            switch value {
            case .object, .array: .none
            case .null, .bool, .number, .string: value
            }
        switch rule.source.reason {
        case "FieldValueForbidden": return .forbidden(field, detail)
        case "FieldValueRequired": return .required(field, detail)
        case "FieldValueDuplicate": return FieldError(.duplicate, field, value: shown)
        default: return FieldError(.invalid, field, value: shown, detail: detail)
        }
    }
}
