import KarsCore

/// Lease: who leads, and for how long.
struct LeaseKind: BuiltInKind {
    static let resource: ServedResource = {
        var resource = ServedResource(
            ResourceDescription(
                GroupVersionResource(group: "coordination.k8s.io", version: "v1", resource: "leases"), kind: "Lease",
                isNamespaced: true),
            LeaseKind(),
            columns: [.name, .text("Holder", "Who holds it.") { $0["spec"]?["holderIdentity"]?.stringValue ?? "" }, .age])
        resource.createsOnUpdate = true
        resource.allowsUnconditionalUpdate = false
        return resource
    }()

    let type = APIObjectType.kind(
        .coordination, "Lease", "Who leads, and for how long.",
        [
            .shown(
                "spec",
                .object(
                    APIObjectType(
                        .coordination, "LeaseSpec", "Who leads, and for how long.",
                        [
                            .pointer("holderIdentity", .string, "Who holds it."),
                            .pointer("leaseDurationSeconds", .int32, "Seconds after the last renewal that others wait."),
                            .pointer("acquireTime", .microTime, "When the holder took it."),
                            .pointer("renewTime", .microTime, "When the holder last renewed it."),
                            .pointer("leaseTransitions", .int32, "How often the holder changed."),
                            .pointer("strategy", .string, "How a holder is chosen."),
                            .pointer("preferredHolder", .string, "Who should take it over."),
                        ])),
                "Who leads, and for how long.")
        ])

    func faults(in object: JSONObject) -> [FieldError] {
        let spec = object["spec"] ?? [:]
        var faults: [FieldError] = []
        if let seconds = spec["leaseDurationSeconds"], (seconds.intValue ?? 0) <= 0 {
            faults.append(.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
        }
        if let count = spec["leaseTransitions"], (count.intValue ?? 0) < 0 {
            faults.append(.invalid("spec.leaseTransitions", count, "must be greater than or equal to 0"))
        }
        if spec["holderIdentity"] == "", spec["strategy"] != nil {
            faults.append(.invalid("spec.holderIdentity", "", "must not be empty"))
        }
        return faults
    }
}
