import KarsCore

/// The expressions of a ValidatingAdmissionPolicy, compiled; what they say about a request is computed without knowing where
/// the request came from.
struct CompiledPolicy: Sendable {
    /// What one request may cost (apiserver `RuntimeCELCostBudget`), and its conditions alone.
    private static let costLimit: UInt64 = 10_000_000
    private static let conditionCostLimit: UInt64 = 2_500_000
    /// Longest text of a `messageExpression` in bytes.
    private static let maxMessageBytes = 5 << 10

    struct Validation: Sendable {
        var expression: String
        var message: String
        var reason: String?
        var program: CELProgram
        var messageProgram: CELProgram?
    }

    /// A validation that a request does not pass.
    struct Violation: Equatable, Sendable {
        var message: String
        /// Of the `Status` that refuses the request.
        var reason: APIStatus.Reason = .invalid
    }

    private let conditions: [(expression: String, program: CELProgram)]
    private let variables: CELVariables
    private let validations: [Validation]
    /// Whether an expression that fails refuses the request.
    let failsClosed: Bool

    /// Collects every fault of the expressions in `spec`; for the validation of a policy that is written.
    static func faults(in spec: JSON) -> [FieldError] {
        var faults: [FieldError] = []
        _ = CompiledPolicy(spec, &faults)
        return faults
    }

    /// Nil when an expression does not compile.
    init?(_ spec: JSON) {
        var faults: [FieldError] = []
        self.init(spec, &faults)
        guard faults.isEmpty else { return nil }
    }

    private init(_ spec: JSON, _ faults: inout [FieldError]) {
        failsClosed = spec["failurePolicy"]?.stringValue != "Ignore"
        var conditions: [(String, CELProgram)] = []
        for (index, condition) in (spec["matchConditions"]?.arrayValue ?? []).enumerated() {
            let path = "spec.matchConditions[\(index)].expression"
            if let text = condition["expression"]?.stringValue,
                let program = Self.program(text, PolicyEnvironment.full, .bool, path, &faults)
            {
                conditions.append((text, program))
            }
        }
        self.conditions = conditions
        var variables = CELVariables(in: PolicyEnvironment.full)
        for (index, variable) in (spec["variables"]?.arrayValue ?? []).enumerated() {
            guard let name = variable["name"]?.stringValue, let text = variable["expression"]?.stringValue else { continue }
            do throws(CELCompileError) {
                try variables.declare(name, text)
            } catch {
                faults.append(Self.fault("spec.variables[\(index)].expression", text, error))
            }
        }
        self.variables = variables
        let messageEnvironment = PolicyEnvironment.withoutAuthorizer(variables.environment)
        var validations: [Validation] = []
        for (index, json) in (spec["validations"]?.arrayValue ?? []).enumerated() {
            let path = "spec.validations[\(index)]"
            guard let text = json["expression"]?.stringValue, !text.allSatisfy(\.isWhitespace) else { continue }
            let program = Self.program(text, variables.environment, .bool, "\(path).expression", &faults)
            var messageProgram: CELProgram?
            if let messageText = json["messageExpression"]?.stringValue, !messageText.isEmpty {
                messageProgram = Self.program(
                    messageText, messageEnvironment, .string, "\(path).messageExpression", &faults)
            }
            guard let program else { continue }
            validations.append(
                Validation(
                    expression: text, message: json["message"]?.stringValue ?? "", reason: json["reason"]?.stringValue,
                    program: program, messageProgram: messageProgram))
        }
        self.validations = validations
    }

    private static func program(
        _ text: String, _ environment: CELEnvironment, _ type: CELType, _ path: String, _ faults: inout [FieldError]
    ) -> CELProgram? {
        do throws(CELCompileError) { return try CELProgram(compiling: text, in: environment, expecting: type) } catch {
            faults.append(fault(path, text, error))
            return nil
        }
    }

    private static func fault(_ path: String, _ text: String, _ error: CELCompileError) -> FieldError {
        if case .resultType(let expected, _) = error.code {
            return .invalid(path, .string(text), "must evaluate to \(expected)")
        }
        return .invalid(path, .string(text), "compilation failed: \(error)")
    }

    // MARK: - One request

    /// Every validation that the request does not pass. None when a condition says that the policy is not about it. An
    /// expression that fails is a violation, or nothing when the policy says so.
    func violations(_ inputs: [String: CELValue]) -> [Violation] {
        do throws(Failure) {
            guard try meetsConditions(inputs) else { return [] }
        } catch {
            return violation(of: error)
        }
        let bindings = variables.bindings(inputs)
        var cost: UInt64 = 0
        var violations: [Violation] = []
        for validation in validations {
            do throws(Failure) {
                guard try !holds(validation.program, validation.expression, bindings, Self.costLimit, &cost) else { continue }
                violations.append(
                    Violation(
                        message: message(of: validation, bindings, &cost),
                        reason: validation.reason.map(APIStatus.Reason.init(rawValue:)) ?? .invalid))
            } catch {
                violations += violation(of: error)
                if error.endsEvaluation { break }
            }
        }
        return violations
    }

    private struct Failure: Error {
        var message: String
        var endsEvaluation = false
    }

    private func violation(of failure: Failure) -> [Violation] {
        failsClosed ? [Violation(message: failure.message)] : []
    }

    /// One that is false decides even when another fails.
    private func meetsConditions(_ inputs: [String: CELValue]) throws(Failure) -> Bool {
        var cost: UInt64 = 0
        var failure: Failure?
        for condition in conditions {
            do throws(Failure) {
                guard try holds(condition.program, condition.expression, inputs, Self.conditionCostLimit, &cost) else {
                    return false
                }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return true
    }

    private func holds(
        _ program: CELProgram, _ expression: String, _ inputs: [String: CELValue], _ limit: UInt64, _ cost: inout UInt64
    ) throws(Failure) -> Bool {
        guard cost < limit else {
            throw Failure(
                message: "validation failed due to running out of cost budget, no further validation rules will be run",
                endsEvaluation: true)
        }
        do throws(CELEvaluationError) {
            let value = try program.evaluate(inputs, costLimit: min(CELProgram.perCallLimit, limit - cost), cost: &cost)
            return value.boolValue == true
        } catch {
            throw Failure(message: "expression '\(expression)' resulted in error: \(error)")
        }
    }

    /// A line of text that the message's expression makes, else the fixed message, else the expression.
    private func message(of validation: Validation, _ inputs: [String: CELValue], _ cost: inout UInt64) -> String {
        if let program = validation.messageProgram, cost < Self.costLimit,
            let made = try? program.evaluate(inputs, cost: &cost).stringValue
        {
            let text = made.trimmingWhitespace()
            if !text.isEmpty, text.utf8.count <= Self.maxMessageBytes, !text.contains("\n") { return text }
        }
        let fixed = validation.message.trimmingWhitespace()
        return fixed.isEmpty ? "failed expression: \(validation.expression.trimmingWhitespace())" : fixed
    }
}
