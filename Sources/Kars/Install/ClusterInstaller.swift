import KarsCore

/// Puts manifests into a cluster, and takes them out again. Doing it twice is doing it once.
struct ClusterInstaller: Sendable {
    /// What became of one object.
    enum Outcome: String, Sendable, CaseIterable {
        case created, configured, unchanged
        /// It was there already and belongs to its owner now.
        case kept
        /// The cluster has no such kind and can do without.
        case skipped
        case deleted, absent
    }

    struct Result: Sendable, Equatable {
        var manifest: Manifest
        var outcome: Outcome
    }

    static let fieldManager = "kars-install"

    let api: any KubernetesAPI
    let time: any TimeSource
    /// The server checks everything and keeps nothing.
    var isDryRun = false
    /// How long definitions may take to be served, or to be gone with everything of their kinds.
    var patience = Duration.seconds(120)

    // MARK: - In

    /// Applies `manifests`: definitions first and at once, and when their kinds are served the others, in their order.
    ///
    /// - Parameter others: what is installed along with them, earlier: a dry run left its definitions unserved.
    func install(_ manifests: [Manifest], with others: [Manifest] = []) async throws(APIStatus) -> [Result] {
        let served = Set(try await api.discover().resources.map(\.resource))
        func definitions(_ manifests: [Manifest]) -> Set<String> {
            Set(manifests.filter { $0.resource == .customResourceDefinitions }.map(\.object.name))
        }
        let defined = definitions(manifests), promised = definitions(others + manifests)
        // Definitions need nothing of each other, and others may need them.
        var results = try await applyAtOnce(manifests.filter { $0.resource == .customResourceDefinitions })
        if !isDryRun { try await waitUntilServed(defined) }
        for manifest in manifests where manifest.resource != .customResourceDefinitions {
            guard served.contains(manifest.resource) || promised.contains(manifest.resource.qualified) else {
                guard manifest.isOptional else {
                    throw APIStatus(
                        code: 0, reason: .notFound,
                        message: "the cluster does not serve \(manifest.resource.qualified), which \(manifest.title) needs")
                }
                results.append(Result(manifest: manifest, outcome: .skipped))
                continue
            }
            results.append(Result(manifest: manifest, outcome: try await apply(manifest)))
        }
        return results
    }

    private func applyAtOnce(_ manifests: [Manifest]) async throws(APIStatus) -> [Result] {
        let outcomes = await withTaskGroup(of: (Int, Swift.Result<Outcome, APIStatus>).self) { group in
            for (index, manifest) in manifests.enumerated() {
                group.addTask {
                    let outcome: Swift.Result<Outcome, APIStatus>
                    do throws(APIStatus) { outcome = .success(try await apply(manifest)) } catch { outcome = .failure(error) }
                    return (index, outcome)
                }
            }
            var outcomes: [Int: Swift.Result<Outcome, APIStatus>] = [:]
            for await (index, outcome) in group { outcomes[index] = outcome }
            return outcomes
        }
        var results: [Result] = []
        for (index, manifest) in manifests.enumerated() {
            guard let outcome = outcomes[index] else { continue }
            results.append(Result(manifest: manifest, outcome: try outcome.get()))
        }
        return results
    }

    private func apply(_ manifest: Manifest) async throws(APIStatus) -> Outcome {
        let object = manifest.object
        let before = try await api.objectIfPresent(.get(manifest.resource, namespace: object.namespace, name: object.name))
        if before != nil, manifest.isSeed { return .kept }
        var request = KubernetesRequest.apply(manifest.resource, object, fieldManager: Self.fieldManager)
        if isDryRun { request["dryRun"] = "All" }
        let after: JSONObject
        do throws(APIStatus) { after = try await api.object(request) } catch {
            // A dry run made no namespace and no kind for this to be in.
            if isDryRun, before == nil, error.reason == .notFound { return .created }
            var failure = error
            failure.message = "\(manifest.title): \(error.message)"
            throw failure
        }
        guard let before else { return .created }
        if isDryRun { return Self.says(before, after) ? .unchanged : .configured }
        return before.resourceVersion == after.resourceVersion ? .unchanged : .configured
    }

    /// Whether both mean the same, beyond who wrote it when.
    private static func says(_ before: JSONObject, _ after: JSONObject) -> Bool {
        func content(_ object: JSONObject) -> JSONObject {
            var object = object
            for key in ["managedFields", "resourceVersion", "generation"] { object.metadata[key] = nil }
            return object
        }
        return content(before) == content(after)
    }

    private func waitUntilServed(_ definitions: Set<String>) async throws(APIStatus) {
        for name in definitions.sorted() {
            try await wait(for: name, or: "\(name) is not served") { definition in
                (definition?["status"]?["conditions"]?.arrayValue ?? []).contains {
                    $0["type"] == "Established" && $0["status"] == "True"
                }
            }
        }
    }

    // MARK: - Out

    /// Deletes `manifests` in the opposite order. With definitions, returns when they are gone with everything of their kinds, which
    /// comes first: until then the controller has to be there to finalize.
    func uninstall(_ manifests: [Manifest]) async throws(APIStatus) -> [Result] {
        let served = Set(try await api.discover().resources.map(\.resource))
        let definitions = manifests.filter { $0.resource == .customResourceDefinitions }
        var results = try await delete(definitions, served)
        if !isDryRun {
            for definition in definitions {
                let name = definition.object.name
                try await wait(for: name, or: "\(name) still has objects that are not finalized; is the controller running?") {
                    $0 == nil
                }
            }
        }
        results += try await delete(manifests.filter { $0.resource != .customResourceDefinitions }.reversed(), served)
        return results
    }

    private func delete(_ manifests: [Manifest], _ served: Set<GroupVersionResource>) async throws(APIStatus) -> [Result] {
        var results: [Result] = []
        for manifest in manifests {
            guard served.contains(manifest.resource) else {
                results.append(Result(manifest: manifest, outcome: .absent))
                continue
            }
            var options = DeleteOptions(propagation: .background)
            options.isDryRun = isDryRun
            let request = KubernetesRequest.delete(
                manifest.resource, namespace: manifest.object.namespace, name: manifest.object.name, options)
            do throws(APIStatus) {
                _ = try await api.send(request)
                results.append(Result(manifest: manifest, outcome: .deleted))
            } catch {
                guard error.reason == .notFound else { throw error }
                results.append(Result(manifest: manifest, outcome: .absent))
            }
        }
        return results
    }

    // MARK: - Waiting

    private static let pause = Duration.milliseconds(100)

    /// Asks for a definition until `holds`, or fails with `complaint`.
    private func wait(
        for name: String, or complaint: String, until holds: (JSONObject?) -> Bool
    ) async throws(APIStatus) {
        let end = time.now().advanced(by: patience)
        let request = KubernetesRequest.get(.customResourceDefinitions, name: name)
        while !holds(try await api.objectIfPresent(request)) {
            guard time.now() < end else {
                throw APIStatus(code: 0, reason: .timeout, message: "\(complaint) (waited \(patience))")
            }
            do throws(CancellationError) { try await time.sleep(for: Self.pause) } catch { throw .cancelled() }
        }
    }
}
