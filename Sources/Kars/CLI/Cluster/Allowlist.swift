import KarsCore

/// The hosts that a KarsSandbox names, as the CLI edits them.
struct Allowlist {
    private(set) var rules: [EgressRule]

    var entries: [String] { rules.map(\.description) }

    var json: JSON {
        .array(rules.map { ["host": .string($0.host), "port": .number(JSONNumber(Int($0.port)))] })
    }

    mutating func add(host: String, port: UInt16) throws {
        let rule: EgressRule
        do {
            rule = try EgressRule(host: host, port: port)
        } catch {
            throw CommandFailure(
                .usage, "'\(host)' is no host: \(error)", advice: "Expected a name such as api.github.com, or *.github.com.")
        }
        if !rules.contains(rule) { rules = (rules + [rule]).sorted() }
    }

    /// Whether there was anything to remove.
    mutating func remove(host: String, port: UInt16?) -> Bool {
        let count = rules.count
        rules.removeAll { $0.host == host && (port == nil || $0.port == port) }
        return rules.count < count
    }

    init(rules: [EgressRule]) { self.rules = rules.sorted() }
}
