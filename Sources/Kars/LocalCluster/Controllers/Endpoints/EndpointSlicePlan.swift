import KarsCore

/// The EndpointSlices of a Service (endpointslice `reconciler.go`): which pods answer for it, on which ports. Pure.
struct EndpointSlicePlan: Sendable {
    static let maxEndpoints = 100
    static let serviceLabel = "kubernetes.io/service-name"
    static let managerLabel = "endpointslice.kubernetes.io/managed-by"
    static let manager = "endpointslice-controller.k8s.io"
    private static let triggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time"

    private let service: JSONObject
    private let now: UTCTime
    private(set) var plan = ReconcilePlan()

    private struct Wanted: Equatable {
        var family: String
        var ports: JSON
        var endpoints: [JSON]
    }

    /// `pods` and `slices` are those of the namespace; only slices of this manager are touched.
    init(_ service: JSONObject, pods: [JSONObject], slices: [JSONObject], now: UTCTime) {
        self.service = service
        self.now = now
        let selector = service["spec"]?["selector"]?.objectValue ?? JSONObject()
        guard !selector.isEmpty, service["spec"]?["type"] != "ExternalName" else { return }
        let labels = Dictionary(selector.members.map { ($0.key, $0.value.stringValue ?? "") }) { $1 }
        let chosen = pods.filter { LabelSelector(matching: labels).matches($0.labels) }.map(ControlledPod.init)
        let families = service["spec"]?["ipFamilies"]?.arrayValue?.compactMap(\.stringValue) ?? ["IPv4"]
        let wanted = families.flatMap { self.wanted($0, chosen) }
        settle(
            wanted,
            existing: slices.filter {
                $0.labels[Self.serviceLabel] == service.name && $0.labels[Self.managerLabel] == Self.manager
            })
    }

    // MARK: - What is wanted

    /// Pods that understand the Service's ports alike share slices.
    private func wanted(_ family: String, _ pods: [ControlledPod]) -> [Wanted] {
        var groups: [Wanted] = []
        for pod in pods.sorted(by: { $0.object.name < $1.object.name }) {
            guard !pod.isFinished, let address = Self.address(of: pod, family) else { continue }
            let ports = ports(of: pod)
            let endpoint = endpoint(pod, address)
            if let index = groups.firstIndex(where: { $0.ports == ports && $0.endpoints.count < Self.maxEndpoints }) {
                groups[index].endpoints.append(endpoint)
            } else {
                groups.append(Wanted(family: family, ports: ports, endpoints: [endpoint]))
            }
        }
        // A Service that nobody answers for has a slice that says so.
        return groups.isEmpty ? [Wanted(family: family, ports: .null, endpoints: [])] : groups
    }

    private static func address(of pod: ControlledPod, _ family: String) -> String? {
        let status = pod.object["status"]
        let all = (status?["podIPs"]?.arrayValue ?? []).compactMap { $0["ip"]?.stringValue }
        let candidates = all.isEmpty ? [status?["podIP"]?.stringValue].compactMap { $0 } : all
        return candidates.first { $0.contains(":") == (family == "IPv6") && !$0.isEmpty }
    }

    private func endpoint(_ pod: ControlledPod, _ address: String) -> JSON {
        let publishes = service["spec"]?["publishNotReadyAddresses"] == true
        let isGoing = pod.object.isBeingDeleted
        var endpoint: JSONObject = [
            "addresses": [.string(address)],
            "conditions": [
                "ready": .bool(publishes || (pod.isReady && !isGoing)), "serving": .bool(pod.isReady || publishes),
                "terminating": .bool(isGoing),
            ],
        ]
        let spec = pod.object["spec"]
        if spec?["subdomain"]?.stringValue == service.name, spec?["hostname"]?.stringValue?.isEmpty == false {
            endpoint["hostname"] = spec?["hostname"]
        }
        endpoint["targetRef"] = [
            "kind": "Pod", "namespace": .string(pod.object.namespace ?? ""), "name": .string(pod.object.name),
            "uid": .string(pod.object.uid ?? ""),
        ]
        if !pod.nodeName.isEmpty { endpoint["nodeName"] = .string(pod.nodeName) }
        return .object(endpoint)
    }

