import ArgumentParser
import KarsCore

/// What the verbs `apply`, `get`, `list` and `delete` need to know of a kind, beyond the kind itself: its flags, and how a row of its
/// table reads.
protocol PolicyFlags: ParsableArguments {
    associatedtype Kind: KarsResource where Kind.Spec: CheckedSpec

    /// The command: `toolpolicy`.
    static var noun: PolicyNoun { get }
    /// Columns between NAME and AGE STATUS.
    static var columns: [String] { get }
    static func cells(of spec: Kind.Spec) -> [String]

    /// The specification that the flags describe.
    func spec() throws -> Kind.Spec
}

/// How a kind is called on the command line.
struct PolicyNoun: Sendable {
    var name: String
    var aliases: [String] = []
    /// `the policy of tools`, for abstracts.
    var summary: String
    /// Lines of examples, for `apply`.
    var examples: String
}

extension PolicyFlags {
    /// `a=b` of a repeated flag.
    static func pairs(_ words: [String], _ flag: String) throws -> [String: String] {
        var pairs: [String: String] = [:]
        for word in words {
            guard let equals = word.firstIndex(of: "="), equals != word.startIndex else {
                throw CommandFailure(.usage, "\(flag) \(word): expected KEY=VALUE, for instance team=research")
            }
            pairs[String(word[..<equals])] = String(word[word.index(after: equals)...])
        }
        return pairs
    }

    /// A word of a closed set.
    static func choice<Choice: SchemaChoice>(_ word: String?, _ flag: String, _ type: Choice.Type = Choice.self) throws -> Choice?
    {
        guard let word else { return nil }
        guard let choice = Choice(rawValue: word) else {
            throw CommandFailure(
                .usage, "\(flag) \(word): expected one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        return choice
    }
}
