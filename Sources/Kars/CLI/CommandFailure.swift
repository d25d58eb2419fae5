import KarsCore

/// How a command failed, as the shell sees it and as a person reads it: what was expected, what came, what to do next.
struct CommandFailure: Error, Equatable, CustomStringConvertible {
    var status: ExitStatus
    var message: String
    /// What to do next, when there is something.
    var advice: String?

    init(_ status: ExitStatus, _ message: String, advice: String? = nil) {
        self.status = status
        self.message = message
        self.advice = advice
    }

    var description: String { advice.map { "\(message)\n\($0)" } ?? message }

    static func noSandbox(_ name: String) -> CommandFailure {
        CommandFailure(
            .notFound, "there is no sandbox named '\(name)'",
            advice: "`kars list` shows those that exist; `kars dev --name \(name)` makes one.")
    }
}
