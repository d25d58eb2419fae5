import KarsCore

/// One in-process measurement; `run` returns the figures it took.
struct Case: Sendable {
    let name: String
    let run: @Sendable () throws -> [Figure]
}

/// One measured value. Cases repeat their work and report the median.
struct Figure: Sendable {
    let name: String
    let value: Double
    /// For instance `MB/s`, `ns`, `MB`.
    let unit: String
}

/// In-process measurements: `Bench [--json] [CASE…]`. `scripts/bench` adds those that need peers.
@main
enum Bench {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        let wanted = arguments.filter { !$0.hasPrefix("--") }
        let asJSON = arguments.contains("--json")
        for item in cases where wanted.isEmpty || wanted.contains(item.name) {
            for figure in try item.run() {
                print(
                    asJSON
                        ? #"{"case":"\#(item.name)","figure":"\#(figure.name)","value":\#(figure.value),"unit":"\#(figure.unit)"}"#
                        : "\(item.name)\t\(figure.name)\t\(figure.value)\t\(figure.unit)")
            }
        }
    }

    /// Median seconds of `repeats` runs of `body`, after one run to warm up.
    static func medianSeconds(repeats: Int = 9, _ body: () throws -> Void) rethrows -> Double {
        try body()
        var times: [Double] = []
        for _ in 0..<repeats {
            let start = Instant.now()
            try body()
            times.append(Instant.now().duration(since: start).inSeconds)
        }
        times.sort()
        return times[times.count / 2]
    }

    /// Keeps a result from being optimised away.
    @inline(never)
    static func keep<Value>(_ value: Value) {}
}
