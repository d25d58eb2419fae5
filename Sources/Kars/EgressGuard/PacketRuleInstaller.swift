import KarsCore

/// Brings a plan into the kernel and proves that it is there: restore, read back, compare, for each family.
///
/// It decides nothing about rules. A family that fails leaves what was installed in place: the filter table goes in first, so
/// a half-done installation is closed, not open.
struct PacketRuleInstaller: Sendable {
    let plan: GuardPlan
    let families: [GuardPlan.Family]
    let choice: PacketTool.Choice
    var isInstalled: @Sendable (String) -> Bool = PacketTool.isInstalled
    var run: PacketToolRunner = PacketTool.run

    /// Installs and verifies with the first back end that works; a sentence for the log.
    func install() async throws(PacketRuleError) -> String {
        try await withBackend { tool throws(PacketRuleError) in
            for family in families { try await install(plan.rules(for: family), with: tool) }
            return try await verify(with: tool)
        }
    }

    /// Verifies what is installed, changing nothing.
    func check() async throws(PacketRuleError) -> String {
        try await withBackend { tool throws(PacketRuleError) in
            // With two back ends on the machine, the one that was not used to install is empty.
            if choice == .auto {
                let rules = plan.rules(for: .v4)
                guard rules.isPresent(in: try await saved(rules, with: tool)) else {
                    throw PacketRuleError(.failed, "no rules of ours in the \(tool.title) back end")
                }
            }
            return try await verify(with: tool)
        }
    }

    /// Tries each candidate; when none works, the error tells what became of every one of them.
    private func withBackend(_ body: (PacketTool) async throws(PacketRuleError) -> String) async throws(PacketRuleError) -> String
    {
        var failures: [String] = []
        var code = PacketRuleError.Code.usage
        for tool in PacketTool.candidates(choice) {
            let missing = families.flatMap { [tool.name($0, "restore"), tool.name($0, "save")] }.filter { !isInstalled($0) }
            guard missing.isEmpty else {
                failures.append("\(missing.joined(separator: ", ")) not installed")
                continue
            }
            do {
                return try await body(tool)
            } catch  where error.code == .different {
                throw error
            } catch {
                code = .failed
                failures.append(error.description)
            }
        }
        let hint = code == .usage ? "; install the iptables package" : ""
        throw PacketRuleError(code, "packet rules are not in force: \(failures.joined(separator: "; "))\(hint)")
    }

    private func install(_ rules: GuardRules, with tool: PacketTool) async throws(PacketRuleError) {
        let text = rules.restoreText(replacing: try await saved(rules, with: tool))
        let name = tool.name(rules.family, "restore")
        let result = try await run(name, ["--noflush", "--wait", "10"], text)
        guard !result.succeeded else { return }
        throw PacketRuleError(
            .failed, "\(name) failed\(Self.place(in: text, from: result.errors)): \(Self.oneLine(result.errors))")
    }

    private func verify(with tool: PacketTool) async throws(PacketRuleError) -> String {
        var differences: [String] = []
        var counts: [String] = []
        for family in families {
            let rules = plan.rules(for: family)
            differences += rules.differences(from: try await saved(rules, with: tool))
            counts.append("\(rules.count) \(family.rawValue)")
        }
        guard differences.isEmpty else {
            let shown = differences.prefix(Self.maxDifferences).joined(separator: "; ")
            let more = differences.count > Self.maxDifferences ? "; and \(differences.count - Self.maxDifferences) more" : ""
            throw PacketRuleError(.different, "the kernel's rules (\(tool.title) back end) are not the plan's: \(shown)\(more)")
        }
        return "\(counts.joined(separator: " and ")) rules in force and verified (\(tool.title) back end)"
    }

    /// Differences told in full.
    private static let maxDifferences = 8

    /// Each table by name: without a name the legacy program prints only tables that the kernel has loaded already.
    private func saved(_ rules: GuardRules, with tool: PacketTool) async throws(PacketRuleError) -> String {
        var text = ""
        let name = tool.name(rules.family, "save")
        for table in rules.chains.map(\.table) {
            let result = try await run(name, ["-t", table], "")
            guard result.succeeded else {
                // It opens a raw socket, where the other back end speaks netlink.
                let isDenied = tool.backend == "legacy" && result.errors.contains("you must be root")
                let hint = isDenied ? " (the legacy back end needs CAP_NET_RAW beside CAP_NET_ADMIN)" : ""
                throw PacketRuleError(.failed, "\(name) -t \(table) failed: \(Self.oneLine(result.errors))\(hint)")
            }
            text += result.output
        }
        return text
    }

    /// The rule on the line that the program complains about.
    private static func place(in text: String, from errors: String) -> String {
        guard let rest = errors.text(after: "line "), let number = Int(rest.prefix { $0.isNumber }), number > 0 else { return "" }
        let lines = text.split(separator: "\n" as Character, omittingEmptySubsequences: false)
        guard number <= lines.count else { return "" }
        let rule = lines[number - 1]
        guard rule != "COMMIT" else { return "" }
        let name = number >= 2 && lines[number - 2].hasPrefix("# ") ? " (\(lines[number - 2].dropFirst(2)))" : ""
        return " at `\(rule)`\(name)"
    }

    private static func oneLine(_ text: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("Try `") && !$0.hasPrefix("# Warning") }
        let joined = lines.joined(separator: ", ")
        return joined.isEmpty ? "no message" : String(joined.prefix(1024))
    }
}
