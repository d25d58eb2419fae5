import KarsCore

/// Everything the router takes from its environment, read once at start, checked as a whole and fixed from then on.
///
/// The identity is here too: no request can change whose budget is spent or whose policy applies.
struct RouterConfig: Sendable {
    /// Name of the sandbox (`SANDBOX_NAME`, a DNS label): the principal of every action and the key of every budget.
    var sandbox: String
    var listeners: Listeners
    var provider: Provider
    var policies: PolicyPaths
    var egress: EgressSettings
    var limits: Limits
    var rate: Rate
    var budget: Budget
    /// What of a provider's annotations is reported: from which severity (`KARS_CONTENT_FLAG_MIN_SEVERITY`, default low), and
    /// graded categories that never are (`KARS_SUPPRESS_CONTENT_FLAGS`).
    var contentFlags: ContentFlags.Config
    /// Answers are not searched for addresses to send something to, whatever the policy says (`KARS_SUPPRESS_EXFIL_URL`).
    var suppressesExfiltrationURLs: Bool
    /// Where audit, budgets and egress state live (`KARS_STATE_DIR`, default /var/lib/kars). The router must own it.
    var stateDirectory: String
    /// Holds `admin-token`, `tls.crt`, `tls.key` and `model-key` (`KARS_SECRETS_DIR`, default /etc/kars/secrets).
    var secretsDirectory: String
    /// Event loops, one for each core that the router may use (`KARS_ROUTER_LOOPS`, default 1: a pod's router needs one).
    var loops: Int
    /// When a decision counts as recorded (`KARS_EVIDENCE_DURABILITY`): `written` survives the process, `synced` the machine.
    var evidenceDurability: EvidenceConfig.Durability
    /// Bytes after which the chain goes on in a new file (`KARS_EVIDENCE_FILE_BYTES`, default 64 MiB).
    var evidenceFileBytes: Int
    /// `debug`, `info`, `warn` or `error` (`KARS_LOG_LEVEL`, default info).
    var logLevel: Log.Level

    struct Listeners: Equatable, Sendable {
        /// `ROUTER_PORT`, on 127.0.0.1 only, whatever is configured.
        var agentPort: UInt16 = 8443
        /// `FORWARD_PROXY_PORT`, on 127.0.0.1 only.
        var proxyPort: UInt16 = 8444
        /// `KARS_DNS_PORT`, UDP and TCP on 127.0.0.1 only.
        var dnsPort: UInt16 = 8453
        /// `KARS_OPERATOR_PORT`, TLS and bearer token.
        var operatorPort: UInt16 = 8446
        /// `KARS_METRICS_PORT`: metrics and health, nothing secret.
        var metricsPort: UInt16 = 9090
        /// Address of the operator and metrics listeners (`KARS_POD_ADDRESS`, default 0.0.0.0).
        var podAddress = "0.0.0.0"
    }

    struct Provider: Sendable {
        enum Kind: String, CaseIterable, Sendable {
            /// The deterministic model inside the binary; no network, no key.
            case demo
            /// Any endpoint that speaks OpenAI's paths, with a bearer key or none.
            case openai
            /// Azure OpenAI with an API key.
            case azureOpenAI = "azure-openai"
            /// Nothing is configured: model calls are refused and the router is not ready.
            case none
        }

        /// `KARS_PROVIDER`; without it `azure-openai` when an Azure endpoint is set, `openai` when another is, else none.
        var kind: Kind
        /// `KARS_PROVIDER_ENDPOINT`, else `AZURE_OPENAI_ENDPOINT`, else `FOUNDRY_ENDPOINT`.
        var endpoint: String
        /// A PEM file with the only authorities that may vouch for the provider (`KARS_PROVIDER_CA`); nil trusts the machine's.
        var authorities: String?
        /// `AZURE_OPENAI_API_VERSION`, default 2024-10-21.
        var apiVersion: String
        /// What a request without `model` gets: `DEFAULT_MODEL`, `AZURE_OPENAI_DEPLOYMENT`, `KARS_MODEL`, `OPENCLAW_MODEL`,
        /// first set wins; `kars-demo` for the demo, else gpt-4.1.
        var model: String
        /// `AZURE_OPENAI_API_KEY`, used when `model-key` is not mounted. Files are the better place.
        var key: Secret<String>?
    }

