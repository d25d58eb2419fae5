extension StructuralSchema {
    /// Every fault of `value`, worded as the API server words them for custom kinds.
    ///
    /// `path` is where the value stands in its object, empty for the object itself. Texts inside a message are relative to
    /// `value`: the status subresource validates only `status`, and says `status.replicas: …: replicas in body must be …`.
    ///
    /// With `old`, the value it replaces, parts that have not changed are not judged again, so that a definition can be
    /// tightened without locking the objects that exist (KEP-4008).
    package func validate(_ value: JSON, old: JSON? = nil, at path: String) -> [FieldError] {
        if let old, old == value { return [] }
        var faults = SchemaValidator(base: path).check(value, old: old, self, at: "").faults
        faults += duplicates(in: value, old: old, at: path)
        return faults
    }
}

/// One walk over a value and its schema. Keeps go-openapi's order of checks and its count of checks made, because that count
/// decides whose faults of several alternatives are reported.
private struct SchemaValidator {
    /// Where the value stands in its object.
    let base: String

    struct Outcome {
        var faults: [FieldError] = []
        /// How far the value got.
        var checks = 0

        var isValid: Bool { faults.isEmpty }

        mutating func add(_ other: Outcome) {
            faults += other.faults
            checks += other.checks
        }

        mutating func add(_ fault: FieldError?) { if let fault { faults.append(fault) } }
    }

    func check(_ value: JSON, old: JSON?, _ schema: StructuralSchema, at path: String) -> Outcome {
        if let old, old == value { return Outcome() }
        let node = schema.node
        var outcome = Outcome()
        if node.keywords.type != nil || node.keywords.isIntOrString {
            if let fault = typeFault(value, schema, path) { outcome.add(fault) } else { outcome.checks += 1 }
            outcome.checks += 1
        }
        if case .null = value {
            if !node.keywords.isNullable { outcome.add(enumFault(value, schema, path)) }
            return outcome
        }
        outcome.add(junctors(value, schema, path))
        outcome.checks += 1
        switch value {
        case .string(let text):
            outcome.add(stringFault(text, schema, path))
            outcome.checks += 1
            if let format = StringFormat(rawValue: node.keywords.format) {
                if !format.accepts(text) { outcome.add(typeInvalid(path, node.keywords.format, found: text)) }
                outcome.checks += 1
            }
        case .number(let number):
            outcome.faults += numberFaults(number, schema, path)
            outcome.checks += 1
        case .array(let elements):
            outcome.add(check(elements, old: old?.arrayValue, schema, path))
            outcome.checks += 1
        case .null, .bool, .object: break
        }
        outcome.add(enumFault(value, schema, path))
        outcome.checks += 1
        if case .object(let members) = value {
            outcome.add(check(members, old: old?.objectValue, schema, path))
            outcome.checks += 1
        }
        outcome.checks += 1
        return outcome
    }

    // MARK: Type

    private func typeFault(_ value: JSON, _ schema: StructuralSchema, _ path: String) -> FieldError? {
        let found: String
        let fits: Bool
        let type = schema.node.keywords.type
        let isIntOrString = schema.node.keywords.isIntOrString
        switch value {
        case .null: (found, fits) = ("null", schema.node.keywords.isNullable)
        case .bool: (found, fits) = ("boolean", type == .boolean)
        case .string: (found, fits) = ("string", type == .string || isIntOrString)
        case .array: (found, fits) = ("array", type == .array)
        case .object: (found, fits) = ("object", type == .object)
        case .number(let number):
            found = Int(number.lexeme) == nil ? "number" : "integer"
            fits = type == .number || number.isWhole && (type == .integer || isIntOrString)
        }
        guard !fits else { return nil }
        return typeInvalid(path, isIntOrString ? "integer,string" : type?.rawValue ?? "", found: found)
    }

    private func typeInvalid(_ path: String, _ expected: String, found: String) -> FieldError {
        let quoted = String(decoding: JSON.string(found).encoded(), as: UTF8.self)
        return FieldError(
            .typeInvalid, field(path), value: .string(found), detail: "\(path) in body must be of type \(expected): \(quoted)")
    }

