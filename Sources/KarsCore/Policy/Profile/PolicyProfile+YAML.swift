/// Everything that is wrong with a set of profile files, so that a person can mend all of it in one go.
package struct PolicyProfileError: Error, Equatable, CustomStringConvertible {
    package let problems: [PolicyProfile.Warning]

    package init(_ problems: [PolicyProfile.Warning]) { self.problems = problems }

    package var description: String { problems.map(\.description).joined(separator: "; ") }
}

extension PolicyProfile {
    /// Longest file, in bytes.
    package static let maxFileBytes = 1 << 20
    /// Rules over all files.
    package static let maxRules = 10_000
    /// Patterns over all files.
    package static let maxPatterns = 100_000
    /// Longest pattern, in bytes.
    package static let maxPatternBytes = 1_024

    /// Reads and merges profile files; any order gives the same profile.
    ///
    /// A file is read *strictly* when it says `strict: true` or its version is "2" or later: a field or a type of rule that is
    /// not known is then an error, because a misspelt `denied_actions` denies nothing. Version 1 files were written for readers
    /// that skip what they do not know; they load, and what was skipped becomes a warning for status to show.
    ///
    /// Rules keep the order of paths, then of the text. The default decision is allow only if some file says allow and none
    /// says deny. All files must ask for the same `compatibility`, unless `semantics` settles it. No files at all make a
    /// profile that denies everything.
    package static func load(
        files: [(name: String, bytes: [UInt8])], semantics: Semantics? = nil
    ) throws(PolicyProfileError) -> PolicyProfile {
        var reader = ProfileReader()
        for file in files.sorted(by: { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }) {
            reader.read(file.bytes, file.name)
        }
        return try reader.finish(semantics: semantics)
    }
}

/// Collects rules, problems and warnings over several files.
private struct ProfileReader {
    private typealias Warning = PolicyProfile.Warning

    private var profile = PolicyProfile()
    private var problems: [Warning] = []
    private var stated: [(semantics: PolicyProfile.Semantics, file: String)] = []
    private var patterns = 0

    // Of the document being read.
    private var file = ""
    private var isStrict = false

    mutating func read(_ bytes: [UInt8], _ file: String) {
        self.file = file
        guard bytes.count <= PolicyProfile.maxFileBytes else {
            problem(.start, "expected at most \(PolicyProfile.maxFileBytes) bytes, found \(bytes.count)")
            return
        }
        do {
            let documents = try YAML.documents(bytes, file: file)
            if documents.isEmpty { problem(.start, "expected a profile, found nothing") }
            for document in documents { read(document) }
        } catch {
            problems.append(Warning(file: error.file, line: error.line, column: error.column, text: error.reason))
        }
    }

    mutating func finish(semantics: PolicyProfile.Semantics?) throws(PolicyProfileError) -> PolicyProfile {
        if let semantics {
            profile.semantics = semantics
        } else if let first = stated.first {
            profile.semantics = first.semantics
            for other in stated where other.semantics != first.semantics {
                problems.append(
                    Warning(
                        file: other.file, line: 1, column: 1,
                        text: "expected the same 'compatibility' in all files, \(first.file) has another"))
            }
        }
        guard problems.isEmpty else { throw PolicyProfileError(problems) }
        return profile
    }

    // MARK: Document

    private mutating func read(_ document: YAMLNode) {
        isStrict = false
        guard let members = document.members else {
            problem(document.position, "expected a mapping with version, agent and policies")
            return
        }
        if let version = document["version"] {
            if let text = version.scalar?.stringValue {
                let major = text.prefix { $0 != "." }
                isStrict = major != "1"
                if major != "1", major != "2" {
                    problem(version.position, "expected version \"1.0\" or \"2\", found \"\(text)\"")
                }
            } else {
                problem(version.position, "expected version as a string, such as \"2\"")
            }
        } else {
            problem(document.position, "missing field version")
        }
        if let strict = document["strict"] {
            if let flag = strict.scalar?.boolValue { isStrict = flag } else { problem(strict.position, "expected true or false") }
        }
        for member in members { topLevel(member) }
        if document["agent"] == nil { problem(document.position, "missing field agent") }
        if document["policies"] == nil { problem(document.position, "missing field policies") }
        if document["compatibility"] == nil { stated.append((.kars, file)) }
    }

    private mutating func topLevel(_ member: YAMLMember) {
        let value = member.value
        switch member.key {
        case "version", "strict", "description", "metadata": break
        case "agent":
            guard let name = value.scalar?.stringValue, !name.isEmpty else {
                problem(value.position, "expected agent as a string")
                return
            }
            profile.agents.append(name)
        case "defaultDecision", "default_decision":
            guard let decision = value.scalar?.stringValue.flatMap(PolicyProfile.DefaultDecision.init) else {
                problem(value.position, "expected allow or deny")
                return
            }
            profile.defaultDecision = profile.defaultDecision == .deny ? .deny : decision
        case "compatibility":
            guard let semantics = value.scalar?.stringValue.flatMap(PolicyProfile.Semantics.init) else {
                problem(value.position, "expected kars or agt-1")
                return
            }
            stated.append((semantics, file))
        case "policies":
            guard let rules = value.elements else {
                problem(value.position, "expected a list of rules")
                return
            }
            var names: Set<String> = []
            for rule in rules { read(rule: rule, &names) }
        default: unknown(member.position, "unknown field '\(shown(member.key))'")
        }
    }

