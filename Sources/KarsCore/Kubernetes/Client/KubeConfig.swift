/// One or several kubeconfig files: clusters, users, and contexts that join one of each.
///
/// Reading resolves nothing and opens no other file. Fields that change nothing for us (preferences, extensions,
/// `disable-compression`) are not looked at; ways to log in that we do not speak are refused when their user is chosen.
package struct KubeConfig: Sendable {
    package struct Cluster: Sendable {
        package var server: String
        package var trust = KubernetesClientConfig.Trust.system
        package var tlsServerName: String?
        package var proxyURL: String?
        /// As the plugin protocol passes it on, where a plugin asks for it.
        fileprivate var authorities: [UInt8]?
    }

    package struct User: Sendable {
        package var certificate: KubernetesClientConfig.ClientCertificate?
        package var credential = KubernetesClientConfig.Credential.none
        package var impersonation: KubernetesClientConfig.Impersonation?
        /// Why this user cannot be used; found while reading, said when it is chosen.
        fileprivate var refusal: String?
    }

    package struct Context: Sendable, Equatable {
        package var cluster: String
        package var user: String
        package var namespace: String?
    }

    package private(set) var clusters: [String: Cluster] = [:]
    package private(set) var users: [String: User] = [:]
    package private(set) var contexts: [String: Context] = [:]
    package private(set) var currentContext: String?

    package init() {}

    /// `path` names the file in messages, and relative paths in it begin at its directory.
    package init(parsing text: [UInt8], path: String) throws(KubeConfigError) {
        let documents: [JSON]
        do throws(YAMLError) { documents = try YAML.parse(text, file: path) } catch {
            throw KubeConfigError("kubeconfig \(error)")
        }
        guard documents.count <= 1 else { throw KubeConfigError("kubeconfig \(path): expected one document") }
        let root = KubeConfigReader(documents.first ?? .object(JSONObject()), path: path)
        currentContext = try root.text("current-context").flatMap { $0.isEmpty ? nil : $0 }
        for (name, entry) in try root.named("clusters", "cluster") where clusters[name] == nil {
            clusters[name] = try Cluster(reading: entry)
        }
        for (name, entry) in try root.named("users", "user") where users[name] == nil { users[name] = try User(reading: entry) }
        for (name, entry) in try root.named("contexts", "context") where contexts[name] == nil {
            contexts[name] = Context(
                cluster: try entry.text("cluster") ?? "", user: try entry.text("user") ?? "",
                namespace: try entry.text("namespace"))
        }
    }

    /// Reads the files that exist, as kubectl does with `KUBECONFIG`: whoever says something first is right. Blocking.
    package static func load(paths: [String]) throws(KubeConfigError) -> KubeConfig {
        var whole = KubeConfig()
        for path in paths {
            let text: [UInt8]?
            do throws(FileError) { text = try Files.readIfPresent(path, upTo: 8 << 20) } catch {
                throw KubeConfigError("kubeconfig \(error)")
            }
            if let text { whole.add(try KubeConfig(parsing: text, path: path)) }
        }
        return whole
    }

    /// Takes what `other` says and this does not.
    package mutating func add(_ other: KubeConfig) {
        clusters.merge(other.clusters) { first, _ in first }
        users.merge(other.users) { first, _ in first }
        contexts.merge(other.contexts) { first, _ in first }
        if currentContext == nil { currentContext = other.currentContext }
    }

    /// What `context`, by default the current one, says to a client.
    package func clientConfig(context: String? = nil) throws(KubeConfigError) -> KubernetesClientConfig {
        guard let name = context ?? currentContext else {
            throw KubeConfigError("kubeconfig: no current-context; choose one of \(list(contexts.keys))")
        }
        guard let context = contexts[name] else {
            throw KubeConfigError("kubeconfig: no context \(name); there are \(list(contexts.keys))")
        }
        guard let cluster = clusters[context.cluster] else {
            throw KubeConfigError("kubeconfig: context \(name) names cluster \(context.cluster), which is not there")
        }
        let user = context.user.isEmpty ? User() : users[context.user]
        guard let user else {
            throw KubeConfigError("kubeconfig: context \(name) names user \(context.user), which is not there")
        }
        if let refusal = user.refusal { throw KubeConfigError("kubeconfig: user \(context.user): \(refusal)") }
        var config = try cluster.clientConfig(named: context.cluster)
        config.certificate = user.certificate
        config.credential = user.credential
        if case .plugin(var plugin) = user.credential, plugin.wantsClusterInfo {
            plugin.cluster = cluster.pluginInfo
            config.credential = .plugin(plugin)
        }
        config.impersonation = user.impersonation
        if let namespace = context.namespace, !namespace.isEmpty { config.namespace = namespace }
        return config
    }

    private func list(_ names: some Collection<String>) -> String {
        names.isEmpty ? "none" : names.sorted().joined(separator: ", ")
    }
}

// MARK: - Clusters

