import KarsCore

/// Which kind of model server answers, and how it wants to be asked.
enum ModelProvider: String, CaseIterable, Sendable {
    /// The small deterministic model inside the router; needs nothing.
    case demo
    /// Any endpoint that speaks OpenAI's chat completions: OpenAI, Ollama, vLLM, llama.cpp.
    case openAI = "openai"
    /// Azure OpenAI with an API key.
    case azureOpenAI = "azure-openai"

    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }

    var defaultModel: String {
        switch self {
        case .demo: "demo"
        case .openAI, .azureOpenAI: "gpt-4.1"
        }
    }

    /// The secret that holds the key of this provider (spec/cli 2.1); nil when it needs none.
    var secretKey: String? {
        switch self {
        case .demo: nil
        case .openAI: "openai-api-key"
        case .azureOpenAI: "azure-openai-key"
        }
    }
}

/// What a sandbox was made from: enough to make it again. No secret.
struct SandboxRecord: Equatable, Sendable {
    enum Runtime: String, CaseIterable, Sendable { case native, byo }

    var name: String
    var runtime: Runtime
    /// argv of a bring-your-own agent.
    var command: [String]
    var provider: ModelProvider
    var endpoint: String?
    var model: String
    var policy: String
    /// Tokens per UTC day; 0 means no limit.
    var dailyTokenBudget: Int
    var createdAt: UTCTime

    var json: JSON {
        [
            "name": .string(name), "runtime": .string(runtime.rawValue), "command": .array(command.map { .string($0) }),
            "provider": .string(provider.rawValue), "endpoint": endpoint.map { .string($0) } ?? .null, "model": .string(model),
            "policy": .string(policy), "dailyTokenBudget": .number(JSONNumber(dailyTokenBudget)),
            "createdAt": .string(createdAt.rfc3339),
        ]
    }

    /// Reads the record of an existing sandbox.
    static func load(from directory: SandboxDirectory) throws(CommandFailure) -> SandboxRecord {
        do {
            let json = try JSON(parsing: Files.read(directory.recordPath, upTo: 1024 * 1024))
            guard let name = json["name"]?.stringValue,
                let runtime = json["runtime"]?.stringValue.flatMap(Runtime.init(rawValue:)),
                let provider = json["provider"]?.stringValue.flatMap(ModelProvider.init(rawValue:)),
                let model = json["model"]?.stringValue, let policy = json["policy"]?.stringValue,
                let created = json["createdAt"]?.stringValue.flatMap({ UTCTime(rfc3339: $0) })
            else { throw CommandFailure(.failed, "\(directory.recordPath) is not a sandbox record") }
            return SandboxRecord(
                name: name, runtime: runtime, command: (json["command"]?.arrayValue ?? []).compactMap(\.stringValue),
                provider: provider, endpoint: json["endpoint"]?.stringValue, model: model, policy: policy,
                dailyTokenBudget: json["dailyTokenBudget"]?.intValue ?? 0, createdAt: created)
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure(
                .failed, "cannot read \(directory.recordPath): \(error)",
                advice: "`kars destroy \(directory.name)` removes the sandbox.")
        }
    }

    func save(to directory: SandboxDirectory) throws(CommandFailure) {
        do {
            try AtomicFile.write(json.encoded(pretty: true) + [UInt8(ascii: "\n")], to: directory.recordPath, mode: 0o600)
        } catch {
            throw CommandFailure(.failed, "cannot save \(directory.recordPath): \(error)")
        }
    }
}
