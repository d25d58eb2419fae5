import KarsCore
import Synchronization

/// The name server of the cluster: its own names from a snapshot, all others from the machine's name servers.
final class ClusterNameServer: Sendable {
    struct Config: Sendable {
        /// Time to live of the cluster's names, in seconds: they change at once, and clients may be late by this much.
        var ttlSeconds: UInt32 = 5
        /// Longest UDP answer whatever the client says: what fits every path (DNS flag day 2020).
        var maxUDPBytes = 1_232
        var serving = DNSServer.Config()
    }

    private let config: Config
    private let group: EventLoopGroup
    private let forwarder: DNSForwarder
    private let names: Mutex<ClusterNames>

    init(domain: String, config: Config = Config(), forwarder: DNSForwarder, group: EventLoopGroup) {
        self.config = config
        self.group = group
        self.forwarder = forwarder
        names = Mutex(ClusterNames(NetworkState(), pods: [:], domain: domain))
    }

    func update(_ names: ClusterNames) { self.names.withLock { $0 = names } }

    /// Takes both sockets over.
    func serve(datagrams: Int32, streams: Int32) async throws(SocketError) -> DNSServer.Listeners {
        let server = DNSServer(config: config.serving) { await self.answer($0, overUDP: $1, client: $2) }
        return try await server.adopt(datagrams: datagrams, streams: streams, on: group)
    }

    /// nil for what deserves no answer.
    func answer(_ message: [UInt8], overUDP: Bool, client: IPAddress) async -> [UInt8]? {
        do throws(DNSQuery.Problem) {
            let query = try DNSQuery(parsing: message[...])
            let answer = query.recordClass == 1 ? query.name.map { name in names.withLock { $0.answer(name, query.type) } } : nil
            let response: DNSResponse
            switch answer {
            case nil, .elsewhere:
                if let answer = await forwarder.forward(message, overUDP: overUDP, client: client) { return answer }
                response = DNSResponse(
                    .serverFailure, explanation: .init(code: 22, text: "no name server of the machine answered"))
            case .absent: response = DNSResponse(.nameError)
            case .records(let records):
                // Each client begins with another one.
                let start = records.isEmpty ? 0 : Int(query.id) % records.count
                let turned = Array(records[start...] + records[..<start])
                response = DNSResponse(.noError, answers: turned.map { DNSAnswer($0) }, ttl: config.ttlSeconds)
            case .alias(let target): response = await resolve(target, for: query)
            }
            let limit = overUDP ? min(query.udpPayload ?? 512, config.maxUDPBytes) : 65_535
            return response.encoded(answering: query, maxBytes: limit)
        } catch {
            switch error {
            case .notAQuery: return nil
            case .malformed(let id, _): return DNSResponse.error(.formatError, id: id)
            case .notImplemented(let id, _): return DNSResponse.error(.notImplemented, id: id)
            }
        }
    }

    /// The alias and, because resolvers in pods do not follow one by themselves, what is behind it.
    private func resolve(_ target: HostName, for query: DNSQuery) async -> DNSResponse {
        let alias = DNSAnswer(.alias(target))
        guard query.type == .a || query.type == .aaaa else {
            return DNSResponse(.noError, answers: [alias], ttl: config.ttlSeconds)
        }
        let local = names.withLock { $0.answer(target, query.type) }
        if case .records(let records) = local {
            return DNSResponse(.noError, answers: [alias] + records.map { DNSAnswer($0, of: target) }, ttl: config.ttlSeconds)
        }
        // An alias of the cluster for another one of the cluster ends here, so that two of them do not go round.
        guard local == .elsewhere else { return DNSResponse(.nameError, answers: [alias], ttl: config.ttlSeconds) }
        do throws(Resolver.Failure) {
            let addresses = try await Resolver.shared.resolve(target.text).filter { $0.isV6 == (query.type == .aaaa) }
            let found = addresses.map { DNSAnswer(.address($0), of: target) }
            return DNSResponse(.noError, answers: [alias] + found, ttl: config.ttlSeconds)
        } catch {
            switch error {
            case .notFound: return DNSResponse(.nameError, answers: [alias], ttl: config.ttlSeconds)
            case .failed, .tooManyWaiting: return DNSResponse(.serverFailure)
            }
        }
    }
}
