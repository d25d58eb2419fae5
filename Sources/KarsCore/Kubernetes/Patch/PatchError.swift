/// Why a patch was not applied. Nothing of it has been.
package struct PatchError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Code: Equatable, Sendable {
        /// The patch is not one (HTTP 400).
        case malformed
        /// More operations or copies than allowed (HTTP 413).
        case tooLarge
        /// It does not fit the document: a missing path, a test that fails (HTTP 422).
        case doesNotApply
    }

    package let code: Code
    package let reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { reason }
}
