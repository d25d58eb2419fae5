/// Decides about one view of an answer: the whole of a buffered one, or one event of a stream.
package protocol ChatJudge {
    /// Why the answer may not go on to the agent; nil when it may. `calledTools` are the tools this view newly names.
    mutating func refusal(for answer: ChatAnswer, calledTools: [String]) -> Refusal?
    /// An event that may go on as the agent may see it; nil leaves it as it is. Throws when the agent may not see it at all.
    mutating func filtered(event: JSON) throws(Refusal) -> JSON?
    /// What was kept back of the texts so far, as an event of its own; nil when that is nothing.
    mutating func remainder() throws(Refusal) -> JSON?
}

/// What to do after some bytes of a provider's stream.
package struct ChatStreamStep: Equatable, Sendable {
    /// To send to the agent at once.
    package var forward: [UInt8]
    /// Set when the stream must end here, after `forward`.
    package var stop: Refusal?

    package init(forward: [UInt8] = [], stop: Refusal? = nil) {
        self.forward = forward
        self.stop = stop
    }
}

/// Follows a provider's event stream: each event is judged before it is passed on, and none is held back. It goes on exactly as
/// the provider sent it, unless the judge wants something in it changed.
///
/// Pure: bytes in, bytes out. Events that are not what a chat stream holds end it, because what cannot be read cannot be
/// judged. After a stop nothing more is passed on.
package struct ChatStreamInspector<Judge: ChatJudge> {
    package private(set) var judge: Judge
    package private(set) var progress = ChatStreamProgress()
    /// The provider said `[DONE]`.
    package private(set) var isDone = false
    /// The provider reported an error inside the stream.
    package private(set) var hasProviderError = false

    private var parser: SSEParser
    /// The usage event was asked for by the router, not by the client, so the client must not see it.
    private let hidesUsageEvent: Bool
    private let limits: JSONLimits
    private var isStopped = false

    package init(judge: Judge, hidesUsageEvent: Bool, maxEventBytes: Int = 1 << 20) {
        self.judge = judge
        self.hidesUsageEvent = hidesUsageEvent
        parser = SSEParser(limits: SSEParser.Limits(maxLineBytes: maxEventBytes, maxEventBytes: maxEventBytes))
        limits = JSONLimits(maxBytes: maxEventBytes)
    }

    package mutating func push(_ chunk: [UInt8]) -> ChatStreamStep {
        step { (parser) throws(SSEError) in try parser.push(chunk) }
    }

    /// The provider's stream has ended: judges what was left without a blank line after it.
    package mutating func finish() -> ChatStreamStep {
        var step = step { (parser) throws(SSEError) in try parser.finish() }
        guard !isStopped else { return step }
        do throws(Refusal) {
            if let rest = try judge.remainder() {
                // The blank line that the last event may lack.
                if !step.forward.isEmpty { step.forward += "\n\n".utf8 }
                step.forward += SSEEncoder.event(data: rest.encoded())
            }
        } catch {
            isStopped = true
            step.stop = error
        }
        return step
    }

    private mutating func step(_ read: (inout SSEParser) throws(SSEError) -> SSEBatch) -> ChatStreamStep {
        guard !isStopped else { return ChatStreamStep() }
        do throws(SSEError) {
            return take(try read(&parser))
        } catch {
            isStopped = true
            return ChatStreamStep(stop: Self.garbled("\(error)"))
        }
    }

    private mutating func take(_ batch: SSEBatch) -> ChatStreamStep {
        var step = ChatStreamStep()
        // Bytes from here on are passed on together, so that a chunk of many events is one write.
        var runStart = batch.blocks.first?.raw.lowerBound ?? 0
        func pass(upTo end: Int) {
            if runStart == 0, end == batch.bytes.count, step.forward.isEmpty {
                step.forward = batch.bytes
            } else if runStart < end {
                step.forward += batch.bytes[runStart..<end]
            }
        }
        for block in batch.blocks {
            guard let data = batch.data(of: block) else { continue }
            switch judge(data, of: block, in: batch) {
            case .pass: continue
            case .replace(let bytes):
                pass(upTo: block.raw.lowerBound)
                step.forward += bytes
                runStart = block.raw.upperBound
            case .precede(let bytes):
                pass(upTo: block.raw.lowerBound)
                step.forward += bytes
                runStart = block.raw.lowerBound
            case .stop(let refusal):
                pass(upTo: block.raw.lowerBound)
                isStopped = true
                step.stop = refusal
                return step
            }
        }
        pass(upTo: batch.blocks.last?.raw.upperBound ?? 0)
        return step
    }

    private enum Judgement {
        case pass
        /// These bytes, possibly none, go in its place.
        case replace([UInt8])
        /// These bytes go before it.
        case precede([UInt8])
        case stop(Refusal)
    }

    private mutating func judge(_ data: ArraySlice<UInt8>, of block: SSEBlock, in batch: SSEBatch) -> Judgement {
        if data.elementsEqual("[DONE]".utf8) {
            isDone = true
            do throws(Refusal) {
                return try judge.remainder().map { .precede(SSEEncoder.event(data: $0.encoded())) } ?? .pass
            } catch {
                return .stop(error)
            }
        }
        if data.isEmpty { return .pass }
        let json: JSON
        do throws(JSONError) {
            json =
                if case .inPlace(let range) = block.payload {
                    try JSON(parsing: batch.bytes, in: range, limits: limits)
                } else {
                    try JSON(parsing: Array(data), limits: limits)
                }
        } catch {
            return .stop(Self.garbled("an event is not JSON: \(error.reason)"))
        }
        guard json.objectValue != nil else { return .stop(Self.garbled("an event is not a JSON object")) }
        let answer = ChatAnswer(json)
        let called = progress.take(answer)
        if answer.error != nil { hasProviderError = true }
        if let refusal = judge.refusal(for: answer, calledTools: called) { return .stop(refusal) }
        if hidesUsageEvent, answer.isUsageOnly { return .replace([]) }
        do throws(Refusal) {
            guard let changed = try judge.filtered(event: json) else { return .pass }
            let name = block.name == nil ? nil : batch.name(of: block)
            return .replace(SSEEncoder.event(data: changed.encoded(), name: name, id: batch.id(of: block)))
        } catch {
            return .stop(error)
        }
    }

    private static func garbled(_ reason: String) -> Refusal {
        Refusal(
            stage: .perform, code: "bad_gateway", type: "proxy_error",
            reason: "the model provider's stream could not be understood, so it ends here: \(reason)", status: 502)
    }
}

extension ChatStreamInspector: Sendable where Judge: Sendable {}
