import KarsCore

/// POST to `pods/NAME/binding`: says which node a pod runs on. Once and for all.
extension ObjectRequest {
    func bind(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try WriteParameters(query, kind: "CreateOptions")
        let binding = try Self.decode(body, type)
        guard let node = binding["target"]?["name"]?.stringValue, !node.isEmpty else {
            throw .invalid(group: "", kind: "Binding", name: info.name ?? "", [.required("target.name")])
        }
        guard ["", "Node"].contains(binding["target"]?["kind"]?.stringValue ?? "") else {
            throw .invalid(
                group: "", kind: "Binding", name: info.name ?? "",
                [.notSupported("target.kind", binding["target"]?["kind"] ?? .null, supported: ["Node", "<empty>"])])
        }
        let key = try key()
        while true {
            guard let live = context.store.get(key) else { throw .notFound(name, name: key.name) }
            var pod = resource.served(live.json)
            try Self.check(pod, takes: node, uid: binding["metadata"]?["uid"]?.stringValue)
            pod["spec", default: .object(JSONObject())].setMember("nodeName", .string(node))
            var conditions = StatusConditions(pod["status"])
            conditions.replace([
                "type": "PodScheduled", "status": "True", "lastProbeTime": nil, "lastTransitionTime": .string(info.now.rfc3339),
            ])
            pod["status", default: .object(JSONObject())].setMember("conditions", conditions.json ?? [])
            let old = resource.served(live.json)
            for phase in [AdmissionPhase.mutating, .validating] { _ = try await context.admit(&pod, old: old, info, phase) }
            if options.isDryRun { return Self.success }
            let change = Mutation.Change.put(ObjectLayout.arranged(resource.stored(pod)))
            switch try await context.commit([Mutation(key: live.key, expected: .revision(live.revision), change: change)]) {
            case .done: return Self.success
            case .conflict: continue
            }
        }
    }

    /// registry/core/pod `setPodNodeAndMetadata`.
    private static func check(_ pod: JSONObject, takes node: String, uid: String?) throws(APIStatus) {
        func conflict(_ why: String) -> APIStatus {
            .conflict(GroupVersionResource(group: "", version: "v1", resource: "pods/binding"), name: pod.name, why)
        }
        if let uid, !uid.isEmpty, uid != pod.uid {
            throw conflict("Precondition failed: UID in precondition: \(uid), UID in object meta: \(pod.uid ?? "")")
        }
        if pod.isBeingDeleted { throw conflict("pod \(pod.name) is being deleted, cannot be assigned to a host") }
        let present = pod["spec"]?["nodeName"]?.stringValue ?? ""
        if !present.isEmpty { throw conflict("pod \(pod.name) is already assigned to node \"\(present)\"") }
        if !(pod["spec"]?["schedulingGates"]?.arrayValue ?? []).isEmpty {
            throw conflict("pod \(pod.name) has non-empty .spec.schedulingGates")
        }
    }

    private static var success: APIAnswer {
        APIAnswer(status: 201, .json(["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201]))
    }
}
