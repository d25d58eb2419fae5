import KarsCore
import Testing

@testable import Kars

@Suite struct `Sandbox network` {
    static let owner = SandboxOwnership(SandboxFixture.object())

    static func egress(_ facts: SandboxNetwork.Facts) -> [JSON] {
        SandboxNetwork.policy(owner, facts, controllerNamespace: "kars-system")["spec"]?["egress"]?.arrayValue ?? []
    }

    static let facts = SandboxNetwork.Facts(
        dns: [IPAddress("10.96.0.10"), IPAddress("fd00::a")].compactMap(\.self), ports: [8_883])

    @Test func `the cluster's name server is asked where it is, in both families`() {
        let peers = Self.egress(Self.facts).first?["to"]?.arrayValue ?? []
        #expect(peers.compactMap { $0["ipBlock"]?["cidr"]?.stringValue } == ["10.96.0.10/32", "fd00::a/128"])
        #expect(peers.last?["podSelector"]?["matchLabels"]?["k8s-app"] == "kube-dns")
    }

    @Test(arguments: [
        "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.1", "fd00::1", "fe80::1", "::1",
        "2002:a00:1::", "64:ff9b::a00:1", "ff02::1",
    ])
    func `no rule reaches what is private, whatever the port`(text: String) throws {
        let address = try #require(IPAddress(text))
        var facts = Self.facts
        facts.dns = []
        for rule in Self.egress(facts) {
            for block in (rule["to"]?.arrayValue ?? []).compactMap({ $0["ipBlock"] }) {
                #expect(!Self.reaches(block, address), "\(block)")
            }
        }
    }

    @Test func `the Internet is reached on the ports of the allow list`() throws {
        let rule = Self.egress(Self.facts)[1]
        #expect(rule["ports"]?.arrayValue?.compactMap { $0["port"]?.intValue } == [443, 8_883])
        let blocks = (rule["to"]?.arrayValue ?? []).compactMap { $0["ipBlock"] }
        for text in ["1.1.1.1", "2606:4700::1111"] {
            let address = try #require(IPAddress(text))
            #expect(blocks.contains { Self.reaches($0, address) })
        }
    }

    @Test func `no rule names other sandboxes`() {
        let text = String(decoding: JSON.array(Self.egress(Self.facts)).encoded(), as: UTF8.self)
        #expect(!text.contains("role"))
    }

    @Test func `only the operator's namespace comes in`() {
        let spec = SandboxNetwork.policy(Self.owner, Self.facts, controllerNamespace: "ops")["spec"]
        let ingress = spec?["ingress"]?.arrayValue ?? []
        #expect(ingress.count == 1)
        #expect(ingress.first?["from"] == [["namespaceSelector": ["matchLabels": ["kubernetes.io/metadata.name": "ops"]]]])
        #expect(ingress.first?["ports"]?.arrayValue?.compactMap { $0["port"]?.intValue } == [8_446, 9_090])
    }

    @Test func `cloud metadata is reached with a workload identity only`() {
        func reachesMetadata(_ facts: SandboxNetwork.Facts) -> Bool {
            Self.egress(facts).contains { String(decoding: $0.encoded(), as: UTF8.self).contains("169.254.169.254/32") }
        }
        var azure = Self.facts
        azure.usesAzureIdentity = true
        #expect(reachesMetadata(azure) && !reachesMetadata(Self.facts))
    }

    @Test(arguments: [
        ("10.0.0.0/8", true), ("fd00::/8", true), ("10.0.0.0/33", false), ("10.0.0.0", false), ("x/8", false),
        ("10.0.0.0/8/8", false),
    ])
    func `a network is an address and a length`(text: String, isNetwork: Bool) {
        #expect(SandboxNetwork.isNetwork(text) == isNetwork)
    }

    /// As networks evaluate an `ipBlock`.
    private static func reaches(_ block: JSON, _ address: IPAddress) -> Bool {
        func contains(_ network: String) -> Bool {
            let parts = network.split(separator: "/")
            guard let base = IPAddress(parts[0]), let bits = Int(parts[1]), base.isV6 == address.isV6 else { return false }
            return zip(base.bytes, address.bytes).enumerated().allSatisfy { index, pair in
                let mask = UInt8(truncatingIfNeeded: 0xff00 >> max(0, min(8, bits - index * 8)))
                return pair.0 & mask == pair.1 & mask
            }
        }
        guard let network = block["cidr"]?.stringValue, contains(network) else { return false }
        return !(block["except"]?.arrayValue ?? []).compactMap(\.stringValue).contains(where: contains)
    }
}