extension KubeConfig.Cluster {
    fileprivate init(reading entry: KubeConfigReader) throws(KubeConfigError) {
        server = try entry.requiredText("server")
        tlsServerName = try entry.text("tls-server-name")
        proxyURL = try entry.text("proxy-url")
        let bundle = try entry.pem("certificate-authority")
        guard try entry.flag("insecure-skip-tls-verify") else {
            if let bundle { trust = .authorities(bundle) }
            if case .text(let bytes) = bundle { authorities = bytes }
            return
        }
        guard bundle == nil else {
            throw KubeConfigError("\(entry.place): insecure-skip-tls-verify and certificate-authority exclude one another")
        }
        trust = .unverified
    }

    fileprivate func clientConfig(named name: String) throws(KubeConfigError) -> KubernetesClientConfig {
        let url: HTTPURL
        do throws(HTTPURL.ParseError) { url = try HTTPURL(parsing: server) } catch {
            throw KubeConfigError("kubeconfig: cluster \(name): server \(server): \(error)")
        }
        var config = KubernetesClientConfig(server: url)
        config.trust = trust
        config.tlsServerName = tlsServerName.flatMap { $0.isEmpty ? nil : $0 }
        if let proxyURL, !proxyURL.isEmpty { config.proxy = try Self.proxy(proxyURL, of: name) }
        return config
    }

    /// `http://[user[:password]@]host[:port]`.
    private static func proxy(_ text: String, of cluster: String) throws(KubeConfigError) -> HTTPProxy {
        // The text may hold a password and is not shown.
        let refusal = KubeConfigError("kubeconfig: cluster \(cluster): proxy-url: expected http://[user:password@]host[:port]")
        guard text.hasPrefix("http://") else { throw refusal }
        var rest = text.dropFirst(7)
        var user: String?
        var password: String?
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = PercentEncoding.decode(parts[0]) else { throw refusal }
            user = name
            if parts.count == 2 {
                guard let decoded = PercentEncoding.decode(parts[1]) else { throw refusal }
                password = decoded
            }
            rest = rest[rest.index(after: at)...]
        }
        guard let url = try? HTTPURL(parsing: "http://\(rest)"), url.target == "/" else { throw refusal }
        return HTTPProxy(host: url.host, port: url.port, user: user, password: password.map { Secret($0) })
    }

    /// `ExecCredential.spec.cluster`.
    fileprivate var pluginInfo: JSONObject {
        var info: JSONObject = ["server": .string(server)]
        info["tls-server-name"] = tlsServerName.map(JSON.string)
        if trust == .unverified { info["insecure-skip-tls-verify"] = true }
        info["certificate-authority-data"] = authorities.map { .string(Base64.encode($0)) }
        info["proxy-url"] = proxyURL.map(JSON.string)
        return info
    }
}

// MARK: - Users

extension KubeConfig.User {
    fileprivate init(reading entry: KubeConfigReader) throws(KubeConfigError) {
        let chain = try entry.pem("client-certificate")
        let key = try entry.pem("client-key")
        switch (chain, key) {
        case (let chain?, let key?): certificate = .init(chain: chain, key: Secret(key))
        case (nil, nil): break
        case (nil, _?), (_?, nil): refusal = "client-certificate and client-key belong together"
        }
        // In kubectl's order: a token beats a file with one, though the file is the better idea.
        if let token = try entry.text("token"), !token.isEmpty {
            credential = .token(Secret(token))
        } else if let file = try entry.path("tokenFile") {
            credential = .tokenFile(file)
        } else if let user = try entry.text("username"), !user.isEmpty {
            credential = .basic(user: user, password: Secret(try entry.text("password") ?? ""))
        } else if let plugin = try entry.object("exec") {
            credential = .plugin(try CredentialPlugin(reading: plugin))
        } else if let provider = try entry.object("auth-provider") {
            let name = try provider.text("name") ?? ""
            refusal = "auth-provider \(name) was removed from Kubernetes 1.26; use an exec plugin"
        }
        if let user = try entry.text("as"), !user.isEmpty {
            var who = KubernetesClientConfig.Impersonation(user: user)
            who.uid = try entry.text("as-uid")
            who.groups = try entry.texts("as-groups")
            if let extra = try entry.object("as-user-extra") {
                for key in extra.keys { who.extra[key] = try extra.texts(key) }
            }
            impersonation = who
        }
    }
}

extension CredentialPlugin {
    fileprivate init(reading entry: KubeConfigReader) throws(KubeConfigError) {
        let version = try entry.requiredText("apiVersion")
        guard let version = Version(rawValue: version) else {
            let known = Version.allCases.map(\.rawValue).joined(separator: " or ")
            throw KubeConfigError("\(entry.place): apiVersion \(version): expected \(known)")
        }
        self.init(version: version, command: try entry.program("command"))
        arguments = try entry.texts("args")
        for variable in try entry.objects("env") {
            environment.append((try variable.requiredText("name"), try variable.text("value") ?? ""))
        }
        installHint = try entry.text("installHint")
        wantsClusterInfo = try entry.flag("provideClusterInfo")
        // `Never` and `IfAvailable` are the same for us: a plugin never gets our standard input.
        needsTerminal = try entry.text("interactiveMode") == "Always"
    }
}

extension PercentEncoding {
    /// Nil for a broken triplet or what is not UTF-8 afterwards.
    static func decode(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == 0x25 else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexDigitValue, let low = rest.popFirst()?.hexDigitValue else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
