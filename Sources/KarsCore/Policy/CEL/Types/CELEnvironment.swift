/// What an expression may refer to: the variables that the caller will bind. Functions are always those of CEL and of the
/// Kubernetes libraries.
package struct CELEnvironment: Sendable {
    package var variables: [String: CELType]

    package init(variables: [String: CELType] = [:]) { self.variables = variables }
}
