import KarsCore
import Synchronization

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
    private let inFlight = Atomic<Int>(0)

    init(
        gate: EgressGate, config: Config = Config(), group: EventLoopGroup, clock: @escaping @Sendable () -> Instant = Instant.now
    ) {
        self.config = config
        self.group = group
        names = DNSNames(gate: gate, memory: config.memory, maxRemembered: config.maxRemembered, clock: clock)
    }

    /// Both transports on one address.
    struct Listeners: Sendable {
        let datagrams: DatagramSocket
        let streams: TCPListener
        var address: SocketAddress { datagrams.address }

        func close() async {
            await datagrams.close()
            await streams.close()
        }
    }

    func bind(_ address: SocketAddress) async throws(SocketError) -> Listeners {
        let datagrams = try await DatagramSocket.bind(address, on: group.next()) { socket, bytes, sender in
            self.receive(bytes, from: sender, on: socket)
        }
        do throws(SocketError) {
            var listening = ListenerConfig()
            listening.maxConnections = config.maxConnections
            let streams = try await TCPListener.bind(datagrams.address, config: listening, group: group) { await self.serve($0) }
            return Listeners(datagrams: datagrams, streams: streams)
        } catch {
            await datagrams.close()
            throw error
        }
    }

    private func receive(_ bytes: [UInt8], from sender: SocketAddress, on socket: DatagramSocket) {
        guard inFlight.add(1, ordering: .relaxed).newValue <= config.maxInFlight else {
            inFlight.subtract(1, ordering: .relaxed)
            return
        }
        // Unstructured: it bridges from the socket's callback; bounded by `maxInFlight` and ends by itself.
        Task {
            if let answer = await self.answer(bytes, overUDP: true) { socket.send(answer, to: sender) }
            self.inFlight.subtract(1, ordering: .relaxed)
        }
    }

    /// Messages with a length before each (RFC 1035 §4.2.2), one after another.
    private func serve(_ client: ByteStream) async {
        var bytes: [UInt8] = []
        while true {
            while bytes.count >= 2, case let end = 2 + (Int(bytes[0]) << 8 | Int(bytes[1])), bytes.count >= end {
                let message = Array(bytes[2..<end])
                bytes.removeFirst(end)
                guard let answer = await answer(message, overUDP: false) else { return }
                do throws(StreamError) {
                    try await client.write([UInt8(answer.count >> 8), UInt8(answer.count & 255)] + answer, within: config.idle)
                } catch {
                    return
                }
            }
            guard let more = try? await client.read(within: config.idle) else {
                // Ended, broken or silent: all that is left is what the kernel has not taken yet.
                _ = try? await client.flush(within: config.idle)
                return
            }
            bytes += more
        }
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
