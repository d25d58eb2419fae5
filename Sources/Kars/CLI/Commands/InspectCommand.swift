import ArgumentParser
import KarsCore

/// `kars inspect`: what a router enforces, beside what the cluster asks for (spec/cli 9.2).
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "The policies that a sandbox's router enforces, by digest, and whether they are those that are wanted.",
        discussion: """
            The router says what it has loaded, since when, and why it did not take something newer. The digests are compared with those
            that the controller published.

            Examples:
              kars inspect dev-agent
              kars inspect research --context prod --output json
            """)

    @Argument(help: "The sandbox.") var name: String
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions
    @Flag(help: "The same as --output json.") var json = false

    func run() async throws {
        let sandbox = try await ClusterSandbox.named(name, cluster)
        let enforced = try await OperatorClient(to: sandbox).get("/internal/policy-status")
        let wanted = try await Self.published(for: sandbox)
        let report = Self.report(name, enforced: enforced, published: wanted, now: .now())
        json ? Terminal.printLine(String(decoding: report.json.encoded(pretty: true), as: UTF8.self)) : output.print(report)
    }

    /// Digests that the controller published, by the kind that the router reports them under.
    static func published(for sandbox: ClusterSandbox) async throws -> [String: String] {
        var digests: [String: String] = [:]
        let spec = sandbox.sandbox.spec
        let tools = try await sandbox.cluster.find(
            ToolPolicy.self, spec.governance?.toolPolicyRef?.name ?? ToolPolicy.defaultName)
        digests["AgtProfile"] = tools?["status"]?["agtProfileDigest"]?.stringValue
        let inference = try await sandbox.cluster.find(InferencePolicy.self, spec.inferenceRef.name)
        digests["InferencePolicy"] = inference?["status"]?["compiledDigest"]?.stringValue
        return digests
    }

    static func report(_ name: String, enforced: JSON, published: [String: String], now: UTCTime) -> Report {
        var lines = [name], entries: [JSON] = []
        for entry in enforced["entries"]?.arrayValue ?? [] {
            let kind = entry["kind"]?.stringValue ?? "?", digest = entry["digest"]?.stringValue
            let loaded = entry["loaded_at"]?.stringValue.flatMap { UTCTime(rfc3339: $0) }
            let file = entry["source_path"]?.stringValue?.split(separator: "/").last.map(String.init) ?? "-"
            var line = "  \(kind)  \(file)  \(digest.map(shortened) ?? "not loaded")"
            if let loaded { line += "  \(Age.text(now.duration(since: loaded))) ago" }
            var members = entry.objectValue ?? JSONObject()
            if let wanted = published[kind] {
                let isCurrent = wanted == digest
                line += isCurrent ? "  as published" : "  published is \(shortened(wanted))"
                members["published"] = .string(wanted)
                members["current"] = .bool(isCurrent)
            }
            lines.append(Terminal.safeLine(line))
            for problem in [entry["last_error"]?.stringValue].compactMap(\.self) {
                lines.append("    ✗ \(Terminal.safeLine(problem))")
            }
            for warning in entry["warnings"]?.arrayValue?.compactMap(\.stringValue) ?? [] {
                lines.append("    note: \(Terminal.safeLine(warning))")
            }
            entries.append(.object(members))
        }
        if entries.isEmpty { lines.append("  the router has loaded no policy") }
        return Report(json: ["sandbox": .string(name), "entries": .array(entries)], text: lines.joined(separator: "\n"))
    }

    /// The first digits: enough to tell two apart.
    private static func shortened(_ digest: String) -> String {
        String((digest.hasPrefix("sha256:") ? digest.dropFirst(7) : digest[...]).prefix(12))
    }
}
