import KarsCore

/// The router of one sandbox: what it is made of, in the order it is put together, and how it ends.
///
/// Nothing listens until every policy has been looked at once and the evidence chain is open; nothing ends before running
/// calls had their time and the chain is signed.
final class Router: Sendable {
    let config: RouterConfig
    let log: Log
    let group: EventLoopGroup
    let pipeline: Pipeline
    let health: Health
    let budget: BudgetKeeper
    let evidence: EvidenceLog
    let egress: EgressControl
    private let reloader: PolicyReloader
    private let secrets: RouterSecrets
    private let metrics: Metrics
    private let traces = TraceIDs()
    private let client: HTTPClient

    /// Blocking: reads policies, secrets and state.
    init(config: RouterConfig, log: Log) throws {
        self.config = config
        self.log = log
        try Files.createDirectories(config.stateDirectory, mode: 0o755)
        secrets = try RouterSecrets(config: config)
        metrics = Metrics()
        let routerMetrics = RouterMetrics(
            in: metrics, sandbox: config.sandbox, models: [config.provider.model],
            credentialKinds: Redactor.Kind.allCases.map(\.rawValue))
        var evidenceConfig = EvidenceConfig(
            directory: "\(config.stateDirectory)/audit", keyFile: "\(config.stateDirectory)/audit.key",
            sandbox: config.sandbox)
        evidenceConfig.durability = config.evidenceDurability
        evidenceConfig.maxLogBytes = config.evidenceFileBytes
        evidence = try EvidenceLog(evidenceConfig)
        budget = try BudgetKeeper(sandbox: config.sandbox, directory: config.stateDirectory)
        if budget.interruptedCalls > 0 {
            log.warn(
                "budget.interrupted",
                ["calls": .int(budget.interruptedCalls), "tokens_counted": .int(budget.interruptedTokens)])
        }
        egress = try EgressControl(
            EgressControl.Config(
                sandbox: config.sandbox, mode: config.policies.learnsEgress ? .learn : .strict,
                statePath: "\(config.stateDirectory)/egress.json"))
        let store = PolicyStore()
        pipeline = Pipeline(
            sandbox: config.sandbox, policies: store, rates: RateLimiter(config.rate.limits, now: .now()),
            evidence: evidence, metrics: routerMetrics)
        health = Health(pipeline: pipeline, config: config)
        reloader = PolicyReloader(
            sandbox: config.sandbox, paths: config.policies, store: store, egress: egress, metrics: routerMetrics, log: log)
        reloader.loadAll()
        group = try EventLoopGroup(loopCount: config.loops)
        client = HTTPClient(config: Self.clientConfig(config.limits), group: group, tls: try Self.clientTLS(config.provider))
    }

    // MARK: - Life

    /// Serves until `end` returns, then lets running calls complete within the drain deadline.
    func run(until end: () async -> Void) async throws {
        let agent = HTTPServer(config: Self.agentConfig, handler: try agentPlane(), group: group)
        try await agent.bind(SocketAddress(.loopbackV4, port: config.listeners.agentPort))
        var others: [HTTPServer] = []
        var chores: [Housekeeping] = []
        defer { for chore in chores { chore.stop() } }
        guard let podAddress = IPAddress(config.listeners.podAddress) else {
            throw RouterStartError("KARS_POD_ADDRESS: expected an IP address")
        }
        let observers = HTTPServer(config: Self.operatorConfig, handler: metricsPlane(), group: group)
        try await observers.bind(SocketAddress(podAddress, port: config.listeners.metricsPort))
        others.append(observers)
        if let keys = secrets.operatorKeys {
            let token = OperatorToken(keys.token)
            let operators = HTTPServer(
                config: Self.operatorConfig, tls: keys.context, handler: operatorPlane(token), group: group)
            try await operators.bind(SocketAddress(podAddress, port: config.listeners.operatorPort))
            others.append(operators)
            let reloader = OperatorKeyReloader(
                directory: config.secretsDirectory, signatures: secrets.operatorSignatures, token: token, server: operators,
                log: log)
            chores.append(Housekeeping(every: config.policies.pollInterval) { reloader.look() })
        } else {
            log.warn("operator.closed", ["reason": "admin-token, tls.crt or tls.key is not mounted"])
        }
        let service = try await EgressService.start(
            control: egress, judge: PipelineEgressJudge(pipeline: pipeline), settings: config.egress,
            proxyPort: config.listeners.proxyPort, dnsPort: config.listeners.dnsPort, group: group,
            tunnels: pipeline.metrics.egressTunnels, log: log)
        reloader.start()
        chores.append(Housekeeping(every: .seconds(1)) { [budget] in budget.flush() })
        chores.append(Housekeeping(every: .seconds(5)) { [self] in saveEgress() })
        try record("router:started", "provider \(config.provider.kind.rawValue)")
        log.info(
            "router.ready",
            [
                "provider": .string(config.provider.kind.rawValue),
                "ready": .bool(health.readiness.isReady),
            ])

        await end()

        health.beginDraining()
        pipeline.approvals.close()
        log.info("router.draining", ["deadline": .duration(config.limits.drain)])
        await agent.drain(within: config.limits.drain)
        await service.close()
        for server in others { await server.drain(within: .seconds(2)) }
        reloader.stop()
        close()
    }

