/// Why evidence cannot be written. Callers in strict mode refuse the call it was about; readiness reports it.
package struct EvidenceError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// A record or head could not be written: full disk, lost mount. Tried again with each append and every second.
        case writeFailed
        /// A flush failed: what reached the disk is unknown, so nothing more is acknowledged until a restart has looked.
        case flushFailed
        /// The disk does not keep up: too many records wait for a signed head.
        case backlog
        /// Another process holds the directory.
        case locked
        /// What is on disk is not what was signed. Never repaired silently; a person must look.
        case tampered
        case key
        case configuration
        case closed
    }

    package var code: Code
    /// What happened, where, and what to do about it.
    package var reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    init(_ code: Code, _ error: FileError) { self.init(code, error.description) }

    package var description: String { "evidence: \(reason)" }

    /// Equal codes are equal errors, so that a test can name the failure it expects.
    package static func == (a: Self, b: Self) -> Bool { a.code == b.code }
}

/// Runs file work whose failure means `code` here.
func evidence<Result>(
    _ code: EvidenceError.Code, _ body: () throws(FileError) -> Result
) throws(EvidenceError) -> Result {
    do {
        return try body()
    } catch {
        throw EvidenceError(code, error)
    }
}
