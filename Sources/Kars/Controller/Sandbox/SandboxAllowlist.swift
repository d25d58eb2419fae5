import KarsCore

/// What the agent may reach besides its model, and on whose word (spec/controller 10).
struct SandboxAllowlist: Equatable, Sendable {
    enum Authority: Equatable, Sendable {
        /// There is no network policy: nothing is allowed and there is nothing to say.
        case unset
        /// The object itself says it.
        case inline
        /// Nothing is allowed that could not be verified; with the reason of conditions and words for people.
        case refused(String, String)
    }

    var rules: [EgressRule]
    var authority: Authority
    /// Hosts that are none, each with what is wrong.
    var faults: [String]

    var isClosed: Bool { if case .refused = authority { true } else { false } }

    static func resolve(_ network: KarsSandbox.Network?, requiresSigned: Bool) -> SandboxAllowlist {
        guard let network else { return SandboxAllowlist(rules: [], authority: .unset, faults: []) }
        if let reference = network.allowlistRef {
            let place = "\(reference.registry)/\(reference.repository)@\(reference.digest)"
            return SandboxAllowlist(
                rules: [], authority: .refused("SignerPolicyMissing", "\(place) cannot be verified: there is no signer policy"),
                faults: [])
        }
        if requiresSigned {
            return SandboxAllowlist(
                rules: [], authority: .refused("Unsigned", "allow lists must be signed here: set networkPolicy.allowlistRef"),
                faults: [])
        }
        var rules: Set<EgressRule> = [], faults: [String] = []
        for (index, endpoint) in network.allowedEndpoints.enumerated() {
            do throws(HostName.Problem) {
                rules.insert(try EgressRule(host: endpoint.host.lowercased(), port: UInt16(clamping: endpoint.port)))
            } catch {
                faults.append("allowedEndpoints[\(index)].host: \(endpoint.host): \(error)")
            }
        }
        return SandboxAllowlist(rules: rules.sorted(), authority: .inline, faults: faults)
    }

    static let digestAnnotation = "kars.azure.com/egress-allowlist-digest"

    private var document: [UInt8] { EgressRule.document(rules) }
    private var digest: String { PolicyDigest(name: PolicyDigest.Name.egressAllowlist, body: document).description }

    /// What the router is to echo: the digest of this list, or of `live`, which stays in force while this one cannot be verified.
    func expectedDigest(beside live: JSONObject?) -> String? {
        isClosed ? live?.annotations[Self.digestAnnotation] : digest
    }

    /// The ConfigMap that the router mounts; its bytes are what its digest is made of.
    func configMap(_ owner: SandboxOwnership) -> JSONObject {
        let bytes = document
        var map = JSONObject.owned(
            by: owner, "v1", "ConfigMap", name: SandboxObjectNames(sandbox: owner.name).allowlist,
            annotations: [Self.digestAnnotation: digest],
            labels: ["kars.azure.com/artifact": "egress-allowlist"])
        map["data"] = ["allowlist.json": .string(String(decoding: bytes, as: UTF8.self))]
        return map
    }
}