    /// Writes down what must not be lost. Blocking; the listeners are closed by now.
    private func close() {
        budget.flush()
        saveEgress()
        do { try evidence.close() } catch { log.error("evidence.close.failed", ["error": .error(error)]) }
        log.info("router.stopped")
    }

    private func saveEgress() {
        do { try egress.saveIfNeeded() } catch { log.error("egress.save.failed", ["error": .error(error)]) }
    }

    private func record(_ action: String, _ reason: String) throws(EvidenceError) {
        try evidence.append(
            EvidenceEvent(
                surface: .router, action: action, decision: .success, agentID: config.sandbox, reason: reason,
                policyDigest: pipeline.policies.current.profileDigest))
    }

    // MARK: - Planes

    private func agentPlane() throws -> AgentPlane {
        let backend = try backend()
        return AgentPlane(
            chat: ChatRoute(pipeline: pipeline, backend: backend, budget: budget, config: config, log: log),
            evaluate: EvaluateRoute(pipeline: pipeline),
            models: ModelsRoute(pipeline: pipeline, backend: backend, config: config), health: health, traces: traces,
            slots: CallSlots(limit: config.limits.concurrentRequests))
    }

    private func backend() throws -> any ModelBackend {
        switch config.provider.kind {
        case .demo: return DemoBackend()
        case .none: return NoBackend()
        case .openai, .azureOpenAI: break
        }
        let base: HTTPURL
        do { base = try HTTPURL(parsing: config.provider.endpoint) } catch {
            throw RouterStartError("KARS_PROVIDER_ENDPOINT=\(config.provider.endpoint): \(error)")
        }
        let endpoint: ProviderEndpoint =
            config.provider.kind == .openai
            ? .openAI(base: base, key: secrets.modelKey)
            : .azureOpenAI(base: base, apiVersion: config.provider.apiVersion, key: secrets.modelKey)
        return RemoteBackend(
            endpoint: endpoint, timeouts: Self.clientConfig(config.limits).timeouts,
            transport: { [client] request throws(HTTPClientError) in try await client.send(request) })
    }

    private func operatorPlane(_ token: OperatorToken) -> OperatorPlane {
        OperatorPlane(
            token: token, pipeline: pipeline, egress: egress, budget: budget, health: health, config: config,
            traces: traces, log: log)
    }

    private func metricsPlane() -> MetricsPlane {
        MetricsPlane(metrics: metrics, health: health, traces: traces) { [self] in refreshGauges() }
    }

    private func refreshGauges() {
        let gauges = pipeline.metrics
        let usage = budget.usage(limits: pipeline.policies.current.limits(otherwise: config.budget))
        for (label, window) in [(RouterMetrics.BudgetWindow.daily, usage.daily), (.monthly, usage.monthly)] {
            gauges.budgetTokens[label, .used].set(Double(window.used))
            gauges.budgetTokens[label, .reserved].set(Double(window.reserved))
            gauges.budgetTokens[label, .limit].set(Double(window.limit ?? 0))
        }
        let evidence = pipeline.evidenceStatus
        gauges.evidenceRecords.set(Double(evidence.records))
        gauges.evidenceHealthy.set(evidence.isHealthy ? 1 : 0)
        gauges.evidenceUnsigned.set(Double(evidence.records - min(evidence.records, evidence.signedRecords)))
    }

    /// A provider over TLS is verified against the machine's authorities, or against those of `KARS_PROVIDER_CA` alone.
    private static func clientTLS(_ provider: RouterConfig.Provider) throws -> TLSContext? {
        guard provider.endpoint.lowercased().hasPrefix("https:") else { return nil }
        guard let path = provider.authorities else { return try TLSContext.client() }
        return try TLSContext.client(trust: .pem(try Files.read(path, upTo: 1 << 20)))
    }

    // MARK: - Bounds

    private static var agentConfig: HTTPServerConfig { HTTPServerConfig() }

    /// Few clients, small requests.
    private static var operatorConfig: HTTPServerConfig {
        var config = HTTPServerConfig()
        config.maxConnections = 64
        return config
    }

    private static func clientConfig(_ limits: RouterConfig.Limits) -> HTTPClientConfig {
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(
            connect: limits.connectTimeout, firstByte: limits.firstByteTimeout, idle: limits.streamIdleTimeout)
        config.maxConnectionsPerOrigin = limits.concurrentRequests
        config.maxIdlePerOrigin = limits.concurrentRequests
        return config
    }
}
