import KarsCore

extension Fuzz {
    /// Any bytes, any cut: the same frames or the same refusal; headers are read or refused, and never come to more than their bound.
    static let spdyTarget = Target(name: "spdy") { input in
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let cut = bytes.isEmpty ? 0 : Int(first) * bytes.count / 255
        let whole = outcome(of: [bytes[...]])
        let parts = outcome(of: [bytes[..<cut], bytes[cut...]])
        precondition(whole == parts, "a cut at \(cut) changed the outcome")
    }

    private static func outcome(of parts: [ArraySlice<UInt8>]) -> [String] {
        var parser = SPDYFrameParser(), headers = SPDYHeaders(), said: [String] = []
        do {
            for part in parts {
                for frame in try parser.push(part) {
                    said.append("\(frame)")
                    switch frame {
                    case .open(_, _, let block), .other(let block):
                        let fields = try headers.read(block)
                        precondition(
                            fields.reduce(0) { $0 + $1.name.utf8.count } <= 64 << 12, "too much came of \(block.count) bytes")
                    case .data, .reset, .ping, .goAway: break
                    }
                }
            }
        } catch {
            // Which of several faults shows first depends on the cut.
            return ["refused"]
        }
        return said
    }
}
