import KarsCore

/// Gives each namespace what it begins with, and empties those that go away before it lets go of them.
struct NamespaceController: Sendable {
    /// Between two looks at a namespace in which something remains: what holds it may be of any kind.
    private static let interval = Duration.seconds(1)

    private let loop: RoundLoop<ObjectKey>

    /// `certificate` is the PEM of the cluster's authority.
    init(_ informers: SharedInformers, certificate: String, log: Log) {
        let rounds = NamespaceRounds(api: informers.api, time: informers.time, certificate: certificate, interval: Self.interval)
        loop = RoundLoop(time: informers.time, log: log.with(["kind": "Namespace"])) { (key) async throws(APIStatus) in
            try await rounds.round(key)
        }
        let loop = loop
        informers.informer(.namespaces, view: .metadata).addHandler { loop.add($0.key) }
        // Only their loss is of interest; that a change brings up the namespace too does no harm.
        for (resource, name) in [
            (GroupVersionResource.serviceAccounts, "default"), (.configMaps, NamespaceContents.certificateName),
        ] {
            informers.informer(resource, view: .metadata).addHandler { change in
                guard change.key.name == name, let namespace = change.key.namespace else { return }
                loop.add(ObjectKey(name: namespace))
            }
        }
    }

    func run() async { await loop.run() }
}

private struct NamespaceRounds: Sendable {
    let api: any KubernetesAPI
    let time: any TimeSource
    let certificate: String
    let interval: Duration

    func round(_ key: ObjectKey) async throws(APIStatus) -> Duration? {
        guard let namespace = try await api.objectIfPresent(.get(.namespaces, name: key.name)) else { return nil }
        if namespace.isBeingDeleted { return try await terminate(namespace) }
        let account = try await api.objectIfPresent(.get(.serviceAccounts, namespace: key.name, name: "default"))
        let bundle = try await api.objectIfPresent(
            .get(.configMaps, namespace: key.name, name: NamespaceContents.certificateName))
        for change in NamespaceContents.changes(in: key.name, account: account, bundle: bundle, certificate: certificate) {
            do throws(APIStatus) { _ = try await api.send(change) } catch {
                // Made by somebody else meanwhile, or the namespace goes away: its own change brings it up again.
                guard error.reason == .alreadyExists || error.isAboutTermination else { throw error }
            }
        }
        return nil
    }

    private func terminate(_ namespace: JSONObject) async throws(APIStatus) -> Duration? {
        let finalizers = namespace["spec"]?["finalizers"]?.arrayValue ?? []
        guard finalizers.contains("kubernetes") else { return nil }
        let termination = try await emptied(namespace.name)
        if termination.isComplete {
            var finalized = namespace
            finalized["spec"] = ["finalizers": .array(finalizers.filter { $0 != "kubernetes" })]
            do throws(APIStatus) {
                _ = try await api.send(.update(.namespaces, finalized, subresource: "finalize"))
            } catch {
                guard error.reason == .notFound else { throw error }
            }
            return nil
        }
        let status = termination.status(of: namespace, now: time.utc())
        if status != namespace["status"] {
            _ = try await api.send(
                .patchStatus(.namespaces, name: namespace.name, status, ControllerManager.writeOptions))
        }
        return interval
    }

    /// Deletes everything, pods before all else so that what they use outlives them (KEP-5080), and tells what is left.
    private func emptied(_ namespace: String) async throws(APIStatus) -> NamespaceTermination {
        var termination = NamespaceTermination()
        let resources: [ResourceDescription]
        do throws(APIStatus) { resources = NamespaceTermination.resources(try await api.discover()) } catch {
            if error.isTransient { throw error }
            termination.discoveryFailure = error.message
            return termination
        }
        try await empty(resources.filter { $0.resource == .pods }, in: namespace, &termination)
        guard termination.remaining.isEmpty else { return termination }
        try await empty(resources.filter { $0.resource != .pods }, in: namespace, &termination)
        return termination
    }

    private func empty(
        _ resources: [ResourceDescription], in namespace: String, _ termination: inout NamespaceTermination
    ) async throws(APIStatus) {
        for description in resources {
            let resource = description.resource
            do throws(APIStatus) {
                var present = try await api.list(resource, namespace: namespace).items
                let doomed = present.filter { !$0.isBeingDeleted }
                for object in doomed {
                    do throws(APIStatus) {
                        _ = try await api.send(
                            .delete(
                                resource, namespace: namespace, name: object.name,
                                DeleteOptions(uid: object.uid, propagation: .background)))
                    } catch {
                        guard error.reason == .notFound || error.reason == .conflict else { throw error }
                    }
                }
                if !doomed.isEmpty { present = try await api.list(resource, namespace: namespace).items }
                termination.add(present, of: resource)
            } catch {
                // A definition that went away meanwhile has taken its objects with it.
                if error.reason == .notFound { continue }
                if error.isTransient { throw error }
                termination.failures.append("\(resource.qualified): \(error.message)")
            }
        }
    }
}

extension APIStatus {
    /// Refused because the namespace goes away.
    fileprivate var isAboutTermination: Bool { causes.contains { $0.reason == "NamespaceTerminating" } || reason == .notFound }
}
