import KarsCore
import Synchronization

/// What came of asking a router.
enum RouterAnswer: Equatable, Sendable {
    case report(RouterReport)
    /// Nobody answered; for people.
    case silent(String)
    /// Somebody answered who is not believed: another certificate, another sandbox, nonsense, or our token was refused.
    case disbelieved(String)

    /// Whether anybody is there at all.
    var isThere: Bool { if case .silent = self { false } else { true } }
}

/// Asks routers what they enforce.
protocol RouterProbe: Sendable {
    func ask(_ sandbox: String) async -> RouterAnswer
    /// The sandbox is gone, or its keys may have changed: nothing is kept for it.
    func forget(_ sandbox: String)
}

/// Asks over TLS on the operator plane. The router proves itself by the certificate, and we by the token, that are in the Secret of that
/// sandbox and nowhere else; so neither another sandbox's router nor anybody in between can answer for it.
final class OperatorPlaneProbe: RouterProbe {
    /// From dialling to the last byte: what answers slower is as good as silent.
    private static let limit = Duration.seconds(5)
    private static let step = Duration.seconds(3)

    private let api: any KubernetesAPI
    private let dialer: any RouterDialer
    private let group: EventLoopGroup
    private let time: any TimeSource
    /// Of the sandboxes that were asked lately, with the connections that are kept to them.
    private let known = Mutex<[String: Access]>([:])

    private struct Access: Sendable {
        var token: Secret<String>
        var client: HTTPClient
    }

    init(through api: any KubernetesAPI, dialer: any RouterDialer, group: EventLoopGroup, time: any TimeSource) {
        self.api = api
        self.dialer = dialer
        self.group = group
        self.time = time
    }

    func forget(_ sandbox: String) { known.withLock { $0[sandbox] = nil } }

    func ask(_ sandbox: String) async -> RouterAnswer {
        let answer = await withTaskGroup(of: RouterAnswer?.self) { group in
            group.addTask { await self.exchange(with: sandbox) }
            group.addTask {
                // Cancelled when the answer is there first.
                try? await self.time.sleep(for: Self.limit)
                return nil
            }
            defer { group.cancelAll() }
            return await group.next() ?? nil
        }
        return answer ?? .silent("no answer within \(Self.limit.components.seconds) s")
    }

    private func exchange(with sandbox: String) async -> RouterAnswer {
        let address = RouterAddress(sandbox: sandbox)
        do throws(APIStatus) {
            let access = try await access(to: address)
            do throws(HTTPClientError) {
                return try await send(to: address, access)
            } catch {
                // Also when the keys were renewed: the next time they are read anew.
                forget(sandbox)
                return error.code == .tlsFailed ? .disbelieved("\(error.reason)") : .silent(error.reason)
            }
        } catch {
            return .silent(error.message)
        }
    }

    private func send(to address: RouterAddress, _ access: Access) async throws(HTTPClientError) -> RouterAnswer {
        let response = try await access.client.send(
            HTTPClientRequest(
                url: HTTPURL(
                    scheme: .https, host: address.host, port: RouterAddress.port, target: "/internal/policy-status"),
                headers: ["authorization": "Bearer \(access.token.reveal())", "accept": "application/json"],
                connect: dialer.connection(to: address)))
        let body = try await response.body(upTo: RouterReport.maxBytes)
        guard response.status == 200 else {
            forget(address.sandbox)
            return .disbelieved("status \(response.status)")
        }
        do throws(RouterReport.Fault) { return .report(try RouterReport(parsing: body, from: address.sandbox)) } catch {
            return .disbelieved("\(error)")
        }
    }

    private func access(to address: RouterAddress) async throws(APIStatus) -> Access {
        if let access = known.withLock({ $0[address.sandbox] }) { return access }
        let name = SandboxObjectNames(sandbox: address.sandbox).routerSecret
        let secret = try await api.object(.get(.secrets, namespace: address.namespace, name: name))
        func content(_ key: String) throws(APIStatus) -> [UInt8] {
            guard let text = secret["data"]?[key]?.stringValue, let bytes = Base64.decode(text), !bytes.isEmpty else {
                throw .unreachable("Secret \(address.namespace)/\(name) has no \(key)")
            }
            return bytes
        }
        let token = String(decoding: try content("admin-token"), as: UTF8.self).trimmingWhitespace()
        let certificate = try content("tls.crt")
        let tls: TLSContext
        do throws(TLSError) {
            tls = try TLSContext.client(trust: .pinned(fingerprint: TLSCertificate(pem: certificate).fingerprint))
        } catch {
            throw .unreachable("Secret \(address.namespace)/\(name): tls.crt: \(error.reason)")
        }
        var config = HTTPClientConfig()
        config.timeouts = HTTPClientTimeouts(connect: Self.step, firstByte: Self.step, idle: Self.step)
        config.maxConnectionsPerOrigin = 1
        let access = Access(token: Secret(token), client: HTTPClient(config: config, group: group, tls: tls))
        known.withLock { $0[address.sandbox] = access }
        return access
    }
}
