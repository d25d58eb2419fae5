import KarsCore

extension Fuzz {
    /// Any bytes, any two cuts: the same events; and an event that is written again reads the same.
    static let watchTarget = Target(name: "watch") { input in
        guard input.count >= 2 else { return }
        let bytes = Array(input[2...])
        let cuts = [input[0], input[1]].map { Int($0) * bytes.count / 255 }.sorted()
        let whole = outcome(of: [bytes + [0x0a]])
        var pieces: [[UInt8]] = []
        var start = 0
        for end in cuts + [bytes.count] {
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        precondition(outcome(of: pieces + [[0x0a]]) == whole, "cuts at \(cuts) changed the events")
        precondition(outcome(of: whole.map(\.line)) == whole, "what was written reads otherwise")
    }

    private static func outcome(of pieces: [[UInt8]]) -> [WatchEvent] {
        var decoder = WatchDecoder()
        return pieces.flatMap { decoder.push($0) }
    }
}
