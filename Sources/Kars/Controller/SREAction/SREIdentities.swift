import KarsCore

/// Acts as one of the repair accounts for the time of a few requests.
protocol SREIdentities: Sendable {
    /// Runs `body` with an API on which it is `account`, of the operator's namespace.
    func acting<Result: Sendable>(
        as account: String, _ body: @Sendable (any KubernetesAPI) async throws(APIStatus) -> Result
    ) async throws(APIStatus) -> Result
}

/// With a token that the API server issues for this and that lives as short as it allows. Nothing of the controller's own credentials
/// goes along.
struct TokenIdentities: SREIdentities {
    /// The shortest that a TokenRequest may ask for. What the writer's token is worth ends before: with its Role.
    static let tokenSeconds = 600

    /// As the controller.
    let api: any KubernetesAPI
    let cluster: KubernetesClientConfig
    let namespace: String
    let group: EventLoopGroup
    /// Whether this process still leads.
    let holds: @Sendable () -> Bool

    func acting<Result: Sendable>(
        as account: String, _ body: @Sendable (any KubernetesAPI) async throws(APIStatus) -> Result
    ) async throws(APIStatus) -> Result {
        let answer = try await api.object(
            .token(namespace: namespace, serviceAccount: account, expirationSeconds: Self.tokenSeconds))
        guard let token = answer["status"]?["token"]?.stringValue, !token.isEmpty else {
            throw .malformedAnswer("a token request for \(account) was answered without a token")
        }
        let client = KubernetesClient(Self.config(cluster, bearing: Secret(token)), group: group)
        do throws(APIStatus) {
            let result = try await body(FencedAPI(client, while: holds))
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    /// The same server, and nobody but who bears `token`.
    static func config(_ cluster: KubernetesClientConfig, bearing token: Secret<String>) -> KubernetesClientConfig {
        var config = cluster
        config.certificate = nil
        config.impersonation = nil
        config.credential = .token(token)
        return config
    }
}
