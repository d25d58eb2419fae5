import KarsCore

extension Fuzz {
    /// Any bytes, any two cuts: the same events; and what the machine answers, its peer understands.
    static let webSocketTarget = Target(name: "websocket") { input in
        guard input.count >= 3 else { return }
        let bytes = Array(input[3...])
        let cuts = [input[0], input[1]].map { Int($0) * bytes.count / 255 }.sorted()
        let role: WebSocketMachine.Role = input[2] & 1 == 0 ? .server : .client
        var limits = WebSocketMachine.Limits()
        if input[2] & 2 != 0 { (limits.maxMessageBytes, limits.maxFragments) = (64, 4) }
        let whole = outcome(of: bytes, cuts: [], role, limits)
        let parts = outcome(of: bytes, cuts: cuts, role, limits)
        precondition(whole.events == parts.events, "cuts at \(cuts) changed the events")
        precondition(whole.answer == parts.answer, "cuts at \(cuts) changed the answer")
        var peer = WebSocketMachine(role == .server ? .client : .server)
        for event in peer.receive(whole.answer) {
            if case .failed(let error) = event { preconditionFailure("our own frames are refused: \(error)") }
        }
    }

    private static func outcome(
        of bytes: [UInt8], cuts: [Int], _ role: WebSocketMachine.Role, _ limits: WebSocketMachine.Limits
    ) -> (events: [WebSocketMachine.Event], answer: [UInt8]) {
        var machine = WebSocketMachine(role, limits: limits, random: FixedMask())
        var events: [WebSocketMachine.Event] = []
        var answer: [UInt8] = []
        var start = 0
        for end in cuts + [bytes.count] {
            events += machine.receive(Array(bytes[start..<end]))
            answer += machine.takeOutgoing()
            start = end
        }
        events += machine.receiveEnd()
        return (events, answer + machine.takeOutgoing())
    }
}

private struct FixedMask: RandomNumberGenerator {
    func next() -> UInt64 { 0x1234_5678_9abc_def0 }
}
