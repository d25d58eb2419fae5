/// Everything a client must know about one cluster and about us there. Made by `KubeConfig`, by `inCluster`, or by hand.
package struct KubernetesClientConfig: Sendable {
    /// PEM text, or where it is. Files are read when they are needed, so that one that is replaced is noticed.
    package enum PEMSource: Sendable, Equatable {
        case text([UInt8])
        case file(String)
    }

    package enum Trust: Sendable, Equatable {
        case system
        case authorities(PEMSource)
        /// Only when a person asked for it: `insecure-skip-tls-verify`.
        case unverified
    }

    package struct ClientCertificate: Sendable {
        package var chain: PEMSource
        package var key: Secret<PEMSource>

        package init(chain: PEMSource, key: Secret<PEMSource>) {
            self.chain = chain
            self.key = key
        }
    }

    /// What goes into `Authorization`.
    package enum Credential: Sendable {
        case none
        case token(Secret<String>)
        /// A token that somebody replaces now and then; read again every `tokenFileLifetime`.
        case tokenFile(String)
        case basic(user: String, password: Secret<String>)
        case plugin(CredentialPlugin)
    }

    /// Act as somebody else, which the server allows or not.
    package struct Impersonation: Sendable, Equatable {
        package var user: String
        package var uid: String?
        package var groups: [String] = []
        package var extra: [String: [String]] = [:]

        package init(user: String) { self.user = user }
    }

    /// Scheme, host, port and, where a gateway serves several clusters, the beginning of every path.
    package var server: HTTPURL
    package var trust = Trust.system
    /// What the server's certificate must be for when that is not the host.
    package var tlsServerName: String?
    package var proxy: HTTPProxy?
    package var certificate: ClientCertificate?
    package var credential = Credential.none
    package var impersonation: Impersonation?
    /// Where objects go when nobody says otherwise.
    package var namespace = "default"

    /// The first part is who changed what in `managedFields`.
    package var userAgent = "kars"
    /// An answer with more is refused; watches and logs are not counted.
    package var maxResponseBytes = 64 << 20
    package var timeouts = HTTPClientTimeouts(connect: .seconds(10), firstByte: .seconds(60), idle: .seconds(60))
    /// How often a request is sent again when the server says 429, or 5xx with a time to come back.
    package var maxThrottleRetries = 5
    /// A server that asks for a longer pause gets the failure to its caller at once.
    package var maxRetryAfter = Duration.seconds(30)
    /// Token files are read again after this long (as client-go does; the kubelet replaces them at 80 % of their life).
    package var tokenFileLifetime = Duration.seconds(60)

    package init(server: HTTPURL) { self.server = server }

    /// Where the kubelet puts a service account's credentials.
    package static let serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount"

    /// For a program in a pod. `host` and `port` are `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. Blocking: reads the
    /// namespace.
    package static func inCluster(
        host: String, port: String, directory: String = serviceAccountDirectory
    ) throws(KubeConfigError) -> KubernetesClientConfig {
        let name = host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host
        let url: HTTPURL
        do throws(HTTPURL.ParseError) { url = try HTTPURL(parsing: "https://\(name):\(port)") } catch {
            throw KubeConfigError("KUBERNETES_SERVICE_HOST and _PORT (\(host), \(port)) name no server: \(error)")
        }
        var config = KubernetesClientConfig(server: url)
        config.trust = .authorities(.file("\(directory)/ca.crt"))
        config.credential = .tokenFile("\(directory)/token")
        do throws(FileError) {
            let namespace = try Files.read("\(directory)/namespace", upTo: 1024)
            config.namespace = String(decoding: namespace, as: UTF8.self).trimmingWhitespace()
        } catch {
            throw KubeConfigError("not in a pod with a service account: \(error)")
        }
        return config
    }
}

/// A kubeconfig, or what stands for one, that cannot be used.
package struct KubeConfigError: Error, Equatable, CustomStringConvertible {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }

    package var description: String { reason }
}
