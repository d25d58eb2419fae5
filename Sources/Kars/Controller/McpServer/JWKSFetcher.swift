import KarsCore
import Synchronization

/// Where the keys of issuers come from.
protocol KeySetSource: Sendable {
    func keys(of issuer: String) async -> Result<JSONWebKeySet, CompileFault>
}

/// Fetches keys by OpenID Connect Discovery 1.0 §4: the issuer's configuration, and the set that it names.
///
/// Whoever may write an McpServer chooses where the controller connects to, and the controller stands inside the cluster. So: https
/// only, every address of a name must be a public one and the connection goes to exactly those, no redirects, no credentials, and
/// nothing of an answer that is not a key set is shown to anybody.
final class JWKSFetcher: KeySetSource {
    static let failure = "JwksFetchFailed"

    struct Config: Sendable {
        /// Answers are used this long, failures for less.
        var lifetime = Duration.seconds(3000)
        var retry = Duration.seconds(60)
        var maxIssuers = 256

        init() {}
    }

    /// Resolves a name to all of its addresses.
    typealias Lookup = @Sendable (_ host: String) async throws -> [IPAddress]
    /// Why an address may not be contacted; nil when it may.
    typealias Refusal = @Sendable (IPAddress) -> String?

    private let config: Config
    private let client: HTTPClient
    private let lookup: Lookup
    private let refusal: Refusal
    private let time: any TimeSource
    private let known = Mutex<[String: (result: Result<JSONWebKeySet, CompileFault>, until: Instant)]>([:])

    /// `client` must verify certificates against the machine's authorities. Only public addresses are
    /// contacted, unless `refusal` says otherwise.
    init(
        config: Config = Config(), client: HTTPClient, time: any TimeSource,
        lookup: @escaping Lookup = { try await Resolver.shared.resolve($0) },
        refusal: @escaping Refusal = { AddressPolicy().refusal(of: $0) }
    ) {
        self.config = config
        self.client = client
        self.lookup = lookup
        self.refusal = refusal
        self.time = time
    }

    func keys(of issuer: String) async -> Result<JSONWebKeySet, CompileFault> {
        let now = time.now()
        if let entry = known.withLock({ $0[issuer] }), entry.until > now { return entry.result }
        let result: Result<JSONWebKeySet, CompileFault>
        do throws(CompileFault) { result = .success(try await fetch(issuer)) } catch { result = .failure(error) }
        let lifetime = if case .success = result { config.lifetime } else { config.retry }
        known.withLock { known in
            if known.count >= config.maxIssuers { known = known.filter { $0.value.until > now } }
            guard known.count < config.maxIssuers else { return }
            // A little before the next look, which is to be a new question.
            known[issuer] = (result, now.advanced(by: lifetime - .seconds(1)))
        }
        return result
    }

    private func fetch(_ issuer: String) async throws(CompileFault) -> JSONWebKeySet {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        let configuration: JSON
        let bytes = try await document(base + "/.well-known/openid-configuration")
        do throws(JSONError) {
            configuration = try JSON(parsing: bytes, limits: JSONLimits(maxBytes: JSONWebKeySet.maxBytes, maxDepth: 16))
        } catch {
            throw Self.fault("invalid_jwks_format", "the issuer's configuration: \(error)")
        }
        // One that speaks for another issuer would have that one's tokens accepted as this one's (§4.3).
        guard configuration["issuer"]?.stringValue == issuer else {
            throw Self.fault("invalid_jwks_format", "the issuer's configuration is for another issuer")
        }
        guard let address = configuration["jwks_uri"]?.stringValue else {
            throw Self.fault("invalid_jwks_format", "the issuer's configuration has no jwks_uri")
        }
        return try JSONWebKeySet(parsing: try await document(address))
    }

    private func document(_ text: String) async throws(CompileFault) -> [UInt8] {
        let url: HTTPURL
        do throws(HTTPURL.ParseError) { url = try HTTPURL(parsing: text) } catch {
            throw Self.fault("invalid_jwks_format", "\(text.prefix(256)): \(error)")
        }
        guard url.scheme == .https else { throw Self.fault("tls", "\(url.host): expected an https address") }
        let address = try await address(of: url)
        var status = 0
        do throws(HTTPClientError) {
            let response = try await client.send(
                HTTPClientRequest(
                    url: url, headers: ["accept": "application/json"],
                    timeouts: HTTPClientTimeouts(connect: .seconds(10), firstByte: .seconds(10), idle: .seconds(10)),
                    connectTo: address))
            status = response.status
            if status == 200 { return try await response.body(upTo: JSONWebKeySet.maxBytes) }
        } catch {
            throw Self.fault(Self.errorClass(error), "\(url.host): \(error.reason)")
        }
        throw Self.fault("http_status", "\(url.host): status \(status)")
    }

    /// The address to connect to. All that the name has must be allowed: with one that is not among them, somebody plays with names.
    private func address(of url: HTTPURL) async throws(CompileFault) -> SocketAddress {
        var all: [IPAddress]
        if let literal = IPAddress(url.host) {
            all = [literal]
        } else {
            do { all = try await lookup(url.host) } catch { throw Self.fault("dns", "\(url.host): \(error)") }
        }
        for address in all {
            if let reason = refusal(address) {
                throw Self.fault("dns", "\(url.host) is at an address that is not public (\(reason)): it is not asked for keys")
            }
        }
        guard let first = all.first else { throw Self.fault("dns", "\(url.host) has no address") }
        return SocketAddress(first, port: url.port)
    }

    /// `timeout`, `dns`, `tls`, `http_status` or `invalid_jwks_format` (spec/controller 5), and why.
    private static func fault(_ errorClass: String, _ reason: String) -> CompileFault {
        CompileFault(failure, "\(errorClass): \(reason)")
    }

    private static func errorClass(_ error: HTTPClientError) -> String {
        switch error.code {
        case .connectTimedOut, .firstByteTimedOut, .idleTimedOut, .sendTimedOut: "timeout"
        case .resolutionFailed: "dns"
        case .tlsFailed: "tls"
        default: "http_status"
        }
    }
}
