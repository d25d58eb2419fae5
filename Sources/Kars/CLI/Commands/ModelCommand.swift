import ArgumentParser
import KarsCore

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model", abstract: "See and change which model a sandbox uses.",
        discussion: """
            The model is in the InferencePolicy that the sandbox refers to. A change reaches the running router within seconds; nothing
            restarts.

            Examples:
              kars model list
              kars model get research
              kars model set research gpt-4o --provider openai
            """,
        subcommands: [Set.self, Get.self, List.self])

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Choose the first model of a sandbox.", discussion: "Example: kars model set research gpt-4.1")
        @Argument(help: "The sandbox.") var name: String
        @Argument(help: "The model or deployment.") var model: String
        @Option(help: "Who serves it; the same as now when not given.") var provider: InferencePolicy.Deployment.Provider?
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let sandbox = try await ClusterSandbox.existing(name, in: cluster.connect())
            output.print(try await Self.set(model, provider, of: sandbox))
        }

        static func set(
            _ model: String, _ provider: InferencePolicy.Deployment.Provider?, of sandbox: ClusterSandbox
        ) async throws -> Report {
            let cluster = sandbox.cluster, policy = try await ModelChoice.policy(of: sandbox)
            guard policy.spec.bundleRef == nil else {
                throw CommandFailure(
                    .refusedByPolicy,
                    "\(InferencePolicy.title(policy.name)) is a signed document (spec.bundleRef), and only that counts",
                    advice: "Sign and publish a new one, or refer to another policy.")
            }
            var preference = policy.spec.modelPreference ?? InferencePolicy.ModelPreference()
            let before = policy.spec.modelPreference?.primary
            preference.primary.deployment = model
            if let provider { preference.primary.provider = provider }
            guard policy.spec.modelPreference != nil || provider != nil else {
                throw CommandFailure(
                    .usage, "\(InferencePolicy.title(policy.name)) names no model yet", advice: "Say --provider too.")
            }
            var changed = policy.spec
            changed.modelPreference = preference
            if let fault = changed.faults().first { throw CommandFailure(.usage, "\(fault)") }
            try await cluster.merge(
                InferencePolicy.self, policy.name, ["spec": ["modelPreference": ["primary": preference.primary.json]]])
            let others = try await ModelChoice.others(than: sandbox, under: policy.name)
            var text =
                "\(sandbox.name): \(before.map(ModelChoice.title) ?? "no model") → \(ModelChoice.title(preference.primary))"
            if !others.isEmpty { text += "\nnote: \(others.joined(separator: ", ")) refer to the same policy and change too" }
            return Report(
                json: [
                    "sandbox": .string(sandbox.name), "policy": .string(policy.name), "primary": preference.primary.json,
                    "alsoChanged": .array(others.map { .string($0) }),
                ], text: text)
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The models of a sandbox, in the order they are tried.", discussion: "Example: kars model get research")
        @Argument(help: "The sandbox.") var name: String
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let sandbox = try await ClusterSandbox.existing(name, in: cluster.connect())
            output.print(try await Self.report(sandbox))
        }

        static func report(_ sandbox: ClusterSandbox) async throws -> Report {
            let policy = try await ModelChoice.policy(of: sandbox)
            let models = policy.spec.modelPreference.map { [$0.primary] + $0.fallback } ?? []
            return Report(
                json: ["sandbox": .string(sandbox.name), "policy": .string(policy.name), "models": .array(models.map(\.json))],
                text: models.isEmpty
                    ? "\(InferencePolicy.title(policy.name)) names no model\(policy.spec.bundleRef == nil ? "" : " itself: it is a signed document")"
                    : models.map(ModelChoice.title).joined(separator: "\n"))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The models of every sandbox, or of one.", discussion: "Example: kars model list --context prod")
        @Argument(help: "Only this sandbox.") var name: String?
        @OptionGroup var cluster: NamespacedOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let cluster = try cluster.connect()
            if let name { return output.print(try await Get.report(ClusterSandbox.existing(name, in: cluster))) }
            output.print(try await Self.report(in: cluster))
        }

        static func report(in cluster: ClusterConnection) async throws -> Report {
            let sandboxes = try await cluster.list(KarsSandbox.self).map { try ClusterSandbox($0, in: cluster) }
            let policies = Dictionary(try await cluster.list(InferencePolicy.self).map { ($0.name, $0) }) { first, _ in first }
            var table = Table(["SANDBOX", "POLICY", "MODEL", "FALLBACK"]), rows: [JSON] = []
            for sandbox in sandboxes {
                let policy = sandbox.sandbox.spec.inferenceRef.name
                let preference = policies[policy]?["spec"]?["modelPreference"]
                let words = { (model: JSON) in
                    "\(model["provider"]?.stringValue ?? "?"):\(model["deployment"]?.stringValue ?? "?")"
                }
                let fallback = preference?["fallback"]?.arrayValue ?? []
                table.add([
                    sandbox.name, policy, preference?["primary"].map(words) ?? "-",
                    fallback.isEmpty ? "-" : fallback.map(words).joined(separator: ", "),
                ])
                rows.append(["sandbox": .string(sandbox.name), "policy": .string(policy), "modelPreference": preference ?? .null])
            }
            return Report(
                json: .array(rows), text: rows.isEmpty ? "no sandbox in \(cluster.namespace) of \(cluster.label)" : table.text)
        }
    }
}

/// The models that a sandbox has through its InferencePolicy.
private enum ModelChoice {
    static func policy(of sandbox: ClusterSandbox) async throws -> InferencePolicy {
        let name = sandbox.sandbox.spec.inferenceRef.name
        let object = try await sandbox.cluster.existing(InferencePolicy.self, name)
        do throws(ResourceError) { return try InferencePolicy(reading: object) } catch {
            throw CommandFailure(.failed, "\(InferencePolicy.title(name)) cannot be read: \(error)")
        }
    }

    static func others(than sandbox: ClusterSandbox, under policy: String) async throws -> [String] {
        try await sandbox.cluster.list(KarsSandbox.self)
            .filter { $0["spec"]?["inferenceRef"]?["name"]?.stringValue == policy && $0.name != sandbox.name }.map(\.name)
    }

    static func title(_ model: InferencePolicy.Deployment) -> String { "\(model.provider.rawValue):\(model.deployment)" }
}
