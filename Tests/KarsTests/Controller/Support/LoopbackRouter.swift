import KarsCore
import KarsTesting
import Synchronization

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The policy half of a real router: files, reloader, and the operator plane behind TLS on this machine's loopback.
struct LoopbackRouter {
    static let token = "0123456789abcdef0123456789abcdef"

    let directory: String
    let certificatePEM: [UInt8]
    let reloader: PolicyReloader
    let store: PolicyStore
    let egress: EgressControl
    let server: HTTPServer
    let port: UInt16

    /// `name` is what the router says it is.
    init(_ directory: String, name: String, group: EventLoopGroup, clock: @escaping @Sendable () -> UTCTime = UTCTime.now)
        async throws
    {
        self.directory = directory
        for part in ["profiles", "inference", "memory", "egress", "approvals"] {
            try Files.createDirectories("\(directory)/\(part)", mode: 0o700)
        }
        let fixture = try RouterFixture("\(directory)/state", backend: DemoBackend(), environment: ["SANDBOX_NAME": name])
        store = fixture.pipeline.policies
        egress = try EgressControl(EgressControl.Config(sandbox: name, statePath: nil))
        reloader = PolicyReloader(
            sandbox: name,
            paths: RouterConfig.PolicyPaths(
                profiles: "\(directory)/profiles", inference: "\(directory)/inference", memory: "\(directory)/memory",
                allowlist: "\(directory)/egress", approvals: "\(directory)/approvals", blockList: "\(directory)/none",
                blockListEnabled: false, learnsEgress: false, pollInterval: .milliseconds(20)),
            store: store, egress: egress, metrics: RouterMetrics(in: Metrics(), sandbox: name, models: []), log: .silent,
            clock: clock)
        let issued = try SelfSigned.issue(
            CertificateRequest(commonName: "router", dnsNames: ["router"], now: .now(), validFor: .seconds(3600)))
        certificatePEM = issued.certificatePEM
        let plane = OperatorPlane(
            token: OperatorToken(Secret(Array(Self.token.utf8))), pipeline: fixture.pipeline, egress: egress,
            budget: fixture.budget, health: fixture.health, config: fixture.config, traces: TraceIDs(), log: .silent)
        let context = try TLSContext.server(
            TLSContext.Identity(certificateChainPEM: issued.certificatePEM, privateKeyPEM: issued.privateKeyPEM))
        server = HTTPServer(tls: context, handler: plane, group: group)
        port = try await server.bind(SocketAddress(.loopbackV4, port: 0)).port
    }

    /// Puts files where the router looks for them, and has it look.
    func mount(_ part: String, _ files: [String: String]) throws {
        for (name, text) in files { try AtomicFile.write(Array(text.utf8), to: "\(directory)/\(part)/\(name)", mode: 0o600) }
        reloader.loadAll()
    }

    /// The Secret that the controller keeps of it.
    func secret(_ sandbox: String, token: String = token, certificate: [UInt8]? = nil) -> JSONObject {
        let secret = SecretObject(
            metadata: ObjectMetadata(name: SandboxObjectNames(sandbox: sandbox).routerSecret, namespace: "kars-\(sandbox)"),
            data: ["admin-token": Secret(Array(token.utf8)), "tls.crt": Secret(certificate ?? certificatePEM)])
        return secret.jsonWithContent().objectValue ?? [:]
    }
}

/// Every sandbox's router is at one port of this machine.
struct LoopbackDialer: RouterDialer {
    let port: UInt16

    func connection(to router: RouterAddress) -> (@Sendable () async throws -> CInt)? { { [port] in try Self.dial(port) } }

    private static func dial(_ port: UInt16) throws -> CInt {
        let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let code = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard code == 0 else {
            close(descriptor)
            throw StreamError(.connectFailed, "errno \(errno)")
        }
        return descriptor
    }
}
