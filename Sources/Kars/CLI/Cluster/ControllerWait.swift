import KarsCore

/// Until a cluster that was just started has kars: its kinds are served and its controller leads.
struct ControllerWait: Sendable {
    static let lease = "kars-controller-leader"
    private static let interval = Duration.milliseconds(50)

    let cluster: ClusterConnection

    func wait(within limit: Duration) async throws {
        let end = Instant.now().advanced(by: limit)
        while try await !isReady() {
            guard Instant.now() < end else {
                throw CommandFailure(
                    .failed, "no controller leads in \(cluster.label) after \(limit.components.seconds) s",
                    advice:
                        "A cluster that was started without one gets it by `kars local stop` and `kars local start --with-controller`."
                )
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    private func isReady() async throws -> Bool {
        do {
            let lease = try await cluster.ask("looking for the controller") { api in
                try await api.objectIfPresent(.get(.leases, namespace: cluster.namespace, name: Self.lease))
            }
            guard let holder = lease?["spec"]?["holderIdentity"]?.stringValue, !holder.isEmpty else { return false }
            _ = try await cluster.list(KarsSandbox.self)
            return true
        } catch let failure as CommandFailure where failure.status == .usage {
            // The kinds are not served yet.
            return false
        }
    }
}
