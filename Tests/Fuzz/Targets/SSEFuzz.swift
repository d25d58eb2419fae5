import KarsCore

extension Fuzz {
    /// Any bytes, any two cuts: the same events, the same failure, and every byte handed out exactly once.
    static let sseTarget = Target(name: "sse") { input in
        guard input.count >= 3 else { return }
        let bytes = Array(input[3...])
        let limits =
            input[2] & 1 == 0 ? SSEParser.Limits() : SSEParser.Limits(maxLineBytes: 8 + Int(input[2]), maxEventBytes: 64)
        let cuts = [input[0], input[1]].map { Int($0) * bytes.count / 255 }.sorted()
        let whole = outcome(of: bytes, cuts: [], limits: limits)
        let parts = outcome(of: bytes, cuts: cuts, limits: limits)
        precondition(whole.events == parts.events, "cuts at \(cuts) changed the events")
        precondition(whole.failure == parts.failure, "cuts at \(cuts) changed the failure")
        precondition(bytes.starts(with: whole.raw) && bytes.starts(with: parts.raw), "bytes were altered")
        if whole.failure == nil { precondition(whole.raw == bytes && parts.raw == bytes, "bytes were lost") }
    }

    private struct Outcome {
        var events: [String] = []
        var raw: [UInt8] = []
        var failure: SSEError?
    }

    private static func outcome(of bytes: [UInt8], cuts: [Int], limits: SSEParser.Limits) -> Outcome {
        var parser = SSEParser(limits: limits)
        var outcome = Outcome()
        func take(_ batch: SSEBatch) {
            outcome.raw += batch.rawOfAll
            for block in batch.blocks where !block.isFiller {
                let data = batch.data(of: block).map(Array.init)
                let retry = block.retryMilliseconds ?? -1
                outcome.events.append(
                    "\(String(describing: data)) \(batch.name(of: block)) \(batch.id(of: block) ?? "-") \(retry) \(block.isComplete)"
                )
            }
        }
        do throws(SSEError) {
            var start = 0
            for end in cuts + [bytes.count] {
                take(try parser.push(Array(bytes[start..<end])))
                start = end
            }
            take(try parser.finish())
        } catch {
            outcome.failure = error
        }
        return outcome
    }
}
