import KarsCore
import Testing

@testable import Kars

/// Follows the first packet of a connection through rules as the kernel does, as far as these rules use it: an interpreter of their
/// text, so that tests judge what is written and not how it came about.
struct PacketWalk {
    struct Packet {
        var from: IPv4Address
        var to: IPv4Address
        var incoming: String
        var outgoing: String?
        /// Lower case, or `icmp`.
        var transport: String
        var port: UInt16?
    }

    enum Verdict: Equatable { case accepted, refused, dropped }

    private let tables: [String: [String: (policy: String?, rules: [[String]])]]

    init(rules: NodeRules) {
        var tables: [String: [String: (policy: String?, rules: [[String]])]] = [:]
        for table in rules.tables {
            for chain in table.chains {
                let words = chain.rules.map { $0.split(separator: " ").map(String.init) }
                tables[table.name, default: [:]][chain.name] = (chain.policy, words)
            }
        }
        self.tables = tables
    }

    /// Through the raw table and then FORWARD, or INPUT when the packet is for the node.
    func verdict(on packet: Packet) -> Verdict {
        guard run("raw", "PREROUTING", packet) == .accepted else { return .dropped }
        return run("filter", packet.outgoing == nil ? "INPUT" : "FORWARD", packet)
    }

    /// Endpoints that a connection to a Service may end at; nil when no rule takes it.
    func destinations(of packet: Packet) -> Set<String>? {
        for rule in chain("nat", "PREROUTING").rules where matches(rule, packet) {
            return Set(targets(of: target(rule) ?? "", packet))
        }
        return nil
    }

    private func targets(of chainName: String, _ packet: Packet) -> [String] {
        chain("nat", chainName).rules.flatMap { rule -> [String] in
            if let place = rule.firstIndex(of: "--to-destination") { return [rule[place + 1]] }
            return targets(of: target(rule) ?? "", packet)
        }
    }

    private func chain(_ table: String, _ name: String) -> (policy: String?, rules: [[String]]) {
        guard let chain = tables[table]?[name] else {
            Issue.record("there is no chain \(name) in \(table)")
            return (nil, [])
        }
        return chain
    }

    private func run(_ table: String, _ name: String, _ packet: Packet) -> Verdict {
        if let verdict = walk(table, name, packet) { return verdict }
        return chain(table, name).policy == "ACCEPT" ? .accepted : .dropped
    }

    /// nil: the end of the chain, or a return from it.
    private func walk(_ table: String, _ name: String, _ packet: Packet) -> Verdict? {
        for rule in chain(table, name).rules where matches(rule, packet) {
            switch target(rule) {
            case "ACCEPT": return .accepted
            case "DROP": return .dropped
            case "REJECT": return .refused
            case "RETURN": return nil
            case let next?: if let verdict = walk(table, next, packet) { return verdict }
            case nil: Issue.record("no target: \(rule)")
            }
        }
        return nil
    }

    private func target(_ rule: [String]) -> String? { rule.firstIndex(of: "-j").map { rule[$0 + 1] } }

    private func matches(_ rule: [String], _ packet: Packet) -> Bool {
        var words = rule[...]
        while let option = words.popFirst() {
            switch option {
            case "-j": return true
            case "-m":
                // A new connection is neither established nor related; chance may always fall this way.
                if words.popFirst() == "conntrack" { return false }
            case "-i": if !isLink(packet.incoming, words.popFirst()) { return false }
            case "-o": if !isLink(packet.outgoing, words.popFirst()) { return false }
            case "-s": if !contains(words.popFirst(), packet.from) { return false }
            case "-d": if !contains(words.popFirst(), packet.to) { return false }
            case "-p": if words.popFirst() != packet.transport { return false }
            case "--dport", "--dports":
                let ends = (words.popFirst() ?? "").split(separator: ":").compactMap { UInt16($0) }
                guard let first = ends.first, let last = ends.last, let port = packet.port, (first...last).contains(port) else {
                    return false
                }
            case "--icmp-type", "--mode", "--probability": _ = words.popFirst()
            default:
                Issue.record("\(option) in \(rule)")
                return false
            }
        }
        Issue.record("no target: \(rule)")
        return false
    }

    private func isLink(_ name: String?, _ pattern: String?) -> Bool {
        guard let name, let pattern else { return false }
        return pattern.hasSuffix("+") ? name.hasPrefix(pattern.dropLast()) : name == pattern
    }

    private func contains(_ prefix: String?, _ address: IPv4Address) -> Bool {
        prefix.flatMap { IPPrefix($0) }?.contains(.v4(address)) ?? false
    }
}
