import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Everything the controller takes from its environment, read once at start, checked as a whole and fixed from then on
/// (spec/controller 1.5).
struct ControllerConfig: Sendable {
    /// Where the controller's own objects are, and its service account (`POD_NAMESPACE`, default kars-system).
    var namespace: String
    /// Who holds the lease (`POD_NAME`, else `HOSTNAME`, else `kars-controller-PID`).
    var identity: String
    /// The service account that the controller acts as in sandboxes (`CONTROLLER_SERVICE_ACCOUNT`, default kars-controller).
    var serviceAccount: String
    /// Nil: `LEADER_ELECTION_ENABLED` is off, for one replica that nobody else may start (`LEADER_ELECTION_LEASE_NAME`).
    var leaseName: String?
    /// Where metrics and health are (`CONTROLLER_METRICS_ADDR`, default 0.0.0.0:9091); nil when that is `disabled`.
    var metricsAddress: SocketAddress?
    /// How long the server keeps a watch open (`KARS_WATCH_TIMEOUT_SECS`, 30 to 600 s, default 200: load balancers cut idle
    /// connections after four minutes).
    var watchTimeout: Duration
    /// Sandboxes that are worked on at one time (`CONTROLLER_WORKERS`, default 8: they mostly wait).
    var workers: Int
    /// Seconds that an EgressApproval may last (`EGRESS_APPROVAL_MAX_TTL_SECONDS`, default a day, a week at most).
    var longestGrant: Int
    /// Seconds for which an expired EgressApproval is kept (`EGRESS_APPROVAL_RETENTION_SECONDS`, default a day).
    var grantRetention: Int
    /// The weakest content safety that an InferencePolicy may have (`CONTENT_SAFETY_FLOOR`: Safe, Low, Medium or High; default Medium).
    var safetyFloor: SafetySeverity
    var sandbox: SandboxSettings
    /// What repairs may touch.
    var repairs: SREActionSafety
    /// `KARS_LOG_LEVEL`, default info.
    var logLevel: Log.Level
}

/// What the installation decides for every sandbox.
struct SandboxSettings: Equatable, Sendable {
    /// `KARS_IMAGE` is kars (for routers alone `INFERENCE_ROUTER_IMAGE`), `SANDBOX_IMAGE` OpenClaw, `KARS_ADAPTER_PREFIX` goes before
    /// the names of adapters, which also have variables of their own.
    var images = SandboxImages()
    /// The controller's own service account, which is given its rights in each sandbox.
    var controller = ObjectKey(namespace: "kars-system", name: "kars-controller")
    /// `CLUSTER_NAME`: told to agents.
    var clusterName: String?
    var backends = ModelEndpoints()
    /// Networks beyond the Internet where models may be, as CIDRs (`KARS_MODEL_NETWORKS`); routers may reach port 443 of them, and
    /// the ports of the endpoints.
    var modelNetworks: [String] = []
    /// `AZURE_WI_CLIENT_ID`: the workload identity of sandboxes. Nil: none.
    var workloadIdentity: String?
    /// Labels of the nodes that sandboxes run on (`SANDBOX_NODE_SELECTOR`, `name=value,…`); none by default.
    var nodeSelector: [String: String] = [:]
    /// The same for confidential sandboxes (`CONFIDENTIAL_NODE_SELECTOR`).
    var confidentialNodeSelector: [String: String] = [:]
    /// `CONFIDENTIAL_RUNTIME_CLASS`, default kata-vm-isolation.
    var confidentialRuntimeClass = "kata-vm-isolation"
    /// Images of one's own that break the contract are refused (`BYO_STRICT_MODE`), not only reported.
    var isStrictAboutImages = false
    /// Allow lists must be signed (`REQUIRE_SIGNED_ALLOWLIST`).
    var requiresSignedAllowlist = false
    /// `MESH_RELAY_URL`, `MESH_REGISTRY_URL`: nil when the mesh is the router's business alone.
    var relayURL: String?
    var registryURL: String?
}

