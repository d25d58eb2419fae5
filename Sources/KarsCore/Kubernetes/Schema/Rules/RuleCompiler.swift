/// Compiles the rules of a schema and finds what is wrong with them: texts that are missing, expressions that do not compile or
/// cost too much, transition rules where old and new cannot be brought together.
struct RuleCompiler {
    private(set) var faults: [FieldError] = []
    private var total: CostBound = 0
    /// The most expensive expressions, for the complaint about all of them.
    private var expensive: [(field: String, cost: CostBound)] = []

    /// Where a rule stands, besides its schema.
    struct Place {
        var path: String
        var name: String
        var isObject: Bool
        /// How many of these there may be in one object; nil without a bound in the schema.
        var cardinality: CostBound?
        /// The list or map above within which old and new values cannot be told apart.
        var uncorrelatable: String?

        func inside(_ path: String, _ name: String, times count: CostBound?, uncorrelatable other: String?) -> Place {
            Place(
                path: "\(self.path).\(path)", name: "\(self.name).\(name)", isObject: false,
                cardinality: cardinality.flatMap { own in count.map { own * $0 } }, uncorrelatable: uncorrelatable ?? other)
        }
    }

    mutating func compile(_ schema: StructuralSchema, at path: String, isObject: Bool) -> RuleNode? {
        guard schema.hasRules else { return nil }
        texts(schema, path)
        guard faults.isEmpty else { return nil }
        let node = node(schema, Place(path: path, name: "self", isObject: isObject, cardinality: 1, uncorrelatable: nil))
        if total > RuleCost.schemaLimit {
            faults += expensive.map {
                .forbidden($0.field, "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema")
            }
            let name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
            faults.append(.forbidden(path, Self.excess(name, total, RuleCost.schemaLimit)))
        }
        return node
    }

    // MARK: Texts

    private mutating func texts(_ schema: StructuralSchema, _ path: String) {
        let keywords = schema.node.keywords
        for (index, rule) in keywords.rules.enumerated() { texts(rule, schema, "\(path).x-kubernetes-validations[\(index)]") }
        for (name, property) in keywords.properties { texts(property, "\(path).properties[\(name)]") }
        if let items = keywords.items { texts(items, "\(path).items") }
        if case .schema(let values) = keywords.additionalProperties { texts(values, "\(path).additionalProperties") }
    }

    private mutating func texts(_ rule: StructuralSchema.Rule, _ schema: StructuralSchema, _ field: String) {
        let message = rule.message.trimmed
        func invalid(_ member: String, _ value: String, _ why: String) -> FieldError {
            .invalid("\(field).\(member)", .string(value), "\(member) \(why)")
        }
        if rule.rule.trimmed.isEmpty {
            faults.append(.required("\(field).rule", "rule is not specified"))
        } else if !rule.message.isEmpty, message.isEmpty {
            faults.append(invalid("message", rule.message, "must be non-empty if specified"))
        } else if message.hasLineBreak {
            faults.append(invalid("message", rule.message, "must not contain line breaks"))
        } else if rule.rule.trimmed.hasLineBreak, message.isEmpty {
            faults.append(.required("\(field).message", "message must be specified if rule contains line breaks"))
        }
        if !rule.messageExpression.isEmpty, rule.messageExpression.trimmed.isEmpty {
            faults.append(.required("\(field).messageExpression", "messageExpression must be non-empty if specified"))
        }
        if let reason = rule.reason, !Self.reasons.contains(reason) {
            faults.append(.notSupported("\(field).reason", .string(reason), supported: Self.reasons))
        }
        guard !rule.fieldPath.isEmpty else { return }
        if rule.fieldPath.trimmed.isEmpty {
            faults.append(invalid("fieldPath", rule.fieldPath, "must be non-empty if specified"))
        }
        if rule.fieldPath.hasLineBreak { faults.append(invalid("fieldPath", rule.fieldPath, "must not contain line breaks")) }
        if RuleFieldPath(rule.fieldPath, in: schema) == nil {
            faults.append(invalid("fieldPath", rule.fieldPath, "must be a valid path"))
        }
    }

