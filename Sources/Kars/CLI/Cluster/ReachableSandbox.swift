import KarsCore

/// A sandbox wherever it runs, as far as chat, `exec` and the operator plane need one.
protocol ReachableSandbox: Sendable {
    var name: String { get }
    /// A connected socket to a port of the pod; the caller owns it.
    func dial(port: UInt16) async throws -> CInt
    /// Runs a command as the agent, on this process's streams; returns its exit code.
    func exec(_ command: [String]) async throws -> Int32
    /// By what its router is known and knows us.
    func operatorAccess() async throws -> OperatorAccess
}
