import KarsCore
import KarsTesting
import Testing

@testable import Kars

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The node's network for real: namespaces, cables and packet rules of this machine, and pods that send packets.
@Suite(.serialized, .enabled(if: NetworkRig.isPossible()), .timeLimit(.minutes(5))) struct `Node network` {
    @Test func `pods reach each other by address, by Service and by name`() async throws {
        try await withNetwork { (rig: NetworkRig) async throws in
            var state = NetworkRig.state(pods: ["a", "b"])
            state.services = [
                .init(
                    namespace: "default", name: "web", kind: .cluster(IPv4Address(10, 96, 3, 4)),
                    ports: [.init(name: "http", transport: .tcp, number: 80)])
            ]
            let a = try await rig.add("a", to: state), b = try await rig.add("b", to: state)
            state.slices = [
                .init(
                    namespace: "default", service: "web", ports: [.init(name: "http", transport: .tcp, number: 8_080)],
                    endpoints: [.init(address: b.address)])
            ]
            try await rig.network.apply(state)
            try await b.listen(tcp: [8_080])
            #expect(try await a.connect("\(b.address)", 8_080) == "from \(a.address)")
            #expect(try await a.connect("10.96.3.4", 80) == "from \(a.address)")
            for name in ["web", "web.default", "web.default.svc.cluster.local"] {
                #expect(try await a.connect(name, 80) == "from \(a.address)", "\(name)")
            }
            // Through its own Service a pod meets itself.
            #expect(try await b.connect("web", 80) == "from 10.244.0.1")
        }
    }
}
