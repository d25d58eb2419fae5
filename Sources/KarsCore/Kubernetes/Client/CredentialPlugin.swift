/// A program that hands out credentials (client-go credential plugins, API group client.authentication.k8s.io).
package struct CredentialPlugin: Sendable {
    package enum Version: String, Sendable, CaseIterable {
        case v1 = "client.authentication.k8s.io/v1"
        case v1beta1 = "client.authentication.k8s.io/v1beta1"
    }

    package var version: Version
    package var command: String
    package var arguments: [String] = []
    /// On top of our own environment.
    package var environment: [(name: String, value: String)] = []
    /// What to tell somebody who has not got the program.
    package var installHint: String?
    package var wantsClusterInfo = false
    package var cluster: JSONObject?
    package var needsTerminal = false

    package init(version: Version = .v1, command: String) {
        self.version = version
        self.command = command
    }

    /// The environment variable that carries `request`.
    package static let requestVariable = "KUBERNETES_EXEC_INFO"

    /// `ExecCredential` as the plugin gets it.
    package var request: JSON {
        var spec: JSONObject = ["interactive": false]
        if wantsClusterInfo { spec["cluster"] = cluster.map(JSON.object) }
        return ["apiVersion": .string(version.rawValue), "kind": "ExecCredential", "spec": .object(spec)]
    }

    /// What a plugin answered.
    package struct Answer: Sendable {
        package var token: Secret<String>?
        package var certificate: TLSContext.Identity?
        /// Nil: good until the server refuses it.
        package var expiry: UTCTime?
    }

    /// Reads what the program wrote to its standard output. Messages never quote it.
    package func answer(reading output: [UInt8]) throws(APIStatus) -> Answer {
        let failure = { (reason: String) in APIStatus.noCredentials("the credential plugin \(command) \(reason)") }
        guard let json = try? JSON(parsing: output), json["kind"]?.stringValue == "ExecCredential" else {
            throw failure("answered something else than an ExecCredential")
        }
        guard json["apiVersion"]?.stringValue == version.rawValue else {
            throw failure("answered in another version than \(version.rawValue)")
        }
        guard let status = json["status"], status.objectValue != nil else { throw failure("answered without status") }
        var answer = Answer()
        answer.token = status["token"]?.stringValue.flatMap { $0.isEmpty ? nil : Secret($0) }
        switch (status["clientCertificateData"]?.stringValue, status["clientKeyData"]?.stringValue) {
        case (let chain?, let key?):
            answer.certificate = .init(certificateChainPEM: Array(chain.utf8), privateKeyPEM: Secret(Array(key.utf8)))
        case (nil, nil): break
        case (nil, _?), (_?, nil): throw failure("answered with a certificate or a key, not both")
        }
        guard answer.token != nil || answer.certificate != nil else {
            throw failure("answered with neither token nor certificate")
        }
        if let text = status["expirationTimestamp"]?.stringValue {
            guard let expiry = UTCTime(rfc3339: text) else { throw failure("answered with an unreadable expirationTimestamp") }
            answer.expiry = expiry
        }
        return answer
    }
}

/// Starts credential plugins. Programs are run by the layer above; a test answers by itself.
package protocol CredentialPluginRunner: Sendable {
    /// Runs `plugin.command` with `plugin.request` in `KUBERNETES_EXEC_INFO` and returns its standard output. What it throws becomes
    /// the reason why there are no credentials, so it must hold nothing secret.
    func run(_ plugin: CredentialPlugin) async throws -> [UInt8]
}
