import KarsCore
import KarsTesting
import Testing

@Suite struct `Kube config` {
    private let text = """
        apiVersion: v1
        kind: Config
        current-context: main
        preferences: {}
        clusters:
        - name: one
          cluster:
            server: https://one.example.com:6443/k8s/clusters/c-1
            certificate-authority-data: \(Base64.encode(Array("PEM".utf8)))
            tls-server-name: kubernetes
            proxy-url: http://me:p%40ss@proxy.example.com:3128
        - name: open
          cluster: {server: "http://127.0.0.1:8080", insecure-skip-tls-verify: true}
        users:
        - name: cert
          user: {client-certificate: pki/me.crt, client-key: /etc/me.key}
        - name: token
          user: {token: t0ken, tokenFile: /ignored, as: alice, as-groups: [dev], as-user-extra: {scopes: [a, b]}}
        - name: file
          user: {tokenFile: run/token}
        - name: basic
          user: {username: u, password: p}
        - name: plugin
          user:
            exec:
              apiVersion: client.authentication.k8s.io/v1
              command: bin/login
              args: [--cluster, one]
              env: [{name: A, value: b}]
              provideClusterInfo: true
              interactiveMode: IfAvailable
              installHint: get it at example.com
        - name: old
          user: {auth-provider: {name: gcp}}
        - name: half
          user: {client-certificate-data: "QQ=="}
        contexts:
        - name: main
          context: {cluster: one, user: cert, namespace: work}
        - name: token
          context: {cluster: open, user: token}
        - {name: file, context: {cluster: one, user: file}}
        - {name: basic, context: {cluster: one, user: basic}}
        - {name: plugin, context: {cluster: one, user: plugin}}
        - {name: old, context: {cluster: one, user: old}}
        - {name: half, context: {cluster: one, user: half}}
        - {name: dangling, context: {cluster: nowhere, user: cert}}
        """

    private func config() throws -> KubeConfig { try KubeConfig(parsing: Array(text.utf8), path: "/home/me/.kube/config") }

    @Test func `the current context joins a cluster and a user`() throws {
        let config = try config().clientConfig()
        #expect(config.server == HTTPURL(scheme: .https, host: "one.example.com", port: 6443, target: "/k8s/clusters/c-1"))
        #expect(config.trust == .authorities(.text(Array("PEM".utf8))))
        #expect(config.tlsServerName == "kubernetes" && config.namespace == "work")
        #expect(config.proxy == HTTPProxy(host: "proxy.example.com", port: 3128, user: "me", password: Secret("p@ss")))
        // Relative to the file, as kubectl does.
        #expect(config.certificate?.chain == .file("/home/me/.kube/pki/me.crt"))
        #expect(config.certificate?.key.reveal() == .file("/etc/me.key"))
    }

    @Test func `credentials of every kind`() throws {
        let config = try config()
        let token = try config.clientConfig(context: "token")
        guard case .token(let secret) = token.credential else { Issue.record("expected a token"); return }
        #expect(secret.reveal() == "t0ken" && token.trust == .unverified && token.namespace == "default")
        #expect(token.impersonation?.user == "alice" && token.impersonation?.groups == ["dev"])
        #expect(token.impersonation?.extra == ["scopes": ["a", "b"]])
        guard case .tokenFile("/home/me/.kube/run/token") = try config.clientConfig(context: "file").credential else {
            Issue.record("expected a token file")
            return
        }
        guard case .basic("u", let password) = try config.clientConfig(context: "basic").credential else {
            Issue.record("expected a password")
            return
        }
        #expect(password.reveal() == "p")
    }

    @Test func `an exec plugin gets what it asked for`() throws {
        guard case .plugin(let plugin) = try config().clientConfig(context: "plugin").credential else {
            Issue.record("expected a plugin")
            return
        }
        #expect(plugin.command == "/home/me/.kube/bin/login" && plugin.arguments == ["--cluster", "one"])
        #expect(plugin.environment.map(\.name) == ["A"] && plugin.installHint == "get it at example.com")
        #expect(plugin.request["spec"]?["cluster"]?["server"] == "https://one.example.com:6443/k8s/clusters/c-1")
        #expect(plugin.request["spec"]?["interactive"] == false)
    }

    private func refusal(_ body: () throws(KubeConfigError) -> Void) -> String {
        do throws(KubeConfigError) { try body() } catch { return error.reason }
        return ""
    }

    @Test func `what cannot be used is refused when it is chosen, and says why`() throws {
        let config = try config()
        let reason = { (context: String) in
            refusal { () throws(KubeConfigError) in _ = try config.clientConfig(context: context) }
        }
        #expect(reason("old").contains("auth-provider gcp was removed"))
        #expect(reason("half").contains("client-certificate and client-key belong together"))
        #expect(reason("dangling").contains("cluster nowhere, which is not there"))
        #expect(reason("none").contains("there are basic, dangling, file"))
        #expect(refusal { () throws(KubeConfigError) in _ = try KubeConfig().clientConfig() }.contains("no current-context"))
    }

