private import Synchronization

/// Named expressions that others refer to as `variables.name`, as an admission policy declares them: each may use those before it,
/// and is evaluated when first needed and only once for a set of inputs.
package struct CELVariables: Sendable {
    /// The variable under which an expression finds them.
    static let name = "variables"
    /// Of expressions nested in each other, over all the variables that wait for one another.
    static let depthLimit = 1_000

    private let base: CELEnvironment
    private var names: [String] = []
    private var programs: [CELProgram] = []

    package init(in environment: CELEnvironment) { base = environment }

    /// What an expression that follows can use.
    package var environment: CELEnvironment {
        var environment = base
        environment.variables[Self.name] = .object(type)
        return environment
    }

    /// The next variable. A name that is declared again means the first of its declarations.
    package mutating func declare(_ name: String, _ text: String) throws(CELCompileError) {
        programs.append(try CELProgram(compiling: text, in: environment))
        names.append(name)
    }

    private var type: CELObjectType {
        let fields = zip(names, programs).map { ($0, $1.type) }
        return CELObjectType(name: "kubernetes.variables", fields: Dictionary(fields, uniquingKeysWith: { first, _ in first }))
    }

    /// `inputs` and the variables over them, for the expressions of one request.
    package func bindings(_ inputs: [String: CELValue]) -> [String: CELValue] {
        var bindings = inputs
        bindings[Self.name] = .lazy(CELLazyObject(type: type, names: names, programs: programs, inputs: inputs))
        return bindings
    }
}

/// Fields that are expressions, each evaluated when first read. Whoever reads it first pays.
package struct CELLazyObject: Sendable {
    let type: CELObjectType
    private let expressions: Expressions
    /// Only so many of the expressions can be read: a variable sees those before it, even where types do not tell.
    private let count: Int

    init(type: CELObjectType, names: [String], programs: [CELProgram], inputs: [String: CELValue]) {
        self.init(type, Expressions(names: names, programs: programs, inputs: inputs), count: names.count)
    }

    private init(_ type: CELObjectType, _ expressions: Expressions, count: Int) {
        self.type = type
        self.expressions = expressions
        self.count = count
    }

    private final class Expressions: Sendable {
        let names: [String]
        let programs: [CELProgram]
        let inputs: [String: CELValue]
        let results: Mutex<[Int: Result<CELValue, CELEvaluationError>]> = Mutex([:])

        init(names: [String], programs: [CELProgram], inputs: [String: CELValue]) {
            self.names = names
            self.programs = programs
            self.inputs = inputs
        }
    }

    private func index(of field: String) -> Int? {
        type.fields[field].flatMap { field in expressions.names.firstIndex { $0 == field.jsonName } }.flatMap {
            $0 < count ? $0 : nil
        }
    }

    func has(_ field: String) -> Bool { index(of: field) != nil }

    /// Nil when there is no such field.
    func value(of field: String, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue? {
        guard let index = index(of: field) else { return nil }
        if let known = expressions.results.withLock({ $0[index] }) { return try known.get() }
        let program = expressions.programs[index]
        guard frame.depth + program.depth <= CELVariables.depthLimit else {
            throw .invalid("variables.\(field): variables refer to each other too deeply")
        }
        var inputs = expressions.inputs
        inputs[CELVariables.name] = .lazy(CELLazyObject(type, expressions, count: index))
        var cost: UInt64 = 0
        let result: Result<CELValue, CELEvaluationError>
        do throws(CELEvaluationError) {
            result = .success(
                try program.evaluate(inputs, costLimit: frame.allowance, cost: &cost, within: frame.depth))
        } catch {
            // Another expression may have the budget for it.
            if error.code == .costLimitExceeded { throw error }
            result = .failure(error)
        }
        expressions.results.withLock { $0[index] = result }
        try frame.charge(Int(clamping: cost))
        return try result.get()
    }
}
