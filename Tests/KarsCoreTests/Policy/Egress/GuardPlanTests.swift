import KarsCore
import KarsTesting
import Testing

@Suite struct `Guard plan` {
    @Test func `the default IPv4 rules are these`() {
        #expect(
            GuardPlan().rules(for: .v4).restoreText() == """
                *filter
                :KARS-EGRESS - [0:0]
                -I OUTPUT 1 -j KARS-EGRESS
                # mark the router's connections
                -A KARS-EGRESS -m owner --uid-owner 1001 -j CONNMARK --set-xmark 0x6b617273/0xffffffff
                # the router may send anything
                -A KARS-EGRESS -m owner --uid-owner 1001 -j ACCEPT
                # ends of the router's connections
                -A KARS-EGRESS -p tcp -m tcp ! --tcp-flags SYN SYN -m connmark --mark 0x6b617273 -j ACCEPT
                # router port 8445
                -A KARS-EGRESS -p tcp -m tcp --dport 8445 -j REJECT --reject-with tcp-reset
                # router port 8446
                -A KARS-EGRESS -p tcp -m tcp --dport 8446 -j REJECT --reject-with tcp-reset
                # router port 9090
                -A KARS-EGRESS -p tcp -m tcp --dport 9090 -j REJECT --reject-with tcp-reset
                # loopback
                -A KARS-EGRESS -o lo -j ACCEPT
                # tcp redirected to 8444
                -A KARS-EGRESS -d 127.0.0.1/32 -p tcp -m tcp --dport 8444 -m conntrack --ctstate DNAT -j ACCEPT
                # tcp redirected to 8453
                -A KARS-EGRESS -d 127.0.0.1/32 -p tcp -m tcp --dport 8453 -m conntrack --ctstate DNAT -j ACCEPT
                # udp redirected to 8453
                -A KARS-EGRESS -d 127.0.0.1/32 -p udp -m udp --dport 8453 -m conntrack --ctstate DNAT -j ACCEPT
                # refuse TCP
                -A KARS-EGRESS -p tcp -j REJECT --reject-with tcp-reset
                # refuse everything else
                -A KARS-EGRESS -j REJECT --reject-with icmp-admin-prohibited
                # drop
                -A KARS-EGRESS -j DROP
                COMMIT
                *mangle
                :KARS-WIRE - [0:0]
                -I POSTROUTING 1 -j KARS-WIRE
                # loopback addresses stay off the wire
                -A KARS-WIRE -d 127.0.0.0/8 ! -o lo -j DROP
                COMMIT
                *nat
                :KARS-REDIRECT - [0:0]
                -I OUTPUT 1 -j KARS-REDIRECT
                # the router is not redirected
                -A KARS-REDIRECT -m owner --uid-owner 1001 -j RETURN
                # DNS over udp
                -A KARS-REDIRECT -p udp -m udp --dport 53 -j REDIRECT --to-ports 8453
                # DNS over tcp
                -A KARS-REDIRECT -p tcp -m tcp --dport 53 -j REDIRECT --to-ports 8453
                # web port 80
                -A KARS-REDIRECT ! -o lo -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 8444
                # web port 443
                -A KARS-REDIRECT ! -o lo -p tcp -m tcp --dport 443 -j REDIRECT --to-ports 8444
                COMMIT

                """)
    }

    @Test func `IPv6 differs by neighbour discovery and the kind of refusal`() {
        let v4 = GuardPlan().rules(for: .v4), v6 = GuardPlan().rules(for: .v6)
        #expect(v4.chains[2] == v6.chains[2])
        let only = v6.chains[0].rules.filter { !v4.chains[0].rules.contains($0) }
        #expect(
            only.map(\.specification) == [
                "-p ipv6-icmp -m icmp6 --icmpv6-type 133 -j ACCEPT", "-p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
                "-p ipv6-icmp -m icmp6 --icmpv6-type 136 -j ACCEPT", "-p ipv6-icmp -m icmp6 --icmpv6-type 143 -j ACCEPT",
                "-d ::1/128 -p tcp -m tcp --dport 8444 -m conntrack --ctstate DNAT -j ACCEPT",
                "-d ::1/128 -p tcp -m tcp --dport 8453 -m conntrack --ctstate DNAT -j ACCEPT",
                "-d ::1/128 -p udp -m udp --dport 8453 -m conntrack --ctstate DNAT -j ACCEPT",
                "-j REJECT --reject-with icmp6-adm-prohibited",
            ])
    }

    @Test func `an exemption is for one UID, one address and one port, before the redirects and the refusals`() throws {
        var plan = GuardPlan()
        plan.exemptions = [.init(uid: 1002, destination: try #require(SocketAddress("10.96.0.1:443")))]
        let rules = plan.rules(for: .v4)
        let match = "-d 10.96.0.1/32 -p tcp -m tcp --dport 443 -m owner --uid-owner 1002"
        let accept = try #require(rules.chains[0].rules.firstIndex { $0.specification == "\(match) -j ACCEPT" })
        let refuse = try #require(rules.chains[0].rules.firstIndex { $0.name == "refuse TCP" })
        #expect(accept < refuse)
        let exempt = try #require(rules.chains[2].rules.firstIndex { $0.specification == "\(match) -j RETURN" })
        let redirect = try #require(rules.chains[2].rules.firstIndex { $0.specification.contains("REDIRECT") })
        #expect(exempt < redirect)
        #expect(plan.rules(for: .v6) == GuardPlan().rules(for: .v6))
    }

    static func randomPlan(_ random: inout SeededRandom) -> GuardPlan {
        var plan = GuardPlan()
        plan.routerUID = UInt32.random(in: 1...70_000, using: &random)
        func ports() -> [UInt16] {
            (0..<Int.random(in: 0...4, using: &random)).map { _ in UInt16.random(in: 1...65_535, using: &random) }
        }
        plan.routerPorts = ports()
        plan.protectedPorts = ports()
        plan.answersRefusals = Bool.random(using: &random)
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let bytes = (0..<(Bool.random(using: &random) ? 4 : 16)).map { _ in UInt8.random(in: 1...255, using: &random) }
            guard let ip = IPAddress(bytes: bytes) else { continue }
            plan.exemptions.append(
                .init(uid: 1002, destination: SocketAddress(ip, port: UInt16.random(in: 1...65_535, using: &random))))
        }
        return plan
    }

    @Test(arguments: 0..<100 as Range<UInt64>)
    func `any plan ends in a drop, protects its ports before loopback, and opens nothing else`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let plan = Self.randomPlan(&random)
        for family in GuardPlan.Family.allCases {
            let rules = plan.rules(for: family)
            #expect(rules == plan.rules(for: family))
            #expect(rules.restoreText() == plan.rules(for: family).restoreText())
            #expect(rules.chains[0].rules.last?.specification == "-j DROP")
            let loopback = try #require(rules.chains[0].rules.firstIndex { $0.name == "loopback" })
            for port in plan.routerPorts + plan.protectedPorts {
                let position = try #require(
                    rules.chains[0].rules.firstIndex {
                        $0.specification.hasPrefix("-p tcp -m tcp --dport \(port) -j \(plan.answersRefusals ? "REJECT" : "DROP")")
                    })
                #expect(position < loopback)
            }
            let accepts = rules.chains[0].rules.filter { $0.specification.contains("-j ACCEPT") }
            let known = plan.exemptions.filter { $0.destination.ip.isV6 == (family == .v6) }
            #expect(accepts.count == 6 + (family == .v6 ? 4 : 0) + Set(known).count)
            #expect(rules.differences(from: rules.restoreText().replacingFirstJumps()) == [])

            // Adding an allowance keeps every rule that was there, in its order, the drop last.
            var more = plan
            more.exemptions.append(.init(uid: 1002, destination: try #require(SocketAddress("9.9.9.9:443"))))
            more.exemptions.append(.init(uid: 1002, destination: try #require(SocketAddress("[2620:fe::fe]:443"))))
            let wider = more.rules(for: family)
            #expect(wider.chains[0].rules.filter { rules.chains[0].rules.contains($0) } == rules.chains[0].rules)
            #expect(wider.chains[0].rules.last == rules.chains[0].rules.last)
        }
    }

    @Test func `equal plans written in another order give the same bytes`() throws {
        var one = GuardPlan(), two = GuardPlan()
        one.protectedPorts = [11434, 8080, 11434]
        two.protectedPorts = [8080, 11434]
        let a = GuardPlan.Exemption(uid: 1002, destination: try #require(SocketAddress("10.0.0.1:443")))
        let b = GuardPlan.Exemption(uid: 1002, destination: try #require(SocketAddress("10.0.0.2:443")))
        one.exemptions = [a, b]
        two.exemptions = [b, a, a]
        #expect(one.rules(for: .v4).restoreText() == two.rules(for: .v4).restoreText())
    }

    @Test func `existing jumps are removed before one is put first`() {
        let saved =
            "*filter\n-A OUTPUT -j KARS-EGRESS\n-A OUTPUT -j X\n-A OUTPUT -j KARS-EGRESS\nCOMMIT\n*nat\n-A OUTPUT -j KARS-REDIRECT\nCOMMIT\n"
        let rules = GuardPlan().rules(for: .v4)
        let text = rules.restoreText(replacing: saved)
        #expect(text.contains("-D OUTPUT -j KARS-EGRESS\n-D OUTPUT -j KARS-EGRESS\n-I OUTPUT 1 -j KARS-EGRESS\n"))
        #expect(text.contains(":KARS-REDIRECT - [0:0]\n-D OUTPUT -j KARS-REDIRECT\n-I OUTPUT 1 -j KARS-REDIRECT\n"))
        #expect(text.contains(":KARS-WIRE - [0:0]\n-I POSTROUTING 1 -j KARS-WIRE\n"))
        #expect(rules.isPresent(in: saved))
        #expect(!rules.isPresent(in: "*filter\n-A OUTPUT -j X\nCOMMIT\n"))
    }

    @Test func `plans that contradict themselves are refused`() throws {
        #expect(GuardPlan().problems.isEmpty)
        var plan = GuardPlan()
        plan.routerUID = 0
        plan.protectedPorts = [8444, 0]
        plan.exemptions = [
            .init(uid: 0, destination: try #require(SocketAddress("10.0.0.1:0"))),
            .init(uid: 1, destination: try #require(SocketAddress("127.0.0.1:1"))),
        ]
        #expect(plan.problems.count == 6)
        plan.protectedPorts = Array(1...33)
        #expect(plan.problems.contains { $0.hasPrefix("36 protected ports") })
    }
}

@Suite struct `Guard rules read back` {
    static let rules = GuardPlan().rules(for: .v4)
    static let saved = rules.restoreText().replacingFirstJumps()

    @Test func `are equal in any version's spelling`() {
        #expect(Self.rules.differences(from: Self.saved) == [])
        let spelled = Self.saved.replacing("-p tcp -m tcp --dport 8446", "-p 6 --dport 8446").replacing(
            "--set-xmark 0x6b617273/0xffffffff", "--set-mark 0x6b617273"
        )
        .replacing("-m owner --uid-owner 1001 -j ACCEPT", "-m  owner --uid-owner 1001 -j ACCEPT")
        #expect(Self.rules.differences(from: spelled) == [])
    }

    @Test func `each missing, changed, moved or added rule is named`() {
        let lines = Self.saved.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        for (index, line) in lines.enumerated() where line.hasPrefix("-A KARS") {
            let name = String(lines[index - 1].dropFirst(2))
            var fewer = lines
            fewer.remove(at: index)
            let missing = Self.rules.differences(from: fewer.joined(separator: "\n"))
            #expect(missing.count == 1)
            #expect(missing.first?.contains("(\(name)) is missing") == true, "without \(line)")
            var changed = lines
            changed[index] += " --unknown"
            let differences = Self.rules.differences(from: changed.joined(separator: "\n"))
            #expect(differences.count == 2)
            #expect(differences.first?.contains("(\(name)) is missing") == true)
            #expect(differences.last?.contains("which is not ours") == true)
            if index + 2 < lines.count, lines[index + 1].hasPrefix("# ") {
                var moved = lines
                moved.swapAt(index, index + 2)
                #expect(Self.rules.differences(from: moved.joined(separator: "\n")).count == 2, "swapped \(line)")
            }
        }
        let open = Self.saved.replacing("-A KARS-EGRESS -j DROP\n", "-A KARS-EGRESS -j DROP\n-A KARS-EGRESS -j ACCEPT\n")
        #expect(Self.rules.differences(from: open) == ["IPv4 KARS-EGRESS has `-j ACCEPT` as rule 14, which is not ours"])
        #expect(
            Self.rules.differences(
                from: Self.saved.replacing("--dport 8446 -j REJECT --reject-with tcp-reset", "--dport 8446 -j ACCEPT")) == [
                    "IPv4 rule 5 of KARS-EGRESS (router port 8446) is missing: expected `-p tcp -m tcp --dport 8446 -j REJECT --reject-with tcp-reset`",
                    "IPv4 KARS-EGRESS has `-p tcp -m tcp --dport 8446 -j ACCEPT` as rule 5, which is not ours",
                ])
    }

    @Test func `a jump that is absent, doubled or not first is named`() {
        let jump = "-A OUTPUT -j KARS-EGRESS\n"
        #expect(
            Self.rules.differences(from: Self.saved.replacing(jump, "")) == [
                "IPv4 filter: OUTPUT jumps to KARS-EGRESS 0 times, expected once"
            ])
        #expect(Self.rules.differences(from: Self.saved.replacing(jump, jump + jump)).count == 1)
        #expect(
            Self.rules.differences(from: Self.saved.replacing(jump, "-A OUTPUT -p tcp -j ACCEPT\n" + jump)) == [
                "IPv4 filter: OUTPUT begins with `-p tcp -j ACCEPT`, expected the jump to KARS-EGRESS before anything else"
            ])
        #expect(Self.rules.differences(from: "").count == 3)
    }
}

extension String {
    /// As iptables-save would write what iptables-restore reads.
    fileprivate func replacingFirstJumps() -> String {
        replacing("-I OUTPUT 1 ", "-A OUTPUT ").replacing("-I POSTROUTING 1 ", "-A POSTROUTING ")
    }

    /// The standard library alone has no replacement of substrings.
    fileprivate func replacing(_ old: String, _ new: String) -> String {
        var result = ""
        var rest = self[...]
        while let range = rest.firstRange(of: old) {
            result += rest[..<range.lowerBound] + new
            rest = rest[range.upperBound...]
        }
        return result + rest
    }
}
