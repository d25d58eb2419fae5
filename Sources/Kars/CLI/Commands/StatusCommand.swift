import ArgumentParser
import KarsCore

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "How a sandbox is: containers, model, budget, policy, evidence.",
        discussion: """
            Examples:
              kars status dev-agent
              kars status dev-agent --output json
              kars status research --context prod
            """)

    @Argument(help: "The sandbox.") var name: String
    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        switch try await NamedSandbox.find(name, cluster) {
        case .direct(let sandbox): try await show(sandbox)
        case .inCluster(let sandbox): output.print(try await SandboxDescription.gather(sandbox).report())
        }
    }

    private func show(_ sandbox: LocalSandbox) async throws {
        let directory = sandbox.directory
        let record = try SandboxRecord.load(from: directory)
        let status = try sandbox.status()
        let phase = status?.phase.rawValue ?? PodStatus.Phase.stopped.rawValue
        var members = record.json.objectValue ?? JSONObject()
        members["phase"] = .string(phase)
        members["containers"] = status?.json["containers"]
        members["notes"] = status?.json["notes"]
        if phase == "Running" {
            let router = try await OperatorClient(to: sandbox)
            members["router"] = try await router.get("/status")
            members["budget"] = try await router.get("/budget")
        }
        let json = JSON.object(members)
        output.print(json) { Self.text(json) }
    }

    private static func text(_ json: JSON) -> String {
        var lines: [String] = []
        func add(_ label: String, _ value: String) {
            lines.append(label + String(repeating: " ", count: max(1, 12 - label.count)) + Terminal.safeLine(value))
        }
        for key in ["name", "phase", "runtime", "provider", "endpoint", "model", "policy", "createdAt"] {
            if let value = json[key]?.stringValue { add(key, value) }
        }
        for container in json["containers"]?.arrayValue ?? [] {
            let restarts = container["restartCount"]?.intValue ?? 0
            add(
                "container",
                "\(container["name"]?.stringValue ?? "?"): \(container["state"]?.stringValue ?? "?"), \(restarts) restarts")
        }
        if let budget = json["budget"] {
            let limit = budget["daily"]?["limit"]?.intValue ?? 0
            add("tokens", "\(budget["daily"]?["used"]?.intValue ?? 0) today\(limit > 0 ? " of \(limit)" : "")")
        }
        if let note = json["router"]?["note"]?.stringValue { add("note", note) }
        return lines.joined(separator: "\n")
    }
}