/// Where models of each provider are.
struct ModelEndpoints: Equatable, Sendable {
    /// `AZURE_OPENAI_ENDPOINT`, else `FOUNDRY_ENDPOINT`.
    var azure: String?
    /// `KARS_PROVIDER_ENDPOINT`, for providers that speak OpenAI's paths.
    var openAI: String?
    /// `OLLAMA_ENDPOINT`.
    var ollama: String?

    /// The router's backend for a `provider` of an InferencePolicy, or what is missing.
    func backend(for provider: String) -> Result<SandboxSpec.ModelBackend, MissingBackend> {
        func at(_ endpoint: String?, _ kind: String, _ variable: String) -> Result<SandboxSpec.ModelBackend, MissingBackend> {
            guard let endpoint else {
                return .failure(
                    MissingBackend(
                        "provider \(provider) needs an endpoint: set \(variable) on the controller, or '\(provider)' in ConfigMap "
                            + ControllerManifests.modelEndpoints))
            }
            do throws(HTTPURL.ParseError) { _ = try HTTPURL(parsing: endpoint) } catch {
                return .failure(MissingBackend("the endpoint of provider \(provider) is no URL: \(error)"))
            }
            return .success(SandboxSpec.ModelBackend(kind: kind, endpoint: endpoint))
        }
        switch provider {
        case "demo": return .success(SandboxSpec.ModelBackend(kind: "demo"))
        case "azure-openai": return at(azure, "azure-openai", "AZURE_OPENAI_ENDPOINT")
        case "openai": return at(openAI ?? "https://api.openai.com/v1", "openai", "KARS_PROVIDER_ENDPOINT")
        case "ollama": return at(ollama, "openai", "OLLAMA_ENDPOINT")
        default: return .failure(MissingBackend("the router has no backend for provider \(provider)"))
        }
    }
}

struct MissingBackend: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension ControllerConfig {
    /// Reads and checks everything before it throws, so that the list of problems is complete. `namespace` goes before the
    /// environment's.
    init(reading environment: EnvironmentReader, namespace: String? = nil) throws(EnvironmentError) {
        var reader = environment
        self.namespace = namespace ?? reader.text("POD_NAMESPACE", or: "kars-system")
        identity = reader.text("POD_NAME") ?? reader.text("HOSTNAME", or: "kars-controller-\(getpid())")
        serviceAccount = reader.text("CONTROLLER_SERVICE_ACCOUNT", or: "kars-controller")
        leaseName =
            reader.flag("LEADER_ELECTION_ENABLED", or: true)
            ? reader.text("LEADER_ELECTION_LEASE_NAME", or: "kars-controller-leader") : nil
        metricsAddress = Self.address(&reader, "CONTROLLER_METRICS_ADDR", or: "0.0.0.0:9091")
        watchTimeout = reader.seconds("KARS_WATCH_TIMEOUT_SECS", in: 30...600, or: 200)
        workers = reader.integer("CONTROLLER_WORKERS", in: 1...64, or: 8)
        longestGrant = reader.integer("EGRESS_APPROVAL_MAX_TTL_SECONDS", in: 60...604_800, or: 86_400)
        grantRetention = reader.integer("EGRESS_APPROVAL_RETENTION_SECONDS", in: 0...31_536_000, or: 86_400)
        safetyFloor = .medium
        if let name = reader.text("CONTENT_SAFETY_FLOOR") {
            if let floor = SafetySeverity(name: name) {
                safetyFloor = floor
            } else {
                reader.report("CONTENT_SAFETY_FLOOR=\(name): expected Safe, Low, Medium or High")
            }
        }
        logLevel = reader.choice("KARS_LOG_LEVEL", or: LogLevelOption.info).level
        sandbox = SandboxSettings(reading: &reader)
        repairs = SREActionSafety(reading: &reader)
        sandbox.controller = ObjectKey(namespace: self.namespace, name: serviceAccount)
        try reader.finish()
    }

    private static func address(_ reader: inout EnvironmentReader, _ key: String, or fallback: String) -> SocketAddress? {
        // Here an empty value is said on purpose (spec/controller 1.2).
        if let given = reader.values[key], given.isEmpty || given == "disabled" { return nil }
        let text = reader.text(key, or: fallback)
        guard let address = SocketAddress(text) else {
            reader.report("\(key)=\(text): expected ADDRESS:PORT or disabled")
            return nil
        }
        return address
    }
}