    private static let reasons = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]

    // MARK: Expressions

    /// Nil where there are no rules, and for parts that rules do not see.
    private mutating func node(_ schema: StructuralSchema, _ place: Place) -> RuleNode? {
        guard schema.hasRules, let type = SchemaCELType(schema, name: place.name, isObject: place.isObject) else { return nil }
        let keywords = schema.node.keywords
        var properties: [(name: String, node: RuleNode)] = []
        let closedMap = keywords.mapType == .atomic ? place.path : nil
        for (name, property) in keywords.properties {
            let inner = place.inside("properties[\(name)]", name, times: 1, uncorrelatable: closedMap)
            if let node = node(property, inner) { properties.append((name, node)) }
        }
        var values: RuleNode?
        if case .schema(let schema) = keywords.additionalProperties {
            let count = keywords.maxProperties.map { CostBound(clamping: $0) }
            values = node(schema, place.inside("additionalProperties", "@elem", times: count, uncorrelatable: closedMap))
        }
        var items: RuleNode?
        if let schema = keywords.items {
            let closedList: String? = if case .map = keywords.listType { nil } else { place.path }
            let count = keywords.maxItems.map { CostBound(clamping: $0) }
            items = node(schema, place.inside("items", "@idx", times: count, uncorrelatable: closedList))
        }
        var rules: [RuleNode.Rule] = []
        for (index, rule) in keywords.rules.enumerated() {
            let field = "\(place.path).x-kubernetes-validations[\(index)]"
            if let compiled = compile(rule, type, place, field) { rules.append(compiled) }
        }
        return RuleNode(rules: rules, schema: schema, type: type.type, items: items, values: values, properties: properties)
    }

    private mutating func compile(
        _ rule: StructuralSchema.Rule, _ type: SchemaCELType, _ place: Place, _ field: String
    ) -> RuleNode.Rule? {
        let oldType: CELType = rule.optionalOldSelf == true ? .optional(type.type) : type.type
        let environment = CELEnvironment(variables: ["self": type.type, "oldSelf": oldType])
        let program: CELProgram
        do throws(CELCompileError) {
            program = try CELProgram(compiling: rule.rule, in: environment, expecting: .bool)
        } catch {
            faults.append(
                .invalid("\(field).rule", rule.internalJSON, Self.reason(error, "cel expression", "compilation failed")))
            return nil
        }
        let estimator = RuleCost(self: type)
        let times = place.cardinality ?? SchemaCELType.maxRequestBytes / (type.minBytes + 1)
        observe(estimator.estimate(rule.rule) * times, "rule", "\(field).rule")
        var message: CELProgram?
        if !rule.messageExpression.isEmpty {
            do throws(CELCompileError) {
                message = try CELProgram(compiling: rule.messageExpression, in: environment, expecting: .string)
                observe(estimator.estimate(rule.messageExpression), "messageExpression", "\(field).messageExpression")
            } catch {
                let why = Self.reason(error, "messageExpression", "messageExpression compilation failed")
                faults.append(.invalid("\(field).messageExpression", rule.internalJSON, why))
            }
        }
        let usesOldSelf = program.variables.contains("oldSelf")
        if usesOldSelf, let uncorrelatable = place.uncorrelatable {
            let why = "oldSelf cannot be used on the uncorrelatable portion of the schema within \(uncorrelatable)"
            faults.append(.invalid("\(field).rule", .string(rule.rule), why))
        } else if !usesOldSelf, let optional = rule.optionalOldSelf {
            faults.append(.invalid("\(field).optionalOldSelf", .bool(optional), "may not be set if oldSelf is not used in rule"))
        }
        return RuleNode.Rule(
            source: rule, program: program, message: message,
            fieldPath: RuleFieldPath(rule.fieldPath, in: type.schema)?.text ?? "", usesOldSelf: usesOldSelf)
    }

    private static func reason(_ error: CELCompileError, _ subject: String, _ failure: String) -> String {
        if case .resultType(let expected, _) = error.code { return "\(subject) must evaluate to a \(expected)" }
        return "\(failure): \(error)"
    }

    // MARK: Cost

    private mutating func observe(_ cost: CostBound, _ kind: String, _ field: String) {
        if cost > RuleCost.expressionLimit {
            faults.append(.forbidden(field, Self.excess("estimated \(kind) cost", cost, RuleCost.expressionLimit)))
        }
        total = total + cost
        guard cost >= RuleCost.schemaLimit / 100 else { return }
        expensive.append((field, cost))
        expensive.sort { $0.cost > $1.cost }
        if expensive.count > 4 { expensive.removeLast() }
    }

    /// Small factors with enough digits that none reads as 1.0.
    private static func excess(_ name: String, _ cost: CostBound, _ limit: CostBound) -> String {
        let factor = cost.double / limit.double
        let text = factor > 100 ? "more than 100x" : "\(decimal(factor, digits: factor < 1.5 ? 6 : 1))x"
        return """
            \(name) exceeds budget by factor of \(text) (try simplifying the rule, or adding maxItems, maxProperties, and maxLength \
            where arrays, maps, and strings are declared)
            """
    }

    private static func decimal(_ value: Double, digits: Int) -> String {
        var scale = 1
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int((value * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        return "\(scaled / scale).\(String(repeating: "0", count: digits - fraction.utf8.count))\(fraction)"
    }
}

extension StructuralSchema {
    /// Whether there are rules here or below, where rules may stand.
    fileprivate var hasRules: Bool {
        let keywords = node.keywords
        if !keywords.rules.isEmpty || keywords.items?.hasRules == true { return true }
        if case .schema(let values) = keywords.additionalProperties, values.hasRules { return true }
        return keywords.properties.entries.contains { $0.schema.hasRules }
    }
}

extension StructuralSchema.Rule {
    /// As the API server prints the value of a fault about it.
    fileprivate var internalJSON: JSON {
        [
            "Rule": .string(rule), "Message": .string(message), "MessageExpression": .string(messageExpression),
            "Reason": reason.map(JSON.string) ?? .null, "FieldPath": .string(fieldPath),
            "OptionalOldSelf": optionalOldSelf.map(JSON.bool) ?? .null,
        ]
    }
}
