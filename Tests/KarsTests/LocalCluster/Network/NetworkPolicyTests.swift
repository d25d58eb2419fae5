import KarsCore
import KarsTesting
import Testing

@testable import Kars

@Suite struct `Network policy` {
    private func policy(_ spec: JSON) throws -> NetworkPolicy {
        NetworkPolicy(reading: try #require((["metadata": ["namespace": "n", "name": "p"], "spec": spec] as JSON).objectValue))
    }

    @Test func `absent lists allow everything and empty rules nothing`() throws {
        #expect(try policy(["podSelector": [:]]).rules == [.ingress: []])
        #expect(try policy(["podSelector": [:], "egress": []]).rules == [.ingress: [], .egress: []])
        #expect(try policy(["podSelector": [:], "ingress": [[:]]]).rules == [.ingress: [.init()]])
        #expect(try policy(["podSelector": [:], "ingress": [["from": [], "ports": []]]]).rules == [.ingress: [.init()]])
        #expect(try policy(["podSelector": [:], "policyTypes": ["Egress"], "ingress": [[:]]]).rules == [.egress: []])
    }

    @Test func `what cannot be read allows nothing`() throws {
        let ingress: (JSON) throws -> NetworkPolicy.Rule? = { rule in
            try policy(["podSelector": [:], "ingress": [rule]]).rules[.ingress]?.first
        }
        for peer: JSON in [
            [:], ["ipBlock": ["cidr": "10.0.0.0"]], ["ipBlock": ["cidr": "10.0.0.0/8", "except": ["x"]]],
            ["podSelector": ["matchExpressions": [["key": "a", "operator": "Like"]]]],
            ["namespaceSelector": ["matchLabels": ["a": 1]]],
        ] { #expect(try ingress(["from": [peer]])?.peers == [], "\(peer)") }
        for port: JSON in [
            ["protocol": "ICMP"], ["port": 70_000], ["port": 80, "endPort": 79], ["port": 80, "endPort": 70_000],
        ] { #expect(try ingress(["ports": [port]])?.ports == [], "\(port)") }
        let closed = try policy(["podSelector": ["matchLabels": ["a": 1]], "ingress": [[:]]])
        #expect(closed.pods == LabelSelector() && closed.rules == [.ingress: []])
    }

    @Test func `peers and ports are read as they are written`() throws {
        let spec: JSON = [
            "podSelector": ["matchLabels": ["app": "x"]],
            "egress": [
                [
                    "to": [
                        ["podSelector": ["matchLabels": ["app": "y"]]], ["namespaceSelector": [:]],
                        ["ipBlock": ["cidr": "10.1.2.3/8", "except": ["10.1.0.0/16"]]],
                    ],
                    "ports": [
                        ["port": 80], ["port": "web", "protocol": "UDP"], ["protocol": "SCTP"], ["port": 1, "endPort": 9],
                    ],
                ]
            ],
        ]
        let rule = try #require(try policy(spec).rules[.egress]?.first)
        #expect(
            rule.peers == [
                .pods(inNamespaces: nil, LabelSelector(matching: ["app": "y"])),
                .pods(inNamespaces: LabelSelector(), LabelSelector()),
                .block(try #require(IPPrefix("10.0.0.0/8")), except: [try #require(IPPrefix("10.1.0.0/16"))]),
            ])
        #expect(
            rule.ports == [
                .init(transport: .tcp, number: .range(80...80)), .init(transport: .udp, number: .named("web")),
                .init(transport: .sctp, number: .every), .init(transport: .tcp, number: .range(1...9)),
            ])
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `a block without parts of it holds exactly the other addresses`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        func block(_ lengths: ClosedRange<Int>) throws -> IPPrefix {
            let address = IPv4Address(10, 0, 0, UInt8.random(in: 0...255, using: &random))
            return try #require(IPPrefix(containing: .v4(address), length: Int.random(in: lengths, using: &random)))
        }
        let whole = try block(24...28), parts = try (0..<Int.random(in: 0...4, using: &random)).map { _ in try block(24...32) }
        let rest = whole.subtracting(parts)
        for last in UInt8.min...UInt8.max {
            let address = IPAddress.v4(IPv4Address(10, 0, 0, last))
            let isLeft = whole.contains(address) && !parts.contains { $0.contains(address) }
            #expect(rest.count { $0.contains(address) } == (isLeft ? 1 : 0), "\(address)")
        }
    }
}