extension SandboxSettings {
    /// Which variable names the image of which adapter.
    private static let adapterVariables = [
        ("OPENAI_AGENTS_RUNTIME_IMAGE", "kars-runtime-openai-agents"), ("MAF_RUNTIME_IMAGE", "kars-runtime-maf-python"),
        ("ANTHROPIC_RUNTIME_IMAGE", "kars-runtime-anthropic"), ("LANGGRAPH_RUNTIME_IMAGE", "kars-runtime-langgraph"),
        ("LANGGRAPH_TS_RUNTIME_IMAGE", "kars-runtime-langgraph-ts"), ("PYDANTIC_AI_RUNTIME_IMAGE", "kars-runtime-pydantic-ai"),
        ("KARS_HERMES_IMAGE", "kars-runtime-hermes"), ("HERMES_RUNTIME_IMAGE", "kars-runtime-hermes"),
    ]

    init(reading reader: inout EnvironmentReader) {
        self.init()
        images.kars = reader.text("INFERENCE_ROUTER_IMAGE") ?? reader.text("KARS_IMAGE", or: images.kars)
        images.sandbox = reader.text("SANDBOX_IMAGE", or: images.sandbox)
        images.adapterPrefix = reader.text("KARS_ADAPTER_PREFIX", or: "")
        for (variable, adapter) in Self.adapterVariables {
            if let image = reader.text(variable) { images.adapters[adapter] = image }
        }
        clusterName = reader.text("CLUSTER_NAME")
        backends.azure = Self.endpoint(&reader, "AZURE_OPENAI_ENDPOINT") ?? Self.endpoint(&reader, "FOUNDRY_ENDPOINT")
        backends.openAI = Self.endpoint(&reader, "KARS_PROVIDER_ENDPOINT")
        backends.ollama = Self.endpoint(&reader, "OLLAMA_ENDPOINT")
        modelNetworks = reader.list("KARS_MODEL_NETWORKS")
        for network in modelNetworks where !SandboxNetwork.isNetwork(network) {
            reader.report("KARS_MODEL_NETWORKS: \(network) is no network such as 10.1.0.0/16")
        }
        workloadIdentity = reader.text("AZURE_WI_CLIENT_ID")
        nodeSelector = Self.labels(&reader, "SANDBOX_NODE_SELECTOR")
        confidentialNodeSelector = Self.labels(&reader, "CONFIDENTIAL_NODE_SELECTOR")
        confidentialRuntimeClass = reader.text("CONFIDENTIAL_RUNTIME_CLASS", or: confidentialRuntimeClass)
        isStrictAboutImages = reader.flag("BYO_STRICT_MODE", or: false)
        requiresSignedAllowlist = reader.flag("REQUIRE_SIGNED_ALLOWLIST", or: false)
        relayURL = reader.text("MESH_RELAY_URL")
        registryURL = reader.text("MESH_REGISTRY_URL")
    }

    private static func endpoint(_ reader: inout EnvironmentReader, _ key: String) -> String? {
        guard let text = reader.text(key) else { return nil }
        do throws(HTTPURL.ParseError) { _ = try HTTPURL(parsing: text) } catch {
            reader.report("\(key)=\(text): \(error)")
            return nil
        }
        return text
    }

    private static func labels(_ reader: inout EnvironmentReader, _ key: String) -> [String: String] {
        var labels: [String: String] = [:]
        for pair in reader.list(key) {
            guard let equals = pair.firstIndex(of: "="), equals > pair.startIndex else {
                reader.report("\(key): \(pair): expected name=value")
                continue
            }
            labels[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
        }
        return labels
    }
}

extension ModelEndpoints {
    /// Ports of the endpoints that are set.
    var ports: Set<UInt16> {
        Set([azure, openAI, ollama].compactMap { $0 }.compactMap { try? HTTPURL(parsing: $0).port })
    }
}
