import KarsCore

/// Who the embedded cluster is: its certificate authority, the API server's certificate, the administrator's, and the key
/// that signs service accounts' tokens. Made at the first start and kept in a directory that only its owner may read.
///
/// Certificates are renewed at a start that finds less than `renewBefore` left; the authority is not, so that a kubeconfig
/// that was copied elsewhere goes on working for its lifetime.
struct ClusterIdentity: Sendable {
    static let lifetime = Duration.seconds(10 * 365 * 86_400)
    static let certificateLifetime = Duration.seconds(365 * 86_400)
    static let renewBefore = Duration.seconds(30 * 86_400)
    static let clusterDNSName = "kubernetes.default.svc.cluster.local"

    /// Of the cluster, its user and its context in a kubeconfig.
    static let contextName = "kars-local"

    let authorityPEM: [UInt8]
    let server: TLSContext.Identity
    let administrator: TLSContext.Identity
    let tokenKey: Ed25519.PrivateKey

    /// Reads the directory, or fills it. Blocking.
    ///
    /// - Parameter serverAddresses: besides loopback, where clients find the server (the service address inside pods).
    init(directory: String, serverAddresses: [IPAddress], now: UTCTime) throws {
        try Files.createDirectories(directory, mode: 0o700)
        let authority = try Self.authority(in: directory, now: now)
        authorityPEM = authority.issued.certificatePEM
        var request = CertificateRequest(commonName: "kube-apiserver", now: now, validFor: Self.certificateLifetime)
        request.dnsNames = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", Self.clusterDNSName]
        request.ipAddresses = [.loopbackV4, .loopbackV6] + serverAddresses
        server = try Self.certificate("apiserver", request, from: authority, in: directory, now: now)
        var admin = CertificateRequest(commonName: "kubernetes-admin", now: now, validFor: Self.certificateLifetime)
        admin.organizations = ["system:masters"]
        administrator = try Self.certificate("admin", admin, from: authority, in: directory, now: now)
        tokenKey = try Self.tokenKey(in: directory)
    }

    /// How a client in this process reaches the server at `url` and proves to be the administrator.
    func administrator(at url: String) throws -> KubernetesClientConfig {
        var config = KubernetesClientConfig(server: try HTTPURL(parsing: url))
        config.trust = .authorities(.text(authorityPEM))
        config.certificate = KubernetesClientConfig.ClientCertificate(
            chain: .text(administrator.certificateChainPEM), key: Secret(.text(administrator.privateKeyPEM.reveal())))
        return config
    }

    private static func authority(in directory: String, now: UTCTime) throws -> CertificateAuthority {
        let (certificate, key) = ("\(directory)/ca.crt", "\(directory)/ca.key")
        if let pem = try Files.readIfPresent(certificate, upTo: 64 << 10) {
            return try CertificateAuthority(certificatePEM: pem, privateKeyPEM: Secret(Files.read(key, upTo: 64 << 10)))
        }
        // What another authority issued is worth nothing with this one.
        for name in ["apiserver", "admin"] { try Files.remove("\(directory)/\(name).crt") }
        let made = try CertificateAuthority(CertificateRequest(commonName: "kars-local-ca", now: now, validFor: lifetime))
        // The key first: a certificate without one could never be used again.
        try AtomicFile.write(made.issued.privateKeyPEM.reveal(), to: key, mode: 0o600)
        try AtomicFile.write(made.issued.certificatePEM, to: certificate, mode: 0o644)
        return made
    }

    private static func certificate(
        _ name: String, _ request: CertificateRequest, from authority: CertificateAuthority, in directory: String, now: UTCTime
    ) throws -> TLSContext.Identity {
        let (certificate, key) = ("\(directory)/\(name).crt", "\(directory)/\(name).key")
        if let pem = try Files.readIfPresent(certificate, upTo: 64 << 10) {
            let stored = try TLSCertificate(pem: pem)
            let isCurrent =
                now.advanced(by: renewBefore) < stored.notAfter && stored.dnsNames == request.dnsNames
                && stored.ipAddresses == request.ipAddresses && stored.organizations == request.organizations
            if isCurrent, let keyPEM = try Files.readIfPresent(key, upTo: 64 << 10) {
                let identity = TLSContext.Identity(certificateChainPEM: pem, privateKeyPEM: Secret(keyPEM))
                // A start that ended between the two files leaves a key that is not the certificate's: both are made anew.
                if (try? TLSContext.server(identity)) != nil { return identity }
            }
        }
        let made = try authority.issue(request)
        try AtomicFile.write(made.privateKeyPEM.reveal(), to: key, mode: 0o600)
        try AtomicFile.write(made.certificatePEM, to: certificate, mode: 0o644)
        return made.identity
    }

    private static func tokenKey(in directory: String) throws -> Ed25519.PrivateKey {
        let path = "\(directory)/service-account.key"
        if let seed = try Files.readIfPresent(path, upTo: 1_024) { return try Ed25519.PrivateKey(seed: seed) }
        let key = Ed25519.PrivateKey()
        try AtomicFile.write(key.seed.reveal(), to: path, mode: 0o600)
        return key
    }

    /// A kubeconfig for the administrator, everything inside it.
    func kubeconfig(server url: String, name: String = contextName) -> JSON {
        func data(_ bytes: [UInt8]) -> JSON { .string(Base64.encode(bytes)) }
        return [
            "apiVersion": "v1", "kind": "Config", "current-context": .string(name), "preferences": [:],
            "clusters": [
                ["name": .string(name), "cluster": ["server": .string(url), "certificate-authority-data": data(authorityPEM)]]
            ],
            "contexts": [["name": .string(name), "context": ["cluster": .string(name), "user": .string(name)]]],
            "users": [
                [
                    "name": .string(name),
                    "user": [
                        "client-certificate-data": data(administrator.certificateChainPEM),
                        "client-key-data": data(administrator.privateKeyPEM.reveal()),
                    ],
                ]
            ],
        ]
    }
}
