import KarsCore

extension Fuzz {
    /// Any bytes, fed in growing prefixes: the same head or the same refusal as in one piece, and never more consumed than given.
    static let httpRequestTarget = Target(name: "http-request") { input in
        guard input.count >= 2 else { return }
        let bytes = Array(input[2...])
        var limits = HTTP1RequestParser.Limits()
        if input[1] & 1 == 1 {
            limits.maxRequestLineBytes = 64
            limits.maxHeaderBytes = 256
            limits.maxFields = 5
        }
        var whole = HTTP1RequestParser(limits: limits)
        let expected = Result { () throws(HTTP1ParseError) in try whole.parse(bytes) }
        var parser = HTTP1RequestParser(limits: limits)
        let split = inSteps(bytes, of: 1 + Int(input[0]), .needMoreBytes) { part throws(HTTP1ParseError) in try parser.parse(part)
        }
        precondition(split == expected, "a split mattered")
        if case .success(.head(let head, _, let consumed)) = expected {
            precondition(consumed <= bytes.count && head.headers.count <= limits.maxFields, "limits")
            precondition(head.headers.allSatisfy { !$0.value.utf8.contains(10) && !$0.name.isEmpty }, "a line inside a field")
        }
    }

    static let httpResponseTarget = Target(name: "http-response") { input in
        guard input.count >= 2 else { return }
        let bytes = Array(input[2...])
        let method: HTTPMethod = [.get, .head, .connect][Int(input[1]) % 3]
        var limits = HTTP1ResponseParser.Limits()
        if input[1] & 128 == 128 {
            limits.maxStatusLineBytes = 64
            limits.maxHeaderBytes = 256
            limits.maxFields = 5
        }
        var whole = HTTP1ResponseParser(answering: method, limits: limits)
        let expected = Result { () throws(HTTP1ParseError) in try whole.parse(bytes) }
        var parser = HTTP1ResponseParser(answering: method, limits: limits)
        let split = inSteps(bytes, of: 1 + Int(input[0]), .needMoreBytes) { part throws(HTTP1ParseError) in try parser.parse(part)
        }
        precondition(split == expected, "a split mattered")
        if case .success(.head(_, _, let consumed)) = expected { precondition(consumed <= bytes.count, "limits") }
    }

    /// Any bytes, any cut: the same body, the same end, the same refusal.
    static let chunkedTarget = Target(name: "chunked") { input in
        guard input.count >= 2 else { return }
        let bytes = Array(input[2...])
        let cuts = [input[0], input[1]].map { Int($0) * bytes.count / 255 }.sorted()
        let whole = chunkedOutcome(of: bytes, cuts: [])
        precondition(whole == chunkedOutcome(of: bytes, cuts: cuts), "cuts at \(cuts) changed the body")
        precondition(whole.consumed <= bytes.count && whole.body.count <= bytes.count, "more than was given")
    }

    /// The outcome when the buffer grows by `step` bytes at a time until something is decided.
    private static func inSteps<Step: Equatable>(
        _ bytes: [UInt8], of step: Int, _ more: Step, _ parse: ([UInt8]) throws(HTTP1ParseError) -> Step
    ) -> Result<Step, HTTP1ParseError> {
        var count = 0
        while true {
            count = min(count + step, bytes.count)
            let result = Result { () throws(HTTP1ParseError) in try parse(Array(bytes[..<count])) }
            if result != .success(more) || count == bytes.count { return result }
        }
    }

    private struct ChunkedOutcome: Equatable {
        var body: [UInt8] = []
        var consumed = 0
        var isFinished = false
        var failure: HTTP1ParseError?
    }

    private static func chunkedOutcome(of bytes: [UInt8], cuts: [Int]) -> ChunkedOutcome {
        var decoder = ChunkedDecoder()
        var outcome = ChunkedOutcome()
        do throws(HTTP1ParseError) {
            for end in cuts + [bytes.count] {
                steps: while true {
                    let rest = Array(bytes[min(outcome.consumed, end)..<end])
                    switch try decoder.decode(rest) {
                    case .needMoreBytes(let count):
                        outcome.consumed += count
                        break steps
                    case .data(let range):
                        outcome.body += rest[range]
                        outcome.consumed += range.upperBound
                    case .end(let count):
                        outcome.consumed += count
                        outcome.isFinished = true
                        return outcome
                    }
                }
            }
        } catch {
            outcome.failure = error
            outcome.consumed = 0
        }
        return outcome
    }
}
