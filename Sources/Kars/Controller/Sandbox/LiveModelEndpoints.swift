import KarsCore
import Synchronization

/// Where models are now: what the ConfigMap `kars-model-endpoints` of the controller's namespace says of a provider, else what the
/// controller's environment says.
///
/// Its data are URLs by provider (`azure-openai`, `openai`, `ollama`). Sandboxes that use a provider follow its endpoint without a
/// restart of the controller. Keys go where this leads, so that changing it takes a right of its own (`manage-models`, see the
/// admission policy `kars-model-endpoints-lock`).
final class LiveModelEndpoints: Sendable {
    private let fallback: ModelEndpoints
    private let state: Mutex<ModelEndpoints>

    init(_ fallback: ModelEndpoints) {
        self.fallback = fallback
        state = Mutex(fallback)
    }

    var current: ModelEndpoints { state.withLock { $0 } }

    /// Call once, before the informers run. `changed` is called after every change.
    func follow(
        _ informers: SharedInformers, namespace: String, watch: WatchMachine.Config, changed: @escaping @Sendable () -> Void
    ) {
        var config = watch
        config.fieldSelector = "metadata.name=\(ControllerManifests.modelEndpoints)"
        let informer = informers.informer(.configMaps, namespace: namespace, config: config)
        informer.addHandler { [weak self] change in
            guard let self, take(change) else { return }
            changed()
        }
    }

    /// Whether anything is different now.
    private func take(_ change: ObjectCache.Change) -> Bool {
        var now = fallback
        if case .deleted = change {} else { now.override(with: change.object["data"]) }
        return state.withLock { state in
            defer { state = now }
            return state != now
        }
    }
}

extension ModelEndpoints {
    /// By provider, as the ConfigMap has them; what is empty says nothing.
    mutating func override(with data: JSON?) {
        func text(_ provider: InferencePolicy.Deployment.Provider) -> String? {
            data?[provider.rawValue]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        }
        azure = text(.azureOpenAI) ?? azure
        openAI = text(.openAI) ?? openAI
        ollama = text(.ollama) ?? ollama
    }
}
