/// A grant: for a limited time one sandbox may also reach these hosts. What was granted never changes; another grant is another object.
package struct EgressApproval: KarsResource {
    package var metadata: JSONObject
    package var spec: Spec
    package var status: Status

    package init(metadata: JSONObject, spec: Spec, status: Status) {
        self.metadata = metadata
        self.spec = spec
        self.status = status
    }

    package static let definition = KarsKind(
        kind: "EgressApproval", plural: "egressapprovals", shortName: "eappr",
        summary: "Lets one sandbox reach more hosts for a limited time.",
        columns: [
            .init("Sandbox", ".spec.sandbox"), .phase, .init("Expires", ".status.expiresAt"),
            .init("Hosts", ".status.hostCount", type: "integer"), .age,
        ],
        spec: Spec.schema, status: Status.schema,
        rules: [
            .init("size(self.metadata.name) <= \(maxNameLength)", message: "the name has at most \(maxNameLength) characters")
        ])

    /// `approval-`, the name and `.json` are a key of a ConfigMap, and names of field managers hold it too.
    package static let maxNameLength = 63

    package struct Spec: CheckedSpec {
        package var sandbox = ""
        package var hosts: [Host] = []
        package var reason = ""
        package var ticket: String?
        /// An ISO 8601 duration of days, hours, minutes and seconds.
        package var ttl = ""

        package init() {}

        package static let summary = "What is granted, to whom, and for how long."
        package static let fields: [SchemaField<Spec>] = [
            .required("sandbox", \.sandbox, "Name of a KarsSandbox in the same namespace.") {
                $0.lengths(1...253).matching(ObjectName.pattern)
            },
            .required("hosts", \.hosts, "What may be reached.") { $0.counts(1...16) },
            .required("reason", \.reason, "Why; kept for those who look at it later.") {
                $0.lengths(1...512).matching(TextPattern.prose)
            },
            .optional("ticket", \.ticket, "Where it was discussed.") { $0.lengths(1...128).matching(TextPattern.plain) },
            .required("ttl", \.ttl, "How long it lasts, as an ISO 8601 duration such as PT2H.") {
                $0.with(\.maxLength, ISO8601Duration.maxLength).matching(ISO8601Duration.pattern)
            },
        ]
        static let ttlRule = "ttl: expected an ISO 8601 duration of days, hours, minutes and seconds above zero, such as PT2H"
        package static let rules: [StructuralSchema.Rule] = [
            .init("self == oldSelf", message: "a grant never changes: delete it and make another"),
            .init("self.ttl.matches('\(ISO8601Duration.nonzeroPattern)')", message: ttlRule),
        ]

        package func ruleFaults() -> [ResourceError] {
            var faults: [ResourceError] = []
            faults.require(ISO8601Duration.seconds(ttl) != nil, "spec", Self.ttlRule)
            for (index, entry) in hosts.enumerated() {
                if let fault = GrantableHost.fault(in: entry.host) { faults.append(ResourceError("spec.hosts[\(index)]", fault)) }
            }
            return faults
        }
    }

    package struct Host: SchemaRecord {
        package var host = ""
        /// Absent: 443.
        package var port: Int?

        package init() {}

        package static let summary = "A host that may be reached."
        package static let fields: [SchemaField<Host>] = [
            .required("host", \.host, "A host name in the public DNS.") { $0.lengths(1...253).matching(GrantableHost.pattern) },
            .optional("port", \.port, "A TCP port; 443 when absent.") { $0.atLeast(1).atMost(65_535) },
        ]
        package static let rules: [StructuralSchema.Rule] = [
            .init(GrantableHost.rule("self.host"), message: GrantableHost.message)
        ]
    }

    package struct Status: SchemaRecord {
        package enum Phase: String, SchemaChoice { case pending = "Pending", active = "Active", expired = "Expired" }

        package var phase: Phase?
        package var observedGeneration: Int?
        /// RFC 3339.
        package var effectiveAt: String?
        package var expiresAt: String?
        package var mergedDigest: String?
        package var hostCount: Int?
        package var usageCount: Int?
        package var conditions: [Condition] = []

        package init() {}

        package static let summary = "Whether the grant is in force."
        package static let fields: [SchemaField<Status>] = [
            .optional("phase", \.phase, "Pending until the router confirmed it, Active until it expires."),
            .optional("observedGeneration", \.observedGeneration, "The generation that this speaks of."),
            .optional("effectiveAt", \.effectiveAt, "When it began; never moves.") { $0.with(\.format, "date-time") },
            .optional("expiresAt", \.expiresAt, "When it ends.") { $0.with(\.format, "date-time") },
            .optional("mergedDigest", \.mergedDigest, "Digest of everything the sandbox may reach."),
            .optional("hostCount", \.hostCount, "How many hosts are granted."),
            .optional("usageCount", \.usageCount, "How many connections made use of it."),
            [Condition].field(\.conditions),
        ]
    }
}
