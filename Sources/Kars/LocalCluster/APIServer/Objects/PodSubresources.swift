import KarsCore

/// What is asked of a Pod other than by writing it: eviction, and binding to a node.
extension ObjectRequest {
    /// POST of an `Eviction` (policy/v1): a deletion that a disruption budget could refuse. The local cluster has none.
    func evict(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let eviction = try subresourceObject(body, type, of: "Eviction")
        var options = try DeleteParameters(eviction["deleteOptions"]?.objectValue ?? JSONObject())
        options.isDryRun = try WriteParameters(query, kind: "CreateOptions").isDryRun || options.isDryRun
        _ = try await delete(try key(), options)
        return APIAnswer(
            status: 201, .json(["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201]))
    }

    /// POST of a `Binding` (core/v1): says which node a Pod runs on, once and for all.
    func bind(_ body: [UInt8], _ type: MediaType) async throws(APIStatus) -> APIAnswer {
        let options = try WriteParameters(query, kind: "CreateOptions")
        let binding = try subresourceObject(body, type, of: "Binding")
        guard let node = binding["target"]?["name"]?.stringValue, !node.isEmpty else {
            throw .invalid(group: "", kind: "Binding", name: binding.name, [.required("target.name")])
        }
        if let kind = binding["target"]?["kind"]?.stringValue, !["", "Node"].contains(kind) {
            throw .invalid(
                group: "", kind: "Binding", name: binding.name,
                [.notSupported("target.kind", .string(kind), supported: ["Node", ""])])
        }
        _ = try await change(
            options, manager: options.fieldManager ?? WriteParameters.manager(from: userAgent), createsAbsent: false
        ) { (pod) throws(APIStatus) in
            guard let pod else { throw .notFound(name, name: info.name ?? "") }
            return DesiredState(object: try bound(pod, to: node, annotations: binding.metadata["annotations"]?.objectValue))
        }
        return APIAnswer(
            status: 201, .json(["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Success", "code": 201]))
    }

    private func bound(
        _ pod: JSONObject, to node: String, annotations: JSONObject?
    ) throws(APIStatus) -> JSONObject {
        func refusal(_ reason: String) -> APIStatus {
            var status = APIStatus(
                code: 409, reason: .conflict,
                message: "Operation cannot be fulfilled on pods/binding \(JSON.string(pod.name)): \(reason)")
            status.name = pod.name
            status.kind = "pods/binding"
            return status
        }
        if pod.isBeingDeleted { throw refusal("pod \(pod.name) is being deleted, cannot be assigned to a host") }
        if let taken = pod["spec"]?["nodeName"]?.stringValue, !taken.isEmpty {
            throw refusal("pod \(pod.name) is already assigned to node \(JSON.string(taken))")
        }
        if pod["spec"]?["schedulingGates"]?.arrayValue?.isEmpty == false {
            throw refusal("pod \(pod.name) has non-empty .spec.schedulingGates")
        }
        var bound = pod
        bound["spec", default: .object(JSONObject())].setMember("nodeName", .string(node))
        if let annotations {
            var all = pod.metadata["annotations"]?.objectValue ?? JSONObject()
            for (name, value) in annotations { all[name] = value }
            bound.metadata["annotations"] = .object(all)
        }
        var conditions = (pod["status"]?["conditions"]?.arrayValue ?? []).filter { $0["type"] != "PodScheduled" }
        conditions.append(
            [
                "type": "PodScheduled", "status": "True", "lastProbeTime": .null, "lastTransitionTime": .string(info.now.rfc3339),
            ])
        bound["status", default: .object(JSONObject())].setMember("conditions", .array(conditions))
        return bound
    }

    /// The body of a subresource that is an object of a kind of its own and names the object in the path, or nothing.
    private func subresourceObject(_ body: [UInt8], _ type: MediaType, of kind: String) throws(APIStatus) -> JSONObject {
        let value: JSON
        do throws(RequestBody.BodyFault) { (value, _) = try RequestBody.value(body, type) } catch {
            throw .badRequest("\(kind) in version \(JSON.string(name.version)) cannot be handled as a \(kind): \(error.text)")
        }
        guard let object = value.objectValue, ["", kind].contains(object["kind"]?.stringValue ?? "") else {
            throw .badRequest(
                "\(kind) in version \(JSON.string(name.version)) cannot be handled as a \(kind): expected an object")
        }
        let sent = object.name
        guard sent.isEmpty || sent == info.name else {
            throw .badRequest("name in URL does not match name in \(kind) object")
        }
        return object
    }
}
