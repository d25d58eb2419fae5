import ArgumentParser
import KarsCore

struct ListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "The sandboxes of a cluster, and how they are.",
        discussion: """
            Where no cluster runs and none is named there are none.

            Examples:
              kars list
              kars list --context prod
              kars list --output json
            """)

    @OptionGroup var cluster: NamespacedOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        var rows: [SandboxRow] = []
        do {
            rows = try await SandboxRow.all(in: cluster.connect())
        } catch let failure as CommandFailure where !cluster.namesCluster && failure.status == .usage {
            Terminal.note("note: \(failure.message)")
        }
        output.print(SandboxRow.report(rows, now: .now()))
    }
}

/// A sandbox in a list.
struct SandboxRow: Sendable {
    var name: String
    var status: String
    var runtime: String
    var provider: String
    var model: String
    var policy: String
    var isolation: String
    /// Of what the controller makes for it.
    var namespace: String
    var createdAt: UTCTime?

    /// - Parameter policies: the inference policies of its namespace, by name.
    init(_ sandbox: ClusterSandbox, policies: [String: JSONObject]) {
        name = sandbox.name
        status = sandbox.phase
        runtime = sandbox.sandbox.spec.runtime.kind.rawValue
        let primary = policies[sandbox.sandbox.spec.inferenceRef.name]?["spec"]?["modelPreference"]?["primary"]
        provider = primary?["provider"]?.stringValue ?? "-"
        model = primary?["deployment"]?.stringValue ?? "-"
        policy = sandbox.sandbox.spec.governance?.toolPolicyRef?.name ?? ToolPolicy.defaultName
        isolation = sandbox.sandbox.spec.sandbox.isolation.rawValue
        namespace = sandbox.namespace
        createdAt = sandbox.object.metadata["creationTimestamp"]?.stringValue.flatMap { UTCTime(rfc3339: $0) }
    }

    static func all(in cluster: ClusterConnection) async throws -> [SandboxRow] {
        let objects = try await cluster.list(KarsSandbox.self)
        guard !objects.isEmpty else { return [] }
        let policies = Dictionary(try await cluster.list(InferencePolicy.self).map { ($0.name, $0) }) { first, _ in first }
        return try objects.map { SandboxRow(try ClusterSandbox($0, in: cluster), policies: policies) }
    }

    private var json: JSON {
        [
            "name": .string(name), "status": .string(status), "runtime": .string(runtime), "provider": .string(provider),
            "model": .string(model), "policy": .string(policy), "isolation": .string(isolation),
            "namespace": .string(namespace), "createdAt": createdAt.map { .string($0.rfc3339) } ?? .null,
        ]
    }

    static func report(_ rows: [SandboxRow], now: UTCTime) -> Report {
        guard !rows.isEmpty else { return Report(json: [], text: "no sandbox; `kars dev` makes one") }
        var table = Table(["NAME", "STATUS", "RUNTIME", "MODEL", "POLICY", "ISOLATION", "NAMESPACE", "AGE"])
        for row in rows {
            table.add([
                row.name, row.status, row.runtime, row.model, row.policy, row.isolation, row.namespace,
                row.createdAt.map { Age.text(now.duration(since: $0)) } ?? "-",
            ])
        }
        return Report(json: .array(rows.map(\.json)), text: table.text)
    }
}

/// How long ago, in one unit (spec/cli 4).
enum Age {
    static func text(_ duration: Duration) -> String {
        let seconds = max(0, duration.components.seconds)
        if seconds < 60 { return "\(seconds)s" }
        if seconds < 3_600 { return "\(seconds / 60)m" }
        if seconds < 172_800 { return "\(seconds / 3_600)h" }
        return "\(seconds / 86_400)d"
    }

    /// Of an object, from its metadata.
    static func text(of object: JSONObject, now: UTCTime) -> String {
        guard let created = object.metadata["creationTimestamp"]?.stringValue.flatMap({ UTCTime(rfc3339: $0) }) else {
            return "-"
        }
        return text(now.duration(since: created))
    }
}