    private func enumFault(_ value: JSON, _ schema: StructuralSchema, _ path: String) -> FieldError? {
        let allowed = schema.node.keywords.enum
        guard !allowed.isEmpty, !allowed.contains(value) else { return nil }
        return .notSupported(field(path), value, supported: allowed.map { $0.stringValue ?? $0.description })
    }

    // MARK: Leaves

    private func stringFault(_ text: String, _ schema: StructuralSchema, _ path: String) -> FieldError? {
        let node = schema.node
        if node.keywords.maxLength != nil || node.keywords.minLength != nil {
            let length = text.unicodeScalars.count
            if let most = node.keywords.maxLength, length > most {
                return FieldError(.tooLong, field(path), detail: "may not be more than \(most) bytes")
            }
            if let least = node.keywords.minLength, length < least {
                return invalid(path, .string(text), "should be at least \(least) chars long")
            }
        }
        if let pattern = node.keywords.pattern, !pattern.matches(text) {
            return invalid(path, .string(text), "should match '\(pattern.source)'")
        }
        return nil
    }

    private func numberFaults(_ number: JSONNumber, _ schema: StructuralSchema, _ path: String) -> [FieldError] {
        let node = schema.node
        var faults: [FieldError] = []
        if let why = rangeFault(number, node.keywords.type, node.keywords.format) {
            faults.append(.invalid(base, "", "Checked value must be of type \(why) in \(path)"))
        }
        if let factor = node.keywords.multipleOf, !number.isMultiple(of: factor) {
            faults.append(invalid(path, .number(number), "should be a multiple of \(factor.lexeme)"))
        }
        if let limit = node.keywords.maximum, limit < number || node.keywords.exclusiveMaximum && limit == number {
            let relation = node.keywords.exclusiveMaximum ? "less than" : "less than or equal to"
            faults.append(invalid(path, .number(number), "should be \(relation) \(limit.lexeme)"))
        }
        if let limit = node.keywords.minimum, number < limit || node.keywords.exclusiveMinimum && limit == number {
            let relation = node.keywords.exclusiveMinimum ? "greater than" : "greater than or equal to"
            faults.append(invalid(path, .number(number), "should be \(relation) \(limit.lexeme)"))
        }
        return faults
    }

    private func rangeFault(_ number: JSONNumber, _ type: StructuralSchema.ValueType?, _ format: String) -> String? {
        if type == .integer, !number.isWhole { return nil }  // that is the type's fault
        return switch (type, format) {
        case (.integer, "int32"): number.int.flatMap(Int32.init(exactly:)) == nil ? "integer with format int32" : nil
        case (.integer, "uint32"): number.int.flatMap(UInt32.init(exactly:)) == nil ? "integer with format uint32" : nil
        case (.integer, "int64"): number.int == nil ? "integer with format int64" : nil
        case (.integer, ""): number.int == nil ? "integer (default format)" : nil
        case (.number, "float"), (.number, "float32"):
            Float(number.lexeme)?.isFinite == true ? nil : "number with format \(format)"
        default: nil
        }
    }

    // MARK: Containers

    private func check(_ elements: [JSON], old: [JSON]?, _ schema: StructuralSchema, _ path: String) -> Outcome {
        let node = schema.node
        var outcome = Outcome()
        if let items = node.keywords.items {
            let correlated = old.flatMap { ListCorrelation(of: $0, schema) }
            for (index, element) in elements.enumerated() {
                outcome.add(check(element, old: correlated?.match(element), items, at: "\(path)[\(index)]"))
            }
        }
        if let least = node.keywords.minItems, elements.count < least {
            outcome.add(invalid(path, .int(elements.count), "should have at least \(least) items"))
        }
        if let most = node.keywords.maxItems, elements.count > most { outcome.add(tooMany(path, elements.count, most)) }
        if node.keywords.uniqueItems, !JSON.duplicateIndices(in: elements).isEmpty {
            outcome.add(.invalid(field(path), "", "\(path) in body shouldn't contain duplicates"))
        }
        return outcome
    }

