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

    /// As InferencePolicies name it.
    var resource: InferencePolicy.Deployment.Provider {
        switch self {
        case .demo: .demo
        case .openAI: .openAI
        case .azureOpenAI: .azureOpenAI
        }
    }
}

/// Who answers a sandbox's model calls, as a person chose: by flags now, or by flags the last time.
struct ModelSource: Equatable, Sendable, CustomStringConvertible {
    var provider: ModelProvider
    /// Nil for `demo`.
    var endpoint: HTTPURL?
    var model: String

    /// Remembers a provider that was named.
    static func chosen(provider: ModelProvider?, endpoint: String?, model: String?, in home: KarsHome) throws -> ModelSource {
        var config = try CLIConfig.load(from: home)
        if let provider, provider != config.provider {
            config = CLIConfig(provider: provider, endpoint: nil, model: provider.defaultModel)
        }
        if let endpoint { config.endpoint = endpoint }
        if let model { config.model = model }
        var source = ModelSource(provider: config.provider, model: config.model)
        if config.provider != .demo {
            guard let endpoint = config.endpoint else {
                throw CommandFailure(.usage, "provider \(config.provider.rawValue) needs --endpoint URL")
            }
            do { source.endpoint = try HTTPURL(parsing: endpoint) } catch {
                throw CommandFailure(
                    .usage, "--endpoint \(endpoint): \(error)", advice: "Expected for instance http://127.0.0.1:11434/v1.")
            }
        } else if endpoint != nil {
            throw CommandFailure(.usage, "--endpoint goes with --provider openai or azure-openai")
        }
        if provider != nil { try config.save(to: home) }
        return source
    }

    var description: String {
        endpoint.map { "model: \(model) at \($0)" } ?? "model: the built-in demo (no network, no key)"
    }

    /// Makes the endpoint known to the controller, for every sandbox of this provider; on the machine's own loopback, to the node too.
    ///
    /// - Parameter embedded: the embedded cluster, when it is that.
    func offer(in cluster: ClusterConnection, of embedded: ClusterDirectory?) async throws {
        guard let endpoint else { return }
        if endpoint.isLoopback {
            guard let embedded else {
                throw CommandFailure(
                    .usage, "\(endpoint) is this machine's own, which \(cluster.label) does not reach",
                    advice: "Name an address that its pods reach, and see KARS_MODEL_NETWORKS in docs/controller.md.")
            }
            do {
                try await LocalPod.blocking { try LoopbackPorts(ofNode: embedded.nodePath).open(endpoint.port) }
            } catch { throw CommandFailure(.failed, "cannot open port \(endpoint.port) to sandboxes: \(error)") }
        }
        let name = ControllerManifests.modelEndpoints, namespace = cluster.namespace
        try await cluster.ask("telling the controller where models are") { api in
            let live = try await api.objectIfPresent(.get(.configMaps, namespace: namespace, name: name))
            guard live?["data"]?[provider.rawValue]?.stringValue != endpoint.description else { return }
            let data: JSON = .object(JSONObject([(provider.rawValue, .string(endpoint.description))]))
            let options = WriteOptions(fieldManager: ClusterConnection.fieldManager)
            if live == nil {
                let object: JSONObject = [
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": ["name": .string(name), "namespace": .string(namespace)], "data": data,
                ]
                _ = try await api.object(.create(.configMaps, object, options))
            } else {
                _ = try await api.object(
                    .patch(.merge, .configMaps, namespace: namespace, name: name, ["data": data], options))
            }
        }
    }
}