    // MARK: Rules

    private static let commonFields: Set<String> = ["name", "type", "conditions", "priority", "scope", "description"]

    private mutating func read(rule node: YAMLNode, _ names: inout Set<String>) {
        guard node.members != nil else {
            problem(node.position, "expected a rule: a mapping with name and type")
            return
        }
        guard let name = string(node, "name"), let type = string(node, "type") else { return }
        if !names.insert(name).inserted { unknown(node.position, "a second rule is named '\(shown(name))'") }
        let priority = integer(node, "priority", 0...Int(UInt32.max)) ?? 0
        let conditions = conditions(node)
        if let scope = node["scope"], !["global", "tenant", "agent"].contains(scope.scalar?.stringValue) {
            unknown(scope.position, "expected scope global, tenant or agent")
        }
        guard let kind = kind(type, of: node) else { return }
        guard profile.rules.count < PolicyProfile.maxRules else {
            problem(node.position, "more than \(PolicyProfile.maxRules) rules")
            return
        }
        profile.rules.append(
            PolicyProfile.Rule(name: name, kind: kind, conditions: conditions, priority: priority, file: file))
    }

    private mutating func kind(_ type: String, of node: YAMLNode) -> PolicyProfile.Rule.Kind? {
        switch type {
        case "capability":
            checkFields(node, ["denied_actions", "allowed_actions"])
            let denied = patterns(node, "denied_actions")
            let allowed = patterns(node, "allowed_actions", isAllowance: true)
            if denied.isEmpty, allowed.isEmpty { unknown(node.position, "the rule neither allows nor denies anything") }
            return .capability(denied: denied, allowed: allowed)
        case "approval":
            checkFields(node, ["actions", "min_approvals"])
            let actions = patterns(node, "actions")
            if actions.isEmpty { unknown(node.position, "the rule names no actions") }
            return .approval(actions: actions, minimumApprovals: integer(node, "min_approvals", 1...100) ?? 1)
        case "rate_limit":
            checkFields(node, ["actions", "max_calls", "window"])
            let actions = patterns(node, "actions")
            if actions.isEmpty { unknown(node.position, "the rule names no actions") }
            guard let maxCalls = integer(node, "max_calls", 0...1_000_000_000) else {
                if node["max_calls"] == nil { problem(node.position, "missing field max_calls") }
                return nil
            }
            guard maxCalls > 0 else {
                unknown(node["max_calls"]?.position ?? node.position, "a limit of 0 calls has no effect")
                return .rateLimit(actions: actions, maxCalls: 0, window: .seconds(1))
            }
            guard let window = window(node) else { return nil }
            return .rateLimit(actions: actions, maxCalls: maxCalls, window: window)
        default:
            unknown(
                node["type"]?.position ?? node.position,
                "unknown type '\(shown(type))': expected capability, approval or rate_limit")
            return nil
        }
    }

    private mutating func checkFields(_ node: YAMLNode, _ fields: Set<String>) {
        for member in node.members ?? [] where !fields.contains(member.key) && !Self.commonFields.contains(member.key) {
            unknown(member.position, "unknown field '\(shown(member.key))': expected \(fields.sorted().joined(separator: ", "))")
        }
    }

    private mutating func patterns(_ node: YAMLNode, _ key: String, isAllowance: Bool = false) -> [ActionPattern] {
        guard let list = node[key] else { return [] }
        guard let elements = list.elements else {
            problem(list.position, "expected \(key) as a list of patterns")
            return []
        }
        return elements.compactMap { element in
            guard let text = element.scalar?.stringValue else {
                problem(element.position, "expected a pattern as a string")
                return nil
            }
            return pattern(text, element.position, isAllowance: isAllowance)
        }
    }

    private mutating func pattern(_ text: String, _ position: YAMLPosition, isAllowance: Bool) -> ActionPattern? {
        guard !text.isEmpty, text.utf8.count <= PolicyProfile.maxPatternBytes else {
            problem(position, "expected a pattern of 1 to \(PolicyProfile.maxPatternBytes) bytes")
            return nil
        }
        patterns += 1
        guard patterns <= PolicyProfile.maxPatterns else {
            if patterns == PolicyProfile.maxPatterns + 1 { problem(position, "more than \(PolicyProfile.maxPatterns) patterns") }
            return nil
        }
        let pattern = ActionPattern(text)
        if pattern.stem.utf8.contains(UInt8(ascii: "*")) {
            unknown(position, "'*' is a wildcard only at the end; elsewhere it matches a star")
        }
        let verb = text.prefix { $0 != ":" && $0 != "*" }
        if verb.utf8.contains(where: { $0 >= 65 && $0 <= 90 }) { unknown(position, "verbs are lower case; this matches nothing") }
        if text.utf8.first == UInt8(ascii: " ") || text.utf8.last == UInt8(ascii: " ") {
            unknown(position, "the pattern begins or ends with a space")
        }
        if isAllowance, pattern.isPrefix, pattern.stem.hasPrefix("egress:"), let authority = authority(of: pattern.stem),
            !authority.isEmpty, authority.utf8.count == hostBytes(pattern.stem)
        {
            warn(position, "'\(shown(text))' also allows hosts whose names begin so; end the host with '/*'")
        }
        return pattern
    }