    struct PolicyPaths: Equatable, Sendable {
        /// `AGT_POLICY_DIR`, default /etc/agt/policies.
        var profiles: String
        /// `INFERENCE_POLICY_DIR`, default /etc/kars/inference.
        var inference: String
        /// `MEMORY_BINDING_DIR`, default /etc/kars/memory.
        var memory: String
        /// `EGRESS_ALLOWLIST_DIR`, default /etc/kars/egress.
        var allowlist: String
        /// `EGRESS_APPROVAL_DIR`, default /etc/kars/egress-approvals.
        var approvals: String
        /// `BLOCKLIST_SEED_PATH`, default /etc/kars/blocklist/domains.txt.
        var blockList: String
        /// `BLOCKLIST_ENABLED`, default true.
        var blockListEnabled: Bool
        /// `EGRESS_MODE`: `strict` enforces the allow list, `learn` records and allows what it lacks. Default strict: who
        /// wants to learn says so.
        var learnsEgress: Bool
        /// How often the files are looked at (`KARS_POLICY_POLL_MS`, 20 to 10000 ms). Default 200: a change is in force well
        /// within a second, and a look is a handful of `stat` calls.
        var pollInterval: Duration
    }

    struct Limits: Equatable, Sendable {
        /// Requests in flight on the agent plane (`ROUTER_CONCURRENCY_LIMIT`, default 256); more are answered 503.
        var concurrentRequests = 256
        /// Longest request body in bytes (`KARS_MAX_REQUEST_BYTES`): 32 MiB, for long contexts and pictures.
        var requestBytes = 32 << 20
        /// Longest buffered answer of a provider in bytes (`KARS_MAX_ANSWER_BYTES`), 32 MiB.
        var answerBytes = 32 << 20
        /// Longest single event of a stream in bytes (`KARS_MAX_EVENT_BYTES`), 1 MiB.
        var eventBytes = 1 << 20
        /// To connect to the provider, TLS included (`KARS_CONNECT_TIMEOUT_SECS`), 10 s.
        var connectTimeout = Duration.seconds(10)
        /// From request to the first byte of the answer (`KARS_FIRST_BYTE_TIMEOUT_SECS`), 120 s: buffered answers of
        /// reasoning models take long.
        var firstByteTimeout = Duration.seconds(120)
        /// Between two pieces of a streamed answer (`KARS_STREAM_IDLE_TIMEOUT_SECS`), 60 s. A stream as a whole has no limit.
        var streamIdleTimeout = Duration.seconds(60)
        /// How long a model call waits for the approval that a rule wants before it is refused with its ticket
        /// (`KARS_APPROVAL_WAIT_SECS`, default 60 s; 0 refuses at once). Within its time an approved ticket also lets the same
        /// call pass that comes again.
        var approvalWait = Duration.seconds(60)
        /// Time for running calls after SIGTERM: `SHUTDOWN_TIMEOUT_SECS`, else `TERMINATION_GRACE_PERIOD_SECS` less 5 but
        /// at least 10, else 25 s.
        var drain = Duration.seconds(25)
    }

    /// The router's own protection against a runaway loop; finer rates belong in policies.
    struct Rate: Equatable, Sendable {
        /// Actions a second (`KARS_RATE_PER_SECOND`, default 5000).
        var perSecond = 5_000
        /// Actions at once (`KARS_RATE_BURST`, default 20000).
        var burst = 20_000
        /// Evaluations of one tool in a window (`TOOL_RATE_LIMIT_MAX`, default 100; 0 is unlimited).
        var perTool = 100
        /// `TOOL_RATE_LIMIT_WINDOW_SECS`, default 60 s.
        var toolWindow = Duration.seconds(60)

        /// There is one principal, so its limit and the global one are the same.
        var limits: RateLimiter.Config {
            var config = RateLimiter.Config()
            config.globalPerSecond = Double(perSecond)
            config.globalBurst = Double(burst)
            config.principalPerSecond = Double(perSecond)
            config.principalBurst = Double(burst)
            config.toolMaxCalls = perTool
            config.toolWindow = toolWindow
            return config
        }
    }

    /// Token limits where no inference policy sets them; 0 is unlimited.
    struct Budget: Equatable, Sendable {
        /// `TOKEN_BUDGET_DAILY`.
        var daily = 0
        /// `TOKEN_BUDGET_PER_REQUEST`.
        var perRequest = 0
    }
}

