import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// Reads a role's configuration from environment variables and collects every problem, so that an operator fixes five typos
/// in one go (GUIDE 3.5). Unset and empty are equal. Values of variables named in `secrets` never appear in a problem.
struct EnvironmentReader: Sendable {
    let values: [String: String]
    private(set) var problems: [String] = []

    init(values: [String: String]) { self.values = values }

    /// The environment of this process; read once, at the start of a role.
    static func ofProcess() -> EnvironmentReader { EnvironmentReader(values: processEnvironment()) }

    /// Throws one `CommandFailure`-ready error with the whole list when anything was wrong.
    func finish() throws(EnvironmentError) {
        guard problems.isEmpty else { throw EnvironmentError(problems: problems) }
    }

    /// For rules between several variables, and for formats only the caller knows.
    mutating func report(_ problem: String) { problems.append(problem) }

    // MARK: - Text

    /// nil when unset or empty.
    func text(_ key: String) -> String? { values[key].flatMap { $0.isEmpty ? nil : $0 } }

    func text(_ key: String, or fallback: String) -> String { text(key) ?? fallback }

    /// Records a problem and returns an empty text when the variable is not set.
    mutating func required(_ key: String) -> String {
        guard let text = text(key) else {
            report("\(key): must be set")
            return ""
        }
        return text
    }

    /// Wrapped at once; whatever becomes of it, it does not print.
    func secret(_ key: String) -> Secret<String>? { text(key).map { Secret($0) } }

    mutating func absolutePath(_ key: String, or fallback: String) -> String {
        guard let path = text(key) else { return fallback }
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            report("\(key)=\(path): expected an absolute path")
            return fallback
        }
        return path
    }

    /// Comma-separated, blanks around the parts and empty parts dropped.
    func list(_ key: String) -> [String] {
        (text(key) ?? "").split(separator: ",").map { $0.trimmingWhitespace() }.filter { !$0.isEmpty }
    }

    /// One of the raw values of `Choice`.
    mutating func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String, or fallback: Choice) -> Choice {
        guard let text = text(key) else { return fallback }
        guard let choice = Choice(rawValue: text) else {
            report("\(key)=\(text): expected one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))")
            return fallback
        }
        return choice
    }

    /// `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`, in any case.
    mutating func flag(_ key: String, or fallback: Bool) -> Bool {
        guard let text = text(key) else { return fallback }
        switch text.lowercased() {
        case "true", "1", "yes", "on": return true
        case "false", "0", "no", "off": return false
        default:
            report("\(key)=\(text): expected true or false")
            return fallback
        }
    }

    // MARK: - Numbers

    mutating func integer(_ key: String, in range: ClosedRange<Int>, or fallback: Int) -> Int {
        guard let text = text(key) else { return fallback }
        guard let number = Int(text), range.contains(number) else {
            report("\(key)=\(text): expected a whole number from \(range.lowerBound) to \(range.upperBound)")
            return fallback
        }
        return number
    }

    mutating func port(_ key: String, or fallback: UInt16) -> UInt16 {
        UInt16(integer(key, in: 1...65_535, or: Int(fallback)))
    }

    /// Whole seconds.
    mutating func seconds(_ key: String, in range: ClosedRange<Int>, or fallback: Int) -> Duration {
        guard let text = text(key) else { return .seconds(fallback) }
        guard let number = Int(text), range.contains(number) else {
            report("\(key)=\(text): expected whole seconds from \(range.lowerBound) to \(range.upperBound)")
            return .seconds(fallback)
        }
        return .seconds(number)
    }

    /// Whole milliseconds.
    mutating func milliseconds(_ key: String, in range: ClosedRange<Int>, or fallback: Int) -> Duration {
        guard let text = text(key) else { return .milliseconds(fallback) }
        guard let number = Int(text), range.contains(number) else {
            report("\(key)=\(text): expected whole milliseconds from \(range.lowerBound) to \(range.upperBound)")
            return .milliseconds(fallback)
        }
        return .milliseconds(number)
    }
}

/// Everything that is wrong with a role's environment, one line each.
struct EnvironmentError: Error, Equatable, CustomStringConvertible {
    var problems: [String]

    var description: String {
        "the configuration has \(problems.count) problem\(problems.count == 1 ? "" : "s"):"
            + problems.map { "\n  " + $0 }.joined()
    }
}

private func processEnvironment() -> [String: String] {
    var values: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
        let pair = String(cString: text)
        if let equals = pair.firstIndex(of: "=") { values[String(pair[..<equals])] = String(pair[pair.index(after: equals)...]) }
        entry += 1
    }
    return values
}
