import KarsCore

/// EndpointSlice: the pods behind a Service.
struct EndpointSliceKind: BuiltInKind {
    static let resource = ServedResource(
        ResourceDescription(
            GroupVersionResource(group: "discovery.k8s.io", version: "v1", resource: "endpointslices"), kind: "EndpointSlice",
            isNamespaced: true),
        EndpointSliceKind(),
        columns: [
            .name, .text("AddressType", "Family of its addresses.") { $0["addressType"]?.stringValue ?? "" },
            .text("Ports", "Ports of its endpoints.", ports), .text("Endpoints", "Addresses of its endpoints.", endpoints), .age,
        ])

    private static let forZone = APIObjectType(
        .discovery, "ForZone", "A zone that an endpoint is for.", [.required("name", .string, "Its name.")])
    private static let forNode = APIObjectType(
        .discovery, "ForNode", "A node that an endpoint is for.", [.required("name", .string, "Its name.")])

    private static let conditions = APIObjectType(
        .discovery, "EndpointConditions", "How an endpoint is.",
        [
            .pointer("ready", .boolean, "Whether it takes traffic."),
            .pointer("serving", .boolean, "Whether it could take traffic, going or not."),
            .pointer("terminating", .boolean, "Whether it is going."),
        ])

    private static let endpoint = APIObjectType(
        .discovery, "Endpoint", "One backend.",
        [
            .required("addresses", .set(.string), "Its addresses; the first one counts."),
            .shown("conditions", .object(conditions), "How it is."),
            .pointer("hostname", .string, "Its host name."),
            .optional("targetRef", .object(ReferenceTypes.object), "What it is, for instance a pod."),
            .optional("deprecatedTopology", .map(.string), "No longer used."),
            .pointer("nodeName", .string, "The node it is on."),
            .pointer("zone", .string, "The zone it is in."),
            .optional(
                "hints",
                .object(
                    APIObjectType(
                        .discovery, "EndpointHints", "Who better uses an endpoint.",
                        [
                            .optional("forZones", .list(forZone), "Clients of these zones."),
                            .optional("forNodes", .list(forNode), "Clients on these nodes."),
                        ])),
                "Who better uses it."),
        ])

    private static let port = APIObjectType(
        .discovery, "EndpointPort", atomic: true, "A port of all endpoints.",
        [
            .pointer("name", .string, default: "", "Its name, as the Service has it."),
            .pointer("protocol", .string, default: "TCP", "`TCP`, `UDP` or `SCTP`."),
            .pointer("port", .int32, "Its number; any when absent."),
            .pointer("appProtocol", .string, "What is spoken."),
        ])

    let type = APIObjectType.kind(
        .discovery, "EndpointSlice", "Some of the pods behind a Service.",
        [
            .required("addressType", .choice(["FQDN", "IPv4", "IPv6"]), "Family of the addresses. Never changes."),
            .required("endpoints", .list(endpoint), "The backends."),
            .shown("ports", .list(port), "Ports of all of them."),
        ])

    let countsGenerations = true

    func faults(in object: JSONObject) -> [FieldError] {
        let family = object["addressType"]?.stringValue ?? ""
        var faults =
            family.isEmpty
            ? [FieldError.required("addressType")]
            : FieldChecks.oneOf(.string(family), ["FQDN", "IPv4", "IPv6"], at: "addressType")
        for (index, endpoint) in (object["endpoints"]?.arrayValue ?? []).enumerated() {
            let path = "endpoints[\(index)].addresses"
            let addresses = endpoint["addresses"]?.arrayValue ?? []
            if addresses.isEmpty { faults.append(.required(path, "must contain at least 1 address")) }
            for (place, address) in addresses.enumerated() { faults += addressFaults(address, family, at: "\(path)[\(place)]") }
        }
        var names: Set<String> = []
        for (index, port) in (object["ports"]?.arrayValue ?? []).enumerated() {
            let path = "ports[\(index)]"
            let name = port["name"]?.stringValue ?? ""
            if !name.isEmpty { faults += FieldChecks.name(.string(name), .label, at: "\(path).name") }
            if !names.insert(name).inserted { faults.append(.duplicate("\(path).name", .string(name))) }
            faults += FieldChecks.oneOf(port["protocol"], ["SCTP", "TCP", "UDP"], at: "\(path).protocol")
        }
        return faults
    }

    private func addressFaults(_ value: JSON, _ family: String, at path: String) -> [FieldError] {
        let text = value.stringValue ?? ""
        switch family {
        case "IPv4":
            if case .v4 = IPAddress(text) { return [] }
            return [.invalid(path, value, "must be an IPv4 address")]
        case "IPv6":
            if case .v6 = IPAddress(text) { return [] }
            return [.invalid(path, value, "must be an IPv6 address")]
        case "FQDN": return FieldChecks.name(value, .subdomain, at: path)
        default: return []
        }
    }

    func faults(in object: JSONObject, replacing old: JSONObject) -> [FieldError] {
        FieldChecks.immutable(object["addressType"], old["addressType"], at: "addressType")
    }

    // MARK: Cells

    private static let maxShown = 3

    private static func shortened(_ texts: [String]) -> String {
        guard !texts.isEmpty else { return CellText.unset }
        let more = texts.count - maxShown
        return texts.prefix(maxShown).joined(separator: ",") + (more > 0 ? " + \(more) more..." : "")
    }

    private static func ports(_ slice: JSONObject) -> String {
        shortened(
            (slice["ports"]?.arrayValue ?? []).map { port in
                port["port"]?.intValue.map { "\($0)" } ?? (port["name"]?.stringValue).flatMap { $0.isEmpty ? nil : $0 } ?? "*"
            })
    }

    private static func endpoints(_ slice: JSONObject) -> String {
        shortened(
            (slice["endpoints"]?.arrayValue ?? []).flatMap { ($0["addresses"]?.arrayValue ?? []).compactMap(\.stringValue) })
    }
}

/// References to other objects (core/v1).
enum ReferenceTypes {
    static let object = APIObjectType(
        .core, "ObjectReference", atomic: true, "Another object, or a part of it.",
        [
            .optional("kind", .string, "Its kind."),
            .optional("namespace", .string, "Its namespace."),
            .optional("name", .string, "Its name."),
            .optional("uid", .string, "Its identity."),
            .optional("apiVersion", .string, "Its group and version."),
            .optional("resourceVersion", .string, "The version that is meant."),
            .optional("fieldPath", .string, "The part that is meant."),
        ])
}