extension RouterConfig {
    /// Reads and checks everything before it throws, so that the list of problems is complete.
    init(reading environment: EnvironmentReader) throws(EnvironmentError) {
        var reader = environment
        sandbox = reader.required("SANDBOX_NAME")
        if !sandbox.isEmpty, !Self.isDNSLabel(sandbox) {
            reader.report("SANDBOX_NAME: expected 1 to 63 of a-z, 0-9 and '-', a letter or digit at both ends")
        }
        listeners = Listeners(
            agentPort: reader.port("ROUTER_PORT", or: 8443), proxyPort: reader.port("FORWARD_PROXY_PORT", or: 8444),
            dnsPort: reader.port("KARS_DNS_PORT", or: 8453), operatorPort: reader.port("KARS_OPERATOR_PORT", or: 8446),
            metricsPort: reader.port("KARS_METRICS_PORT", or: 9090),
            podAddress: reader.text("KARS_POD_ADDRESS", or: "0.0.0.0"))
        let ports = [
            listeners.agentPort, listeners.proxyPort, listeners.dnsPort, listeners.operatorPort, listeners.metricsPort,
        ]
        if Set(ports).count != ports.count {
            reader.report("ROUTER_PORT, FORWARD_PROXY_PORT, KARS_DNS_PORT, KARS_OPERATOR_PORT, KARS_METRICS_PORT: must differ")
        }
        provider = Provider(reading: &reader)
        policies = PolicyPaths(
            profiles: reader.absolutePath("AGT_POLICY_DIR", or: "/etc/agt/policies"),
            inference: reader.absolutePath("INFERENCE_POLICY_DIR", or: "/etc/kars/inference"),
            memory: reader.absolutePath("MEMORY_BINDING_DIR", or: "/etc/kars/memory"),
            allowlist: reader.absolutePath("EGRESS_ALLOWLIST_DIR", or: "/etc/kars/egress"),
            approvals: reader.absolutePath("EGRESS_APPROVAL_DIR", or: "/etc/kars/egress-approvals"),
            blockList: reader.absolutePath("BLOCKLIST_SEED_PATH", or: "/etc/kars/blocklist/domains.txt"),
            blockListEnabled: reader.flag("BLOCKLIST_ENABLED", or: true),
            learnsEgress: Self.learnsEgress(&reader),
            pollInterval: reader.milliseconds("KARS_POLICY_POLL_MS", in: 20...10_000, or: 200))
        egress = EgressSettings(reading: &reader)
        // Without it nothing is quiet: questions for names under search domains are recorded one by one.
        if let text = try? Files.readIfPresent("/etc/resolv.conf", upTo: 64 << 10) {
            egress.searchDomains = EgressSettings.searchDomains(parsing: text)
        }
        limits = Limits(reading: &reader)
        rate = Rate(
            perSecond: reader.integer("KARS_RATE_PER_SECOND", in: 1...1_000_000, or: 5_000),
            burst: reader.integer("KARS_RATE_BURST", in: 1...10_000_000, or: 20_000),
            perTool: reader.integer("TOOL_RATE_LIMIT_MAX", in: 0...1_000_000, or: 100),
            toolWindow: reader.seconds("TOOL_RATE_LIMIT_WINDOW_SECS", in: 1...86_400, or: 60))
        budget = Budget(
            daily: reader.integer("TOKEN_BUDGET_DAILY", in: 0...(1 << 50), or: 0),
            perRequest: reader.integer("TOKEN_BUDGET_PER_REQUEST", in: 0...(1 << 50), or: 0))
        contentFlags = Self.contentFlags(&reader)
        suppressesExfiltrationURLs = reader.flag("KARS_SUPPRESS_EXFIL_URL", or: false)
        stateDirectory = reader.absolutePath("KARS_STATE_DIR", or: "/var/lib/kars")
        secretsDirectory = reader.absolutePath("KARS_SECRETS_DIR", or: "/etc/kars/secrets")
        loops = reader.integer("KARS_ROUTER_LOOPS", in: 1...64, or: 1)
        evidenceDurability = reader.choice("KARS_EVIDENCE_DURABILITY", or: .written)
        evidenceFileBytes = reader.integer("KARS_EVIDENCE_FILE_BYTES", in: 65_536...(1 << 40), or: 64 << 20)
        logLevel = reader.choice("KARS_LOG_LEVEL", or: Log.Level.info)
        try reader.finish()
    }

    /// RFC 1123 §2.1, as Kubernetes names are.
    static func isDNSLabel(_ text: String) -> Bool {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard (1...63).contains(text.utf8.count), let first = text.utf8.first, let last = text.utf8.last else { return false }
        return isAlphanumeric(first) && isAlphanumeric(last)
            && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
    }