    /// A port whose name the pod does not have is left out.
    private func ports(of pod: ControlledPod) -> JSON {
        .array(
            (service["spec"]?["ports"]?.arrayValue ?? []).compactMap { port in
                let transport = port["protocol"]?.stringValue ?? "TCP"
                let target = port["targetPort"] ?? port["port"] ?? 0
                let number: Int?
                if let name = target.stringValue {
                    number = Self.port(named: name, transport, of: pod)
                } else {
                    number = target.intValue == 0 ? port["port"]?.intValue : target.intValue
                }
                guard let number else { return nil }
                var result: JSONObject = [
                    "name": port["name"] ?? "", "protocol": .string(transport), "port": .int(number),
                ]
                result["appProtocol"] = port["appProtocol"]
                return .object(result)
            })
    }

    private static func port(named name: String, _ transport: String, of pod: ControlledPod) -> Int? {
        let spec = pod.object["spec"]
        let sidecars = (spec?["initContainers"]?.arrayValue ?? []).filter { $0["restartPolicy"] == "Always" }
        let ports = ((spec?["containers"]?.arrayValue ?? []) + sidecars).flatMap { $0["ports"]?.arrayValue ?? [] }
        return ports.first { $0["name"]?.stringValue == name && $0["protocol"]?.stringValue ?? "TCP" == transport }?[
            "containerPort"]?
            .intValue
    }

    // MARK: - From what is there

    private mutating func settle(_ wanted: [Wanted], existing: [JSONObject]) {
        var left = existing.filter { !$0.isBeingDeleted }
        var missing: [Wanted] = []
        for want in wanted {
            if let index = left.firstIndex(where: { Self.says($0, want) }) {
                left.remove(at: index)
            } else {
                missing.append(want)
            }
        }
        for want in missing {
            if let index = left.firstIndex(where: { $0["addressType"]?.stringValue == want.family }) {
                rewrite(left.remove(at: index), want)
            } else {
                plan.changes.append(.create(.endpointSlices, slice(want), ControllerManager.writeOptions))
            }
        }
        for slice in left {
            plan.changes.append(
                .delete(.endpointSlices, namespace: slice.namespace, name: slice.name, DeleteOptions(uid: slice.uid)))
        }
    }

    private static func says(_ slice: JSONObject, _ want: Wanted) -> Bool {
        slice["addressType"]?.stringValue == want.family
            && slice["ports"]?.arrayValue ?? [] == want.ports.arrayValue ?? []
            && slice["endpoints"]?.arrayValue ?? [] == want.endpoints
    }

    private mutating func rewrite(_ slice: JSONObject, _ want: Wanted) {
        let patch: JSON = [
            "metadata": [
                "uid": .string(slice.uid ?? ""), "resourceVersion": .string(slice.resourceVersion ?? ""),
                "annotations": [Self.triggerAnnotation: .string(now.rfc3339)],
            ], "endpoints": .array(want.endpoints), "ports": want.ports,
        ]
        plan.changes.append(
            .patch(
                .merge, .endpointSlices, namespace: slice.namespace, name: slice.name, patch, ControllerManager.writeOptions))
    }

    private func slice(_ want: Wanted) -> JSONObject {
        var labels = JSONObject()
        for (name, value) in service.labels.sorted(by: { $0.key < $1.key }) { labels[name] = .string(value) }
        labels[Self.managerLabel] = .string(Self.manager)
        labels[Self.serviceLabel] = .string(service.name)
        if service["spec"]?["clusterIP"] == "None" { labels["service.kubernetes.io/headless"] = "" }
        return [
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": [
                "generateName": .string("\(service.name)-"), "namespace": .string(service.namespace ?? ""),
                "labels": .object(labels),
                "annotations": [Self.triggerAnnotation: .string(now.rfc3339)],
                "ownerReferences": [service.controllerReference(ServiceKind.resource.description)],
            ],
            "addressType": .string(want.family), "endpoints": .array(want.endpoints), "ports": want.ports,
        ]
    }
}
