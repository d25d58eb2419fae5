import KarsCore

extension Bench {
    /// DESIGN 11: 500,000 domains, names in random order, so that the caches see what a busy router's would at worst.
    static let blockList = Case(name: "blocklist") {
        var random = SystemRandomNumberGenerator()
        func label(_ length: Int) -> String {
            String((0..<length).map { _ in Character(Unicode.Scalar(UInt8.random(in: 97...122, using: &random))) })
        }
        let domains = (0..<500_000).map { _ in
            "\(label(Int.random(in: 6...14, using: &random))).\(["com", "net", "org", "example"].randomElement() ?? "com")"
        }
        let text = Array(domains.joined(separator: "\n").utf8)
        var list = BlockList()
        let build = medianSeconds(repeats: 1) {
            list = BlockList()
            _ = list.add(list: text)
        }
        let listed = try (0..<50_000).map { _ in try HostName("www.\(domains.randomElement() ?? "a.b")") }
        let free = try (0..<50_000).map { _ in try HostName("api.\(label(10)).com") }
        func nanoseconds(_ names: [HostName]) -> Double {
            var hits = 0
            let seconds = medianSeconds { for name in names where list.match(name) != nil { hits += 1 } }
            precondition((hits > 0) == (names == listed))
            return seconds / Double(names.count) * 1e9
        }
        return [
            Figure(name: "look-up of a permitted name, 500k domains", value: nanoseconds(free), unit: "ns"),
            Figure(name: "look-up of a blocked name, 500k domains", value: nanoseconds(listed), unit: "ns"),
            Figure(name: "memory", value: Double(list.memoryBytes) / 1e6, unit: "MB"),
            Figure(name: "build", value: build, unit: "s"),
        ]
    }
}
