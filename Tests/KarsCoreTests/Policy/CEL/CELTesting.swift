import KarsCore
import Testing

/// An expression and the text of its value, for tables.
struct CELRow: CustomTestStringConvertible, Sendable {
    let expression: String
    let result: String

    init(_ expression: String, _ result: String) {
        self.expression = expression
        self.result = result
    }

    var testDescription: String { expression }
}

/// Compiles and evaluates: the value as text, or what went wrong.
func celResult(
    _ expression: String, _ variables: [String: (type: CELType, value: CELValue)] = [:],
    costLimit: UInt64 = CELProgram.perCallLimit
) -> String {
    do throws(CELCompileError) {
        let program = try CELProgram(compiling: expression, in: CELEnvironment(variables: variables.mapValues(\.type)))
        do throws(CELEvaluationError) {
            return celText(try program.evaluate(variables.mapValues(\.value), costLimit: costLimit))
        } catch {
            return "error: \(error.description)"
        }
    } catch {
        return error.issues.map { "\($0.line):\($0.column): \($0.message)" }.joined(separator: "\n")
    }
}

/// A value as an expression would write it, near enough to tell values and types apart.
func celText(_ value: CELValue) -> String {
    switch value {
    case .string(let text): return "'\(text)'"
    case .uint: return value.shown + "u"
    case .double(let number): return number == number.rounded() && number.magnitude < 1e15 ? "\(number)" : value.shown
    case .bytes(let bytes): return "b\(bytes)"
    case .timestamp: return "timestamp(\(value.shown))"
    case .duration: return "duration(\(value.shown))"
    case .type: return "type(\(value.shown))"
    case .optional(let wrapped): return wrapped.map { "optional(\(celText($0)))" } ?? "optional.none"
    case .list(let list):
        let parts = (0..<list.count).map { index in (try? list.element(at: index)).map(celText) ?? "?" }
        return "[\(parts.joined(separator: ", "))]"
    case .map(let map):
        let parts = (0..<map.count).map { index in
            "\(celText(map.key(at: index))): \((try? map.value(at: index)).map(celText) ?? "?")"
        }
        return "{\(parts.joined(separator: ", "))}"
    case .opaque(.quantity(let quantity)): return "quantity(\(quantity.approximateDouble))"
    case .null, .bool, .int, .object, .lazy, .opaque: return value.shown
    }
}

/// JSON as a variable.
func celInput(_ json: JSON, _ type: CELType = .dyn) throws -> (type: CELType, value: CELValue) {
    (type, try CELValue(json, as: type))
}