    private static func contentFlags(_ reader: inout EnvironmentReader) -> ContentFlags.Config {
        var config = ContentFlags.Config()
        if let name = reader.text("KARS_CONTENT_FLAG_MIN_SEVERITY") {
            if let severity = SafetySeverity(name: name) {
                config.minimumSeverity = severity
            } else {
                reader.report("KARS_CONTENT_FLAG_MIN_SEVERITY: expected one of safe, low, medium, high")
            }
        }
        for name in reader.list("KARS_SUPPRESS_CONTENT_FLAGS") {
            if let category = SafetyCategory(rawValue: name) {
                config.suppressed.insert(category)
            } else {
                reader.report("KARS_SUPPRESS_CONTENT_FLAGS: expected a list of hate, self_harm, sexual, violence")
            }
        }
        return config
    }

    private static func learnsEgress(_ reader: inout EnvironmentReader) -> Bool {
        switch reader.text("EGRESS_MODE", or: "strict").lowercased() {
        case "strict": return false
        case "learn": return true
        default:
            reader.report("EGRESS_MODE: expected strict or learn")
            return false
        }
    }
}

extension RouterConfig.Provider {
    fileprivate init(reading reader: inout EnvironmentReader) {
        let azure = reader.text("AZURE_OPENAI_ENDPOINT") ?? reader.text("FOUNDRY_ENDPOINT")
        endpoint = reader.text("KARS_PROVIDER_ENDPOINT") ?? azure ?? ""
        let fallback: Kind =
            if reader.text("KARS_PROVIDER_ENDPOINT") != nil { .openai } else if azure != nil { .azureOpenAI } else { .none }
        kind = reader.choice("KARS_PROVIDER", or: fallback)
        switch kind {
        case .openai, .azureOpenAI:
            if endpoint.isEmpty { reader.report("KARS_PROVIDER_ENDPOINT: must be set for the provider \(kind.rawValue)") }
        case .demo, .none: break
        }
        authorities = reader.text("KARS_PROVIDER_CA") == nil ? nil : reader.absolutePath("KARS_PROVIDER_CA", or: "")
        apiVersion = reader.text("AZURE_OPENAI_API_VERSION", or: "2024-10-21")
        if !apiVersion.utf8.allSatisfy({ $0 == 45 || (48...57).contains($0) || (97...122).contains($0) }) {
            reader.report("AZURE_OPENAI_API_VERSION: expected a version such as 2024-10-21")
        }
        let named = ["DEFAULT_MODEL", "AZURE_OPENAI_DEPLOYMENT", "KARS_MODEL", "OPENCLAW_MODEL"]
        model = named.lazy.compactMap { [reader] in reader.text($0) }.first ?? (kind == .demo ? DemoModel.name : "gpt-4.1")
        key = reader.secret("AZURE_OPENAI_API_KEY")
    }
}

extension RouterConfig.Limits {
    fileprivate init(reading reader: inout EnvironmentReader) {
        concurrentRequests = reader.integer("ROUTER_CONCURRENCY_LIMIT", in: 1...65_536, or: 256)
        requestBytes = reader.integer("KARS_MAX_REQUEST_BYTES", in: 1024...(1 << 30), or: 32 << 20)
        answerBytes = reader.integer("KARS_MAX_ANSWER_BYTES", in: 1024...(1 << 30), or: 32 << 20)
        eventBytes = reader.integer("KARS_MAX_EVENT_BYTES", in: 1024...(64 << 20), or: 1 << 20)
        connectTimeout = reader.seconds("KARS_CONNECT_TIMEOUT_SECS", in: 1...300, or: 10)
        firstByteTimeout = reader.seconds("KARS_FIRST_BYTE_TIMEOUT_SECS", in: 1...3_600, or: 120)
        streamIdleTimeout = reader.seconds("KARS_STREAM_IDLE_TIMEOUT_SECS", in: 1...3_600, or: 60)
        approvalWait = reader.seconds("KARS_APPROVAL_WAIT_SECS", in: 0...300, or: 60)
        let grace = reader.integer("TERMINATION_GRACE_PERIOD_SECS", in: 0...3_600, or: 0)
        let shutdown = reader.integer("SHUTDOWN_TIMEOUT_SECS", in: 0...3_600, or: 0)
        drain = .seconds(shutdown > 0 ? shutdown : grace > 0 ? max(grace - 5, 10) : 25)
    }
}