    private func check(_ members: JSONObject, old: JSONObject?, _ schema: StructuralSchema, _ path: String) -> Outcome {
        let node = schema.node
        var outcome = Outcome()
        if let least = node.keywords.minProperties, members.count < least {
            outcome.add(invalid(path, .int(members.count), "should have at least \(least) properties"))
            return outcome
        }
        if let most = node.keywords.maxProperties, members.count > most {
            outcome.add(tooMany(path, members.count, most))
            return outcome
        }
        for (name, value) in members {
            if let member = schema.member(name) {
                outcome.add(check(value, old: old?[name], member, at: path.isEmpty ? name : "\(path).\(name)"))
            } else if case .forbidden = node.keywords.additionalProperties {
                outcome.add(.invalid(field(path), .string(name), "\(path).\(name) in body is a forbidden property"))
            }
        }
        for name in node.keywords.required where members[name] == nil {
            outcome.add(.required(field(path.isEmpty ? name : "\(path).\(name)")))
        }
        return outcome
    }

    // MARK: Alternatives

    private func junctors(_ value: JSON, _ schema: StructuralSchema, _ path: String) -> Outcome {
        let node = schema.node
        var outcome = Outcome()
        outcome.checks += 1
        if !node.keywords.anyOf.isEmpty { outcome.add(anyOf(value, node.keywords.anyOf, path)) }
        if !node.keywords.oneOf.isEmpty { outcome.add(oneOf(value, node.keywords.oneOf, path)) }
        if !node.keywords.allOf.isEmpty {
            let results = node.keywords.allOf.map { check(value, old: nil, $0, at: path) }
            for result in results { outcome.add(result) }
            let valid = results.count(where: \.isValid)
            if valid < results.count {
                outcome.add(composite("\"\(path)\" must validate all the schemas (allOf)\(valid == 0 ? ". None validated" : "")"))
            }
        }
        if let not = node.keywords.not, check(value, old: nil, not, at: path).isValid {
            outcome.add(composite("\"\(path)\" must not validate the schema (not)"))
        }
        return outcome
    }

    private func anyOf(_ value: JSON, _ schemas: [StructuralSchema], _ path: String) -> Outcome {
        var best: Outcome?
        for schema in schemas {
            let result = check(value, old: nil, schema, at: path)
            if result.isValid { return result }
            if result.checks > best?.checks ?? -1 { best = result }
        }
        var outcome = Outcome()
        outcome.add(composite("\"\(path)\" must validate at least one schema (anyOf)"))
        if let best { outcome.add(best) }
        return outcome
    }

    private func oneOf(_ value: JSON, _ schemas: [StructuralSchema], _ path: String) -> Outcome {
        let results = schemas.map { check(value, old: nil, $0, at: path) }
        let valid = results.filter(\.isValid)
        if valid.count == 1 { return valid[0] }
        let found = valid.isEmpty ? "Found none valid" : "Found \(valid.count) valid alternatives"
        var outcome = Outcome()
        outcome.add(composite("\"\(path)\" must validate one and only one schema (oneOf). \(found)"))
        if valid.isEmpty {
            var best = results[0]
            for result in results where result.checks > best.checks { best = result }
            outcome.add(best)
        }
        return outcome
    }

    // MARK: Wording

    private func field(_ path: String) -> String {
        if base.isEmpty || path.isEmpty { return base + path }
        return path.hasPrefix("[") ? base + path : "\(base).\(path)"
    }

    private func invalid(_ path: String, _ value: JSON, _ why: String) -> FieldError {
        .invalid(field(path), value, "\(path) in body \(why)")
    }

    private func composite(_ text: String) -> FieldError { .invalid(base, "", text) }

    private func tooMany(_ path: String, _ count: Int, _ most: Int) -> FieldError {
        FieldError(.tooMany, field(path), value: .int(count), detail: "must have at most \(most) \(most == 1 ? "item" : "items")")
    }
}

extension JSONNumber {
    /// Whether it has no fraction, however large it is.
    var isWhole: Bool { int != nil || double.isFinite && double.rounded() == double }

    /// Exact for what fits an `Int`, by the nearest doubles otherwise.
    static func < (left: JSONNumber, right: JSONNumber) -> Bool {
        if let left = left.int, let right = right.int { return left < right }
        return left.double < right.double
    }

    func isMultiple(of factor: JSONNumber) -> Bool {
        if let value = int, let factor = factor.int { return factor != 0 && value.isMultiple(of: factor) }
        let quotient = double / factor.double
        return quotient.isFinite && quotient.rounded() == quotient
    }
}
