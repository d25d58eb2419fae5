import ArgumentParser

/// How every command and role ends, as the shell sees it. The numbers are fixed.
enum ExitStatus: Int32, Error, Sendable {
    case success = 0
    case failed = 1
    /// Wrong usage, wrong configuration, or something the machine lacks.
    case usage = 2
    case notFound = 3
    case refusedByPolicy = 4

    /// For `throw` from a command whose message has been printed.
    var exitCode: ExitCode { ExitCode(rawValue) }
}
