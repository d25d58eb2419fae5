import KarsCore

/// What `kars dev` uses when no flag says otherwise: `config.json`, without any secret.
struct CLIConfig: Equatable, Sendable {
    var provider: ModelProvider = .demo
    /// Base URL of the model server; nil for `demo`.
    var endpoint: String?
    var model = ModelProvider.demo.defaultModel

    static func load(from home: KarsHome) throws(CommandFailure) -> CLIConfig {
        let json: JSON
        do {
            guard let bytes = try Files.readIfPresent(home.configPath, upTo: 64 * 1024) else { return CLIConfig() }
            json = try JSON(parsing: bytes)
        } catch {
            throw CommandFailure(
                .failed, "cannot read \(home.configPath): \(error)", advice: "`kars config reset` starts with the defaults again."
            )
        }
        var config = CLIConfig()
        if let name = json["provider"]?.stringValue {
            guard let provider = ModelProvider(rawValue: name) else {
                throw CommandFailure(
                    .failed, "\(home.configPath): provider '\(name)' is not one of \(ModelProvider.names)",
                    advice: "`kars config reset` starts with the defaults again.")
            }
            config.provider = provider
            config.model = provider.defaultModel
        }
        config.endpoint = json["endpoint"]?.stringValue
        if let model = json["model"]?.stringValue, !model.isEmpty { config.model = model }
        return config
    }

    func save(to home: KarsHome) throws(CommandFailure) {
        do {
            try AtomicFile.write(json.encoded(pretty: true) + [UInt8(ascii: "\n")], to: home.configPath, mode: 0o600)
        } catch {
            throw CommandFailure(.failed, "cannot save the configuration: \(error)")
        }
    }

    var json: JSON {
        ["provider": .string(provider.rawValue), "endpoint": endpoint.map { .string($0) } ?? .null, "model": .string(model)]
    }
}
