import KarsCore
import Testing

@testable import Kars

@Suite struct `Service allocation` {
    private static let network = (base: IPv4Address(10, 96, 0, 0), prefix: 29)

    private static func service(_ spec: JSON) throws -> JSONObject {
        var object: JSONObject = ["metadata": ["name": "s"], "spec": spec]
        try ServiceKind.resource.strategy.decode(&object)
        return object
    }

    @Test func `every address of the network is given once`() throws {
        var random = SystemRandomNumberGenerator()
        var services: [JSONObject] = []
        for _ in 0..<6 {
            var service = try Self.service(["ports": [["port": 80]]])
            var allocation = ServiceAllocation(network: Self.network, services: services)
            #expect(allocation.assign(to: &service, using: &random) == [])
            services.append(service)
        }
        #expect(Set(services.compactMap { $0["spec"]?["clusterIP"]?.stringValue }) == Set((1...6).map { "10.96.0.\($0)" }))
        var one = try Self.service(["ports": [["port": 80]]])
        var full = ServiceAllocation(network: Self.network, services: services)
        #expect(full.assign(to: &one, using: &random).map(\.kind) == [.internal])
    }

    @Test func `an address is taken only if it is free and within`() throws {
        var random = SystemRandomNumberGenerator()
        let other = try Self.service(["clusterIP": "10.96.0.3", "clusterIPs": ["10.96.0.3"], "ports": [["port": 80]]])
        for (address, word) in [
            ("10.96.0.3", "already allocated"), ("10.97.0.1", "not in the valid range"), ("10.96.0.7", "not in the valid range"),
        ] {
            var service = try Self.service(["clusterIP": .string(address), "ports": [["port": 80]]])
            var allocation = ServiceAllocation(network: Self.network, services: [other])
            let faults = allocation.assign(to: &service, using: &random)
            #expect(faults.count == 1 && faults[0].detail.contains(word))
        }
    }

    /// Record `svc-headless`: who asks by the older field does not own the newer one.
    @Test func `the list of addresses follows from the one that was asked for, once it is given`() throws {
        var random = SystemRandomNumberGenerator()
        var service = try Self.service(["clusterIP": "None", "ports": [["port": 80]]])
        #expect(service["spec"]?["clusterIPs"] == nil)
        var allocation = ServiceAllocation(network: Self.network, services: [])
        #expect(allocation.assign(to: &service, using: &random) == [])
        #expect(service["spec"]?["clusterIPs"] == ["None"])
    }

    @Test func `node ports are given to those who want them`() throws {
        var random = SystemRandomNumberGenerator()
        var service = try Self.service([
            "type": "NodePort", "ports": [["port": 80, "name": "a", "nodePort": 30_080], ["port": 81, "name": "b"]],
        ])
        var allocation = ServiceAllocation(network: Self.network, services: [])
        allocation.nodePorts = 30_080...30_081
        #expect(allocation.assign(to: &service, using: &random) == [])
        #expect(service["spec"]?["ports"]?.arrayValue?.map { $0["nodePort"] } == [30_080, 30_081])
        var second = try Self.service(["type": "NodePort", "ports": [["port": 80, "nodePort": 30_080]]])
        var taken = ServiceAllocation(network: Self.network, services: [service])
        #expect(taken.assign(to: &second, using: &random).map(\.detail) == ["provided port is already allocated"])
    }

    @Test func `what was given stays when the client does not repeat it`() throws {
        let old = KindRecord["svc-create"].object
        var new = old
        new["spec"] = ["selector": ["app": "d2"], "ports": [["port": 80, "name": "http"]]]
        let resource = ServiceKind.resource
        try resource.strategy.decode(&new)
        resource.strategy.prepareForUpdate(&new, from: old, .test(resource, verb: .update))
        #expect(new["spec"]?["clusterIP"] == old["spec"]?["clusterIP"] && new["spec"]?["ipFamilies"] == ["IPv4"])
        #expect(resource.strategy.validateUpdate(new, from: old, subresource: nil) == [])
    }
}
