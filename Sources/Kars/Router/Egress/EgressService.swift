import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What egress takes from the environment.
struct EgressSettings: Sendable {
    /// `EGRESS_PERMITTED_PREFIXES`, a comma-separated list of CIDR prefixes outside the public range that may be contacted,
    /// default none. Loopback, link-local, metadata and multicast addresses can never be permitted.
    /// `EGRESS_REFUSED_PREFIXES`: prefixes that never may, for clusters whose own ranges are public addresses.
    var addresses = AddressPolicy()
    /// `EGRESS_ALLOW_ENCRYPTED_HELLO`, default false: let TLS with Encrypted Client Hello pass by its outer name.
    var toleratesEncryptedHello = false
    /// Names under the machine's search domains, which resolvers try on their own; from /etc/resolv.conf.
    var searchDomains: [String] = []

    init() {}

    init(reading reader: inout EnvironmentReader) {
        var lists: [[IPPrefix]] = []
        for key in ["EGRESS_PERMITTED_PREFIXES", "EGRESS_REFUSED_PREFIXES"] {
            let (prefixes, problems) = AddressPolicy.prefixes(parsing: reader.text(key, or: ""))
            for problem in problems { reader.report("\(key): \(problem)") }
            lists.append(prefixes)
        }
        addresses = AddressPolicy(permitted: lists[0], refused: lists[1])
        toleratesEncryptedHello = reader.flag("EGRESS_ALLOW_ENCRYPTED_HELLO", or: false)
    }

    /// The domains of `search` and `domain` lines (resolv.conf(5)).
    static func searchDomains(parsing text: [UInt8]) -> [String] {
        String(decoding: text, as: UTF8.self).split(whereSeparator: \.isNewline).flatMap { line -> [String] in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard let keyword = words.first, keyword == "search" || keyword == "domain" else { return [] }
            // What is no host name is searched by no resolver.
            return words.dropFirst().compactMap { (try? HostName($0))?.text }
        }
    }
}

/// The egress side of a router: proxy and resolver, on loopback in both families, because a redirected IPv6 connection
/// arrives on ::1.
final class EgressService: Sendable {
    private let proxies: [TCPListener]
    private let resolvers: [DNSServer.Listeners]
    /// On IPv4; with the ports that the kernel chose for port 0.
    let proxyAddress: SocketAddress
    let dnsAddress: SocketAddress

    /// Listens on 127.0.0.1 and, where the machine has it, ::1. Connections in flight end with `close`.
    static func start(
        control: EgressControl, judge: any EgressJudge, settings: EgressSettings, proxyPort: UInt16, dnsPort: UInt16,
        group: EventLoopGroup, tunnels: Gauge? = nil, log: Log
    ) async throws(SocketError) -> EgressService {
        var gateConfig = EgressGate.Config()
        gateConfig.addresses = settings.addresses
        gateConfig.quietSuffixes += settings.searchDomains
        let gate = EgressGate(control: control, config: gateConfig, judge: judge)
        var proxyConfig = EgressProxy.Config()
        proxyConfig.toleratesEncryptedHello = settings.toleratesEncryptedHello
        let proxy = EgressProxy(gate: gate, config: proxyConfig, group: group, tunnels: tunnels, log: log)
        let stub = DNSStub(gate: gate, group: group)

        var proxies: [TCPListener] = []
        var resolvers: [DNSServer.Listeners] = []
        do throws(SocketError) {
            proxies.append(try await proxy.bind(SocketAddress(.loopbackV4, port: proxyPort)))
            let proxyAddress = proxies[0].address ?? SocketAddress(.loopbackV4, port: proxyPort)
            resolvers.append(try await stub.bind(SocketAddress(.loopbackV4, port: dnsPort)))
            let dnsAddress = resolvers[0].address
            do throws(SocketError) {
                proxies.append(try await proxy.bind(SocketAddress(.loopbackV6, port: proxyAddress.port)))
                resolvers.append(try await stub.bind(SocketAddress(.loopbackV6, port: dnsAddress.port)))
            } catch  where error.code == EADDRNOTAVAIL || error.code == EAFNOSUPPORT {
                log.info("egress.ipv6.absent", ["reason": .string(error.description)])
            }
            return EgressService(proxies, resolvers, proxyAddress, dnsAddress)
        } catch {
            for listener in proxies { await listener.close() }
            for listener in resolvers { await listener.close() }
            throw error
        }
    }

    private init(
        _ proxies: [TCPListener], _ resolvers: [DNSServer.Listeners], _ proxyAddress: SocketAddress, _ dnsAddress: SocketAddress
    ) {
        self.proxies = proxies
        self.resolvers = resolvers
        self.proxyAddress = proxyAddress
        self.dnsAddress = dnsAddress
    }

    /// Accepts no more and ends what is running.
    func close() async {
        for listener in proxies { await listener.close() }
        for listener in resolvers { await listener.close() }
    }
}