    @Test(arguments: [
        ("clusters: [{name: a, cluster: {server: 5}}]", "f: clusters[0].cluster: server: expected text"),
        ("clusters: [{name: a, cluster: {}}]", "f: clusters[0].cluster: server is required"),
        ("clusters: [{cluster: {server: x}}]", "f: clusters[0]: name is required"),
        (
            "clusters: [{name: a, cluster: {server: x, insecure-skip-tls-verify: true, certificate-authority: f}}]",
            "f: clusters[0].cluster: insecure-skip-tls-verify and certificate-authority exclude one another"
        ),
        (
            "clusters: [{name: a, cluster: {server: x, certificate-authority-data: '***'}}]",
            "f: clusters[0].cluster: certificate-authority-data: expected Base64"
        ),
        ("users: {}", "f: users: expected a list of objects"),
        (
            "users: [{name: a, user: {exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: x}}}]",
            "f: users[0].user.exec: apiVersion client.authentication.k8s.io/v1alpha1: "
                + "expected client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1"
        ),
    ])
    func `a file that makes no sense says where`(text: String, expected: String) {
        let reason = refusal { () throws(KubeConfigError) in _ = try KubeConfig(parsing: Array(text.utf8), path: "f") }
        #expect(reason == expected)
    }

    @Test(arguments: ["https://p:1", "http://p:1/path", "http://a:b%zz@p:1", "socks5://p:1"])
    func `a proxy that is no plain tunnel is refused, without showing what may be its password`(url: String) {
        let text =
            "current-context: c\nclusters: [{name: a, cluster: {server: 'https://h', proxy-url: '\(url)'}}]\n"
            + "contexts: [{name: c, context: {cluster: a}}]"
        let reason = refusal { () throws(KubeConfigError) in
            _ = try KubeConfig(parsing: Array(text.utf8), path: "f").clientConfig()
        }
        #expect(reason == "kubeconfig: cluster a: proxy-url: expected http://[user:password@]host[:port]")
    }

    @Test func `of several files whoever says something first is right`() throws {
        try withTemporaryDirectory { directory in
            let first = "current-context: x\nusers: [{name: u, user: {token: one}}]"
            let second =
                "current-context: other\nusers: [{name: u, user: {token: two}}]\n"
                + "clusters: [{name: c, cluster: {server: 'http://h'}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]"
            try AtomicFile.write(Array(first.utf8), to: "\(directory)/1", mode: 0o600)
            try AtomicFile.write(Array(second.utf8), to: "\(directory)/2", mode: 0o600)
            let whole = try KubeConfig.load(paths: ["\(directory)/1", "\(directory)/absent", "\(directory)/2"])
            guard case .token(let token) = try whole.clientConfig().credential else { Issue.record("expected a token"); return }
            #expect(token.reveal() == "one")
        }
    }

    @Test func `in a pod the service account's files are used`() throws {
        try withTemporaryDirectory { directory in
            try AtomicFile.write(Array("kars-demo\n".utf8), to: "\(directory)/namespace", mode: 0o600)
            let config = try KubernetesClientConfig.inCluster(host: "fd00::1", port: "443", directory: directory)
            #expect(config.server == HTTPURL(scheme: .https, host: "fd00::1", port: 443))
            #expect(config.namespace == "kars-demo" && config.trust == .authorities(.file("\(directory)/ca.crt")))
            #expect(throws: KubeConfigError.self) {
                try KubernetesClientConfig.inCluster(host: "h", port: "443", directory: "\(directory)/absent")
            }
        }
    }
}

@Suite struct `Credential plugins` {
    private func answer(_ json: String) throws(APIStatus) -> CredentialPlugin.Answer {
        try CredentialPlugin(command: "login").answer(reading: Array(json.utf8))
    }

    @Test func `a token with its end`() throws {
        let text = #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","#
        let answer = try answer(text + #""status":{"token":"s","expirationTimestamp":"2030-01-01T00:00:00Z"}}"#)
        #expect(answer.token?.reveal() == "s" && answer.expiry == UTCTime(rfc3339: "2030-01-01T00:00:00Z"))
        let pair = try self.answer(text + #""status":{"clientCertificateData":"C","clientKeyData":"K"}}"#)
        #expect(pair.certificate?.certificateChainPEM == Array("C".utf8) && pair.token == nil)
    }

    @Test(arguments: [
        "", "{}", #"{"kind":"ExecCredential"}"#,
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"secret"}}"#,
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"}"#,
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":""}}"#,
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"clientKeyData":"secret"}}"#,
        #"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"secret","expirationTimestamp":"soon"}}"#,
    ])
    func `other answers are refused without being quoted`(text: String) {
        do throws(APIStatus) {
            _ = try answer(text)
            Issue.record("expected a refusal")
        } catch {
            #expect(error.reason == .noCredentials && !error.message.contains("secret"))
        }
    }
}
