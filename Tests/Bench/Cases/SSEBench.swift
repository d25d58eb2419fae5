import KarsCore

extension Bench {
    /// Chat completion events of 250 bytes, 16 to a chunk and one cut across each chunk's end, with and without looking into them.
    static let sse = Case(name: "sse") {
        let event = Array(
            (#"data: {"id":"chatcmpl-abc123","object":"chat.completion.chunk","created":1763700000,"model":"gpt-4o-mini","#
                + #""system_fingerprint":"fp_0123456789","choices":[{"index":0,"delta":{"content":" word"},"#
                + #""logprobs":null,"finish_reason":null}]}"# + "\n\n").utf8)
        let stream = (0..<16_000).flatMap { _ in event }
        let chunks = stride(from: 0, to: stream.count, by: event.count * 16 + 7).map {
            Array(stream[$0..<min(stream.count, $0 + event.count * 16 + 7)])
        }
        let seconds = try medianSeconds {
            var parser = SSEParser()
            var events = 0
            var bytes = 0
            for chunk in chunks {
                let batch = try parser.push(chunk)
                for block in batch.blocks where block.hasData {
                    events += 1
                    bytes += batch.data(of: block)?.count ?? 0
                }
            }
            precondition(events == 16_000 && bytes > 0)
        }
        let single = try medianSeconds {
            var parser = SSEParser()
            for _ in 0..<16_000 {
                let batch = try parser.push(event)
                precondition(batch.data(of: batch.blocks[0])?.count == event.count - 8)
            }
        }
        return [
            Figure(name: "per event, 16 to a chunk", value: seconds / 16_000 * 1e9, unit: "ns"),
            Figure(name: "per event, one to a chunk", value: single / 16_000 * 1e9, unit: "ns"),
        ]
    }
}
