/// Why an expression is no program: everything that is wrong with it, in the form of CEL's own tools.
package struct CELCompileError: Error, Equatable, Sendable {
    package enum Code: Equatable, Sendable {
        /// Not in the grammar; the first place where it leaves it.
        case syntax
        /// Unknown names, fields or functions, or types that do not fit; all of them, up to `issueLimit`.
        case check
        /// Sound, but of another type than the caller needs.
        case resultType(expected: CELType, found: CELType)
    }

    package struct Issue: Equatable, Sendable {
        /// From 1.
        package let line: Int
        /// In code points, from 1.
        package let column: Int
        package let message: String
        /// The line of the source that holds the place, cut to `snippetLimit` code points.
        package let snippet: String
    }

    static let issueLimit = 100
    static let snippetLimit = 1_000

    package let code: Code
    /// In the order of their places.
    package let issues: [Issue]
}

extension CELCompileError: CustomStringConvertible {
    /// `ERROR: <input>:1:5: …` with the line and a caret below, one after the other.
    package var description: String {
        if case .resultType(let expected, _) = code { return "must evaluate to \(expected)" }
        return issues.map { issue in
            let place = "ERROR: <input>:\(issue.line):\(issue.column): \(issue.message)"
            let indent = String(repeating: ".", count: min(issue.column, CELCompileError.snippetLimit) - 1)
            return "\(place)\n | \(issue.snippet)\n | \(indent)^"
        }.joined(separator: "\n")
    }
}

/// A complaint before its place is turned into line and column.
struct CELIssue: Error {
    /// In code points from the start of the source.
    var position: Int
    var message: String
}

extension CELCompileError {
    init(_ code: Code, _ issues: [CELIssue], in source: [Unicode.Scalar]) {
        self.code = code
        let sorted = issues.enumerated().sorted { ($0.element.position, $0.offset) < ($1.element.position, $1.offset) }
        self.issues = sorted.prefix(Self.issueLimit).map { Self.locate($0.element, in: source) }
    }

    private static func locate(_ issue: CELIssue, in source: [Unicode.Scalar]) -> Issue {
        let position = min(issue.position, source.count)
        let before = source[..<position]
        let start = before.lastIndex(of: "\n").map { $0 + 1 } ?? 0
        let end = source[position...].firstIndex(of: "\n") ?? source.count
        var snippet = ""
        for scalar in source[start..<end].prefix(snippetLimit) {
            snippet.unicodeScalars.append(scalar == "\t" ? " " : scalar)
        }
        return Issue(
            line: before.count { $0 == "\n" } + 1, column: position - start + 1, message: issue.message, snippet: snippet)
    }
}
