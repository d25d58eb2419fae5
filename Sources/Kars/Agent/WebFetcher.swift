import KarsCore

/// `http_fetch`: one request through the router's egress proxy, redirects not followed, body bounded.
///
/// The proxy is asked openly rather than relying on the transparent redirect, because its refusal then names the rule.
struct WebFetcher: Sendable {
    private let tunnel: ProxyTunnel
    private let client: HTTPClient

    init(proxy: SocketAddress, group: EventLoopGroup) {
        tunnel = ProxyTunnel(proxy: proxy)
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: .seconds(30), firstByte: .seconds(30), idle: .seconds(30))
        client = HTTPClient(config: config, group: group)
    }

    func fetch(url text: String, method name: String, body: String?, maxBytes: Int) async throws -> String {
        let url: HTTPURL
        do {
            url = try HTTPURL(parsing: text)
        } catch {
            return "error: '\(text)' is no http or https URL: \(error)"
        }
        let connection: CInt
        do {
            connection = try await tunnel.open(host: url.host, port: url.port)
        } catch let refused as ProxyTunnel.Refused {
            return refused.description
        }
        let response = try await client.send(
            HTTPClientRequest(
                method: HTTPMethod(name.uppercased()), url: url,
                headers: HTTPHeaders([("Accept", "*/*"), ("User-Agent", "kars")]),
                body: body.map { .bytes(Array($0.utf8)) } ?? .none, connect: { connection }))
        var bytes: [UInt8] = []
        while bytes.count <= maxBytes, let part = try await response.nextBodyPart() { bytes += part }
        let isCut = bytes.count > maxBytes
        if isCut { response.cancel() }
        let content = String(validating: bytes.prefix(maxBytes), as: UTF8.self) ?? "(\(bytes.count) bytes that are no UTF-8 text)"
        return "status \(response.status)\n\(content)\(isCut ? "\n… (cut after \(maxBytes) bytes)" : "")"
    }
}