    /// What follows `//` in an egress pattern; nil without it.
    private func authority(of stem: Substring) -> Substring? {
        var slashes = 0
        for index in stem.indices {
            slashes = stem[index] == "/" ? slashes + 1 : 0
            if slashes == 2 { return stem[stem.index(after: index)...] }
        }
        return nil
    }

    /// Bytes of the authority up to its own end, when nothing follows it.
    private func hostBytes(_ stem: Substring) -> Int {
        authority(of: stem)?.prefix { $0 != "/" && $0 != "?" && $0 != "#" }.utf8.count ?? 0
    }

    private mutating func conditions(_ node: YAMLNode) -> [String: [String]] {
        guard let value = node["conditions"] else { return [:] }
        if value.scalar?.isNull == true { return [:] }
        guard let members = value.members else {
            problem(value.position, "expected conditions as a mapping")
            return [:]
        }
        var found: [String: [String]] = [:]
        collect(members, prefix: "", into: &found)
        return found
    }

    /// Mappings inside are written with dots: `action: {command: x}` is `action.command: x`.
    private mutating func collect(_ members: [YAMLMember], prefix: String, into found: inout [String: [String]]) {
        for member in members {
            let key = prefix + member.key
            switch member.value.content {
            case .mapping(let inner): collect(inner, prefix: key + ".", into: &found)
            case .sequence(let elements):
                found[key] = elements.compactMap { element in
                    guard let text = element.scalar.flatMap(text) else {
                        problem(element.position, "expected a string, a number or a boolean")
                        return nil
                    }
                    return text
                }
            case .scalar(let scalar):
                guard let text = text(scalar) else {
                    problem(member.value.position, "expected a value or a list of values")
                    continue
                }
                found[key] = [text]
            }
        }
    }

    private func text(_ scalar: JSON) -> String? {
        switch scalar {
        case .string(let text): text
        case .number(let number): number.lexeme
        case .bool(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }

    // MARK: Scalars

    private mutating func string(_ node: YAMLNode, _ key: String) -> String? {
        guard let value = node[key] else {
            problem(node.position, "missing field \(key)")
            return nil
        }
        guard let text = value.scalar?.stringValue, !text.isEmpty else {
            problem(value.position, "expected \(key) as a string")
            return nil
        }
        return text
    }

    private mutating func integer(_ node: YAMLNode, _ key: String, _ range: ClosedRange<Int>) -> Int? {
        guard let value = node[key] else { return nil }
        guard let number = value.scalar?.intValue, range.contains(number) else {
            problem(value.position, "expected \(key) as a whole number from \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return number
    }

    /// `90`, `90s`, `5m` or `2h`; up to a year.
    private mutating func window(_ node: YAMLNode) -> Duration? {
        guard let value = node["window"] else {
            problem(node.position, "missing field window")
            return nil
        }
        var seconds = value.scalar?.intValue
        if let text = value.scalar?.stringValue, let unit = text.last {
            let factor = ["s": 1, "m": 60, "h": 3_600][unit]
            let digits = factor == nil ? text[...] : text.dropLast()
            if let count = Int(digits), digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }), count <= 31_536_000 {
                seconds = count * (factor ?? 1)
            }
        }
        guard let seconds, (1...31_536_000).contains(seconds) else {
            problem(value.position, "expected window as seconds or a number with s, m or h, such as 60s")
            return nil
        }
        return .seconds(seconds)
    }

    // MARK: Notes

    private mutating func problem(_ position: YAMLPosition, _ text: String) {
        // A file of a million mistakes needs no more than these.
        guard problems.count < 100 else { return }
        problems.append(Warning(file: file, line: position.line, column: position.column, text: text))
    }

    private mutating func warn(_ position: YAMLPosition, _ text: String) {
        guard profile.warnings.count < 100 else { return }
        profile.warnings.append(Warning(file: file, line: position.line, column: position.column, text: text))
    }

    /// What a strict file may not contain and another is read without.
    private mutating func unknown(_ position: YAMLPosition, _ text: String) {
        if isStrict { problem(position, text) } else { warn(position, text) }
    }

    private func shown(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(64).map { $0.value < 0x20 ? "?" : $0 }))
    }
}
