import KarsCore

/// The hosts that a KarsSandbox names in its specification, as `kars policy allow` and `deny` edit them: read, changed and written back
/// under the version that was read, so that no other edit is lost.
struct AllowlistEdit: Sendable {
    let cluster: ClusterConnection
    let name: String

    /// Times that somebody else may come first.
    private static let maxAttempts = 5

    func edit(_ change: (inout Allowlist) throws -> Void) async throws {
        for attempt in 1...Self.maxAttempts {
            let sandbox = try await ClusterSandbox.existing(name, in: cluster)
            let network = sandbox.sandbox.spec.networkPolicy
            guard network?.allowlistRef == nil else {
                throw CommandFailure(
                    .refusedByPolicy,
                    "the allow list of '\(name)' is a signed document (spec.networkPolicy.allowlistRef), and only that counts",
                    advice: "Sign and publish a new one, or remove allowlistRef.")
            }
            var list = try Self.read(network, of: name)
            let before = list.rules
            try change(&list)
            guard list.rules != before else { return }
            let patch: JSON = [
                "metadata": ["resourceVersion": sandbox.object.metadata["resourceVersion"] ?? .null],
                "spec": ["networkPolicy": ["allowedEndpoints": list.json]],
            ]
            let isDone = try await cluster.ask("changing the allow list of '\(name)'") { api in
                do throws(APIStatus) {
                    _ = try await api.send(
                        .patch(
                            .merge, KarsSandbox.kind.resource, namespace: cluster.namespace, name: name, patch,
                            WriteOptions(fieldManager: ClusterConnection.fieldManager, fieldValidation: .strict)))
                    return true
                } catch {
                    guard error.reason == .conflict, attempt < Self.maxAttempts else { throw error }
                    return false
                }
            }
            if isDone { return }
        }
    }

    static func read(_ network: KarsSandbox.Network?, of name: String) throws -> Allowlist {
        do {
            return Allowlist(
                rules: try (network?.allowedEndpoints ?? []).map { endpoint in
                    try EgressRule(host: endpoint.host, port: UInt16(exactly: endpoint.port) ?? 443)
                })
        } catch {
            throw CommandFailure(.failed, "the allow list of KarsSandbox '\(name)' cannot be read: \(error)")
        }
    }
}
