/// Which addresses the router may contact for an agent, whatever name led to them.
///
/// The default is public unicast only. An operator may open private prefixes, but nothing can open what no agent ever
/// needs and an attacker always wants: this host, link-local and metadata addresses, multicast.
package struct AddressPolicy: Equatable, Sendable {
    /// Prefixes outside the public range that may be contacted (`EGRESS_PERMITTED_PREFIXES`).
    package let permitted: [IPPrefix]
    /// Prefixes that may not, public or permitted: the cluster's own service and pod ranges where those are public addresses.
    package let refused: [IPPrefix]

    package init(permitted: [IPPrefix] = [], refused: [IPPrefix] = []) {
        self.permitted = permitted
        self.refused = refused
    }

    /// Nil when `address` may be contacted; otherwise why not, as the name of what it is.
    package func refusal(of address: IPAddress) -> String? {
        let address = address.unmapped
        if let prefix = refused.first(where: { $0.contains(address) }) { return "in refused prefix \(prefix)" }
        let kind = address.kind
        if kind == .global { return nil }
        guard Self.mayBePermitted(kind), permitted.contains(where: { $0.contains(address) }) else { return kind.rawValue }
        // A gateway sends it on to the address inside, so that one must be allowed too.
        guard let embedded = address.embeddedV4 else { return nil }
        return refusal(of: .v4(embedded)).map { "\(kind.rawValue) of \(embedded), \($0)" }
    }

    /// The prefixes of a comma-separated list; the texts that are none, or that could permit nothing, as problems.
    package static func prefixes(parsing list: String) -> (prefixes: [IPPrefix], problems: [String]) {
        var prefixes: [IPPrefix] = []
        var problems: [String] = []
        for item in list.split(separator: ",") {
            let text = String(item.filter { $0 != " " && $0 != "\t" })
            guard let prefix = IPPrefix(text) else {
                problems.append("\(text): expected a CIDR prefix such as 10.20.0.0/16, host bits zero")
                continue
            }
            guard Self.mayBePermitted(prefix.address.kind) || prefix.length == 0 else {
                problems.append("\(text): \(prefix.address.kind.rawValue) addresses cannot be permitted")
                continue
            }
            prefixes.append(prefix)
        }
        return (prefixes, problems)
    }

    private static func mayBePermitted(_ kind: IPAddress.Kind) -> Bool {
        switch kind {
        case .global, .privateUse, .sharedAddressSpace, .documentation, .benchmarking, .reserved, .protocolAssignments, .nat64,
            .sixToFour:
            true
        case .unspecified, .loopback, .multicast, .broadcast, .metadata, .linkLocal, .thisNetwork, .teredo, .v4Compatible: false
        }
    }
}
