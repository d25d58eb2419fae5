import KarsCore

/// Pod: containers that run together on one node.
struct PodKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "pods"), kind: "Pod", isNamespaced: true, shortNames: ["po"],
            categories: ["all"]),
        PodKind(), columns: PodColumns.all,
        selectableFields: [
            "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
            "status.phase",
            "status.podIP", "status.podIPs", "status.nominatedNodeName",
        ],
        subresources: [
            SubresourceDescription(name: "attach", kind: "PodAttachOptions", verbs: [.create, .get]),
            SubresourceDescription(name: "binding", kind: "Binding", verbs: [.create]),
            SubresourceDescription(
                name: "eviction", kind: "Eviction", groupVersion: GroupVersion(group: "policy", version: "v1"), verbs: [.create]),
            SubresourceDescription(name: "exec", kind: "PodExecOptions", verbs: [.create, .get]),
            SubresourceDescription(name: "log", kind: "Pod", verbs: [.get]),
            SubresourceDescription(name: "portforward", kind: "PodPortForwardOptions", verbs: [.create, .get]),
        ])

    let type = PodTypes.pod
    let hasStatus = true
    let countsGenerations = true

    func complete(_ object: inout JSONObject) {
        object.withObject(at: "spec") { spec in
            PodDefaults.completeSpec(&spec)
            PodDefaults.completePod(&spec)
        }
    }

    func initialStatus(of object: JSONObject) -> JSON {
        var status: JSONObject = ["phase": "Pending"]
        if object["spec"]?["schedulingGates"]?.arrayValue?.isEmpty == false {
            status["conditions"] = [
                [
                    "type": "PodScheduled", "status": "False", "lastProbeTime": .null,
                    "lastTransitionTime": object.metadata["creationTimestamp"] ?? .null, "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                ]
            ]
        }
        status["qosClass"] = .string(QualityOfService.of(object["spec"]))
        return .object(status)
    }

    func faults(in object: JSONObject) -> [FieldError] { PodRules.specFaults(object["spec"], at: "spec") }

    /// A binding has been judged by what it says; nothing else of the Pod changes with it.
    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        switch subresource {
        case "binding": []
        case "status": statusFaults(in: object, replacing: old)
        default: faults(in: object, replacing: old) + faults(in: object)
        }
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        PodUpdateRules.faults(object["spec"] ?? [:], old["spec"] ?? [:])
    }
}
