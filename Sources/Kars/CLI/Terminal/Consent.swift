import KarsCore

/// A question before something that cannot be undone.
enum Consent {
    /// Returns when the person says yes; fails when they do not, or when there is nobody to ask and `flag` was not given.
    static func ask(_ question: String, flag: String) throws(CommandFailure) {
        guard Terminal.isInteractive else {
            throw CommandFailure(.usage, "nobody can be asked: \(question)", advice: "Add \(flag) to say yes.")
        }
        Terminal.notePart("\(question) [y/N] ")
        guard readLine()?.lowercased().hasPrefix("y") == true else { throw CommandFailure(.failed, "nothing was changed") }
    }
}
