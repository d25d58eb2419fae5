import KarsCore

/// The resolver of the sandbox (8453, UDP and TCP): answers for names that may be contacted, with addresses that may be, and
/// for nothing else, so that DNS is no tunnel.
///
/// What is not permitted does not exist (NXDOMAIN with an explanation, RFC 8914) rather than being refused: at REFUSED, glibc
/// ends its walk through the search domains before it comes to the name that is permitted, and musl waits until it times out.
final class DNSStub: Sendable {
    struct Config: Sendable {
        /// Time to live of answers: short, because the policy may change.
        var ttlSeconds: UInt32 = 10
        /// How long a decision about a name serves further questions (an address look-up asks twice, search domains more).
        var memory = Duration.seconds(5)
        /// Names remembered.
        var maxRemembered = 512
        /// UDP questions being answered at one time; more are dropped, and the client asks again.
        var maxInFlight = 256
        var maxConnections = 64
        var idle = Duration.seconds(10)
        /// Longest UDP answer whatever the client says: what fits every path (DNS flag day 2020).
        var maxUDPBytes = 1232
    }

    private let names: DNSNames
    private let config: Config
    private let group: EventLoopGroup

    init(
        gate: EgressGate, config: Config = Config(), group: EventLoopGroup, clock: @escaping @Sendable () -> Instant = Instant.now
    ) {
        self.config = config
        self.group = group
        names = DNSNames(gate: gate, memory: config.memory, maxRemembered: config.maxRemembered, clock: clock)
    }

    func bind(_ address: SocketAddress) async throws(SocketError) -> DNSServer.Listeners {
        var serving = DNSServer.Config()
        (serving.maxInFlight, serving.maxConnections, serving.idle) = (config.maxInFlight, config.maxConnections, config.idle)
        let server = DNSServer(config: serving) { message, overUDP, _ in await self.answer(message, overUDP: overUDP) }
        return try await server.bind(address, on: group)
    }

    /// nil for what deserves no answer.
    func answer(_ message: [UInt8], overUDP: Bool) async -> [UInt8]? {
        do throws(DNSQuery.Problem) {
            let query = try DNSQuery(parsing: message[...])
            let limit = overUDP ? min(query.udpPayload ?? 512, config.maxUDPBytes) : 65_535
            return await response(to: query).encoded(answering: query, maxBytes: limit)
        } catch {
            switch error {
            case .notAQuery: return nil
            case .malformed(let id, _): return DNSResponse.error(.formatError, id: id)
            case .notImplemented(let id, _): return DNSResponse.error(.notImplemented, id: id)
            }
        }
    }

    private func response(to query: DNSQuery) async -> DNSResponse {
        guard query.recordClass == 1 else { return DNSResponse(.refused) }
        guard let name = query.name else {
            return DNSResponse(
                .nameError, explanation: .init(code: 18, text: "not in allowlist: not a host name (egress:bad-host)"))
        }
        switch await names.route(to: name) {
        case .success(let route):
            // Other types (HTTPS, TXT, MX, …) exist, but not for an agent: they could carry anything.
            let addresses = route.addresses.filter { query.type == ($0.isV6 ? .aaaa : .a) }
            return DNSResponse(.noError, addresses: addresses, ttl: config.ttlSeconds)
        case .failure(let refusal) where refusal.code == "dns_not_found": return DNSResponse(.nameError)
        case .failure(let refusal) where refusal.stage == .perform:
            return DNSResponse(.serverFailure, explanation: .init(code: 22, text: refusal.reason))
        case .failure(let refusal):
            return DNSResponse(
                .nameError, explanation: .init(code: 18, text: "\(refusal.reason) (\(refusal.rule ?? refusal.code))"))
        }
    }
}

/// Decisions about names, each made once for the questions that come together.
private actor DNSNames {
    private struct Entry {
        let task: Task<Result<EgressGate.Route, Refusal>, Never>
        let expires: Instant
    }

    private let gate: EgressGate
    private let memory: Duration
    private let maxRemembered: Int
    private let clock: @Sendable () -> Instant
    private var entries: [HostName: Entry] = [:]

    init(gate: EgressGate, memory: Duration, maxRemembered: Int, clock: @escaping @Sendable () -> Instant) {
        self.gate = gate
        self.clock = clock
        self.memory = memory
        self.maxRemembered = maxRemembered
    }

    func route(to name: HostName) async -> Result<EgressGate.Route, Refusal> {
        let now = clock()
        if let entry = entries[name], entry.expires > now {
            let result = await entry.task.value
            // A policy that has changed since counts at once.
            if agrees(result, with: gate.control.decideName(name, now: .now())) { return result }
        }
        if entries.count >= maxRemembered { entries = entries.filter { $0.value.expires > now } }
        if entries.count >= maxRemembered { entries.removeAll() }
        // Unstructured: several questions wait for one decision; it ends with the resolution.
        let task = Task { await gate.route(EgressAttempt(edge: .dns, host: .name(name), port: 0), to: .name(name)) }
        entries[name] = Entry(task: task, expires: now.advanced(by: memory))
        return await task.value
    }

    private func agrees(_ result: Result<EgressGate.Route, Refusal>, with decision: EgressPolicy.Decision) -> Bool {
        switch (result, decision) {
        case (.success, .allow), (.success, .learn): true
        case (.failure(let old), .refuse(let new)): old.rule == new.rule
        // Refused for its addresses, by the pipeline, or not resolved: the name's own permission has not changed.
        case (.failure(let old), .allow), (.failure(let old), .learn):
            old.stage != .policy || old.rule?.hasPrefix("egress:address:") == true
        case (.success, .refuse): false
        }
    }
}
