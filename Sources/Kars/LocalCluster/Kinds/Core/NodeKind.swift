import KarsCore

/// Node: the machine that runs pods.
struct NodeKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "", version: "v1", resource: "nodes"), kind: "Node", isNamespaced: false,
            shortNames: ["no"]),
        NodeKind(),
        columns: [
            .name, .text("Status", "Whether it is ready.", word), .text("Roles", "What it is for.", roles), .age,
            .text("Version", "Version of its agent.") { $0["status"]?["nodeInfo"]?["kubeletVersion"]?.stringValue ?? "" },
            .text("Internal-IP", wide: true, "Its address within the cluster.") { address("InternalIP", $0) },
            .text("External-IP", wide: true, "Its address from outside.") { address("ExternalIP", $0) },
            .text("OS-Image", wide: true, "Its operating system.") { info("osImage", $0) },
            .text("Kernel-Version", wide: true, "Its kernel.") { info("kernelVersion", $0) },
            .text("Container-Runtime", wide: true, "What runs its containers.") { info("containerRuntimeVersion", $0) },
        ], selectableFields: ["spec.unschedulable"])

    let type = NodeTypes.node
    /// The agent sends the status along when it registers, so that creation keeps it.
    let hasStatus = true

    func initialStatus(of object: JSONObject) -> JSON { object["status"] ?? [:] }

    func faults(in object: JSONObject) -> [FieldError] {
        (object["spec"]?["taints"]?.arrayValue ?? []).enumerated().flatMap { index, taint -> [FieldError] in
            let path = "spec.taints[\(index)]"
            let key = taint["key"]?.stringValue ?? ""
            let value = taint["value"]?.stringValue ?? ""
            var faults = NameText.qualifiedNameFaults(key).map { FieldError.invalid("\(path).key", .string(key), $0) }
            faults += NameText.labelValueFaults(value).map { .invalid("\(path).value", .string(value), $0) }
            return faults
                + FieldChecks.oneOf(taint["effect"], ["NoSchedule", "PreferNoSchedule", "NoExecute"], at: "\(path).effect")
        }
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        let (new, before) = (object["spec"]?["podCIDRs"], old["spec"]?["podCIDRs"])
        guard before != nil, new != before else { return [] }
        return [.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid")]
    }

    // MARK: Cells

    private static func word(_ node: JSONObject) -> String {
        let ready = (node["status"]?["conditions"]?.arrayValue ?? []).first { $0["type"] == "Ready" }
        let word = ready.map { $0["status"] == "True" ? "Ready" : "NotReady" } ?? "Unknown"
        return node["spec"]?["unschedulable"] == true ? "\(word),SchedulingDisabled" : word
    }

    private static func roles(_ node: JSONObject) -> String {
        let prefix = "node-role.kubernetes.io/"
        var roles = Set(
            node.labels.keys.filter { $0.hasPrefix(prefix) && $0.count > prefix.count }.map { String($0.dropFirst(prefix.count)) }
        )
        if let role = node.labels["kubernetes.io/role"], !role.isEmpty { roles.insert(role) }
        return roles.isEmpty ? CellText.none : roles.sorted().joined(separator: ",")
    }

    private static func address(_ type: String, _ node: JSONObject) -> String {
        let addresses = node["status"]?["addresses"]?.arrayValue ?? []
        return CellText.orNone(addresses.first { $0["type"]?.stringValue == type }?["address"])
    }

    private static func info(_ field: String, _ node: JSONObject) -> String {
        let text = node["status"]?["nodeInfo"]?[field]?.stringValue ?? ""
        return text.isEmpty ? "<unknown>" : text
    }
}

/// Types of Node.
enum NodeTypes {
    private static let taint = APIObjectType(
        .core, "Taint", "Keeps pods away that do not bear it.",
        [
            .required("key", .string, "Its key."),
            .optional("value", .string, "Its value."),
            .required("effect", .choice(["NoExecute", "NoSchedule", "PreferNoSchedule"]), "What it does."),
            .pointer("timeAdded", .time, "When it was added."),
        ])

    private static let condition = APIObjectType(
        .core, "NodeCondition", "One aspect of a node's state.",
        [
            .required("type", .string, "Which aspect."),
            .required("status", .string, "`True`, `False` or `Unknown`."),
            .shown("lastHeartbeatTime", .time, "When it was last looked at."),
            .shown("lastTransitionTime", .time, "When `status` last changed."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "Why, for people."),
        ])

    private static let address = APIObjectType(
        .core, "NodeAddress", "An address of a node.",
        [.required("type", .string, "Which kind of address."), .required("address", .string, "The address.")])

    private static let endpoint = APIObjectType(
        .core, "DaemonEndpoint", "Where an agent listens.", [.required("Port", .int32, "Its port.")])

    private static let systemInfo = APIObjectType(
        .core, "NodeSystemInfo", "What a node is made of.",
        [
            .required("machineID", .string, "Identity of the machine."),
            .required("systemUUID", .string, "Identity of the hardware."),
            .required("bootID", .string, "Identity of its last start."),
            .required("kernelVersion", .string, "Its kernel."),
            .required("osImage", .string, "Its operating system."),
            .required("containerRuntimeVersion", .string, "What runs its containers."),
            .required("kubeletVersion", .string, "Version of its agent."),
            .required("kubeProxyVersion", .string, "No longer used."),
            .required("operatingSystem", .string, "Kind of operating system."),
            .required("architecture", .string, "Kind of processor."),
        ])

    private static let image = APIObjectType(
        .core, "ContainerImage", "An image that a node has.",
        [.optional("names", .list(.string), "Its names."), .optional("sizeBytes", .int64, "Its size in bytes.")])

    private static let spec = APIObjectType(
        .core, "NodeSpec", "How a node is to be used.",
        [
            .optional("podCIDR", .string, "Addresses of its pods."),
            .optional("podCIDRs", .set(.string), "Addresses of its pods, by family."),
            .optional("providerID", .string, "Its identity with the provider."),
            .optional("unschedulable", .boolean, "Whether it takes no new pods."),
            .optional("taints", .list(taint), "What keeps pods away."),
            .optional("externalID", .string, "No longer used."),
        ])

    private static let status = APIObjectType(
        .core, "NodeStatus", "How a node is.",
        [
            .optional("capacity", .map(.quantity), "What it has."),
            .optional("allocatable", .map(.quantity), "What pods may have of it."),
            .optional("phase", .string, "No longer used."),
            .optional("conditions", .keyed(condition, by: "type"), "Aspects of its state."),
            .optional("addresses", .keyed(address, by: "type"), "Its addresses."),
            .shown(
                "daemonEndpoints",
                .object(
                    APIObjectType(
                        .core, "NodeDaemonEndpoints", "Where its agents listen.",
                        [.shown("kubeletEndpoint", .object(endpoint), "Where its agent listens.")])),
                "Where its agents listen."),
            .shown("nodeInfo", .object(systemInfo), "What it is made of."),
            .optional("images", .list(image), "Images it has."),
            .optional("volumesInUse", .list(.string), "Volumes that are mounted."),
            .optional("declaredFeatures", .list(.string), "What its agent can do."),
        ])

    static let node = APIObjectType.kind(
        .core, "Node", "A machine that runs pods.",
        [.shown("spec", .object(spec), "How it is to be used."), .shown("status", .object(status), "How it is.")])
}
