/// One side of an open WebSocket connection (RFC 6455) as bytes in, messages out, and the reverse. Knows no sockets and no clock.
///
/// Answers pings and the peer's close by itself. After a failure, and after the close of both sides, nothing more is read; what
/// `takeOutgoing` then has is the last that is sent.
package struct WebSocketMachine {
    package enum Role: Sendable { case client, server }

    package struct Limits: Sendable {
        /// Of a whole message, and so of a frame.
        package var maxMessageBytes = 1 << 20
        /// Frames of one message; an empty one costs the sender next to nothing.
        package var maxFragments = 16_384

        package init() {}
    }

    package enum Event: Equatable, Sendable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        /// The peer has closed; the code is nil when it gave none.
        case closed(WebSocketCloseCode?, reason: String)
        /// The connection is of no more use. A close frame that tells the peer why is outgoing, where there is something to tell.
        case failed(WebSocketError)
    }

    private enum State: Equatable {
        case open
        /// We have sent our close.
        case closing
        case closed
        case failed(WebSocketError)
    }

    private let role: Role
    private let limits: Limits
    /// Masks must not be predictable (RFC 6455 §10.3).
    private var random: any RandomNumberGenerator & Sendable
    private var state = State.open
    private var input: [UInt8] = []
    private var inputStart = 0
    private var header: WebSocketFrameHeader?
    /// The message whose frames are coming in.
    private var message: (isText: Bool, bytes: [UInt8], fragments: Int)?
    private var outgoing: [UInt8] = []
    /// The payload of the newest ping that is not answered yet. Older ones need no answer (§5.5.3), so that a peer which sends pings
    /// and reads nothing costs no more memory than one ping.
    private var unanswered: [UInt8]?

    package init(
        _ role: Role, limits: Limits = Limits(), random: any RandomNumberGenerator & Sendable = SecureRandom()
    ) {
        self.role = role
        self.limits = limits
        self.random = random
    }

    package var isOpen: Bool { state == .open }
    /// Both sides have closed.
    package var isClosed: Bool { state == .closed }
    /// The connection is of no more use, or has ended without a close.
    package var hasFailed: Bool { if case .failed = state { true } else { false } }
    package var hasOutgoing: Bool { !outgoing.isEmpty || unanswered != nil }

    package mutating func takeOutgoing() -> [UInt8] {
        answerPing()
        defer { outgoing = [] }
        return outgoing
    }

    // MARK: - Receiving

    /// What `bytes` complete. Nothing comes after `closed` and `failed`.
    package mutating func receive(_ bytes: [UInt8]) -> [Event] {
        guard isReading else { return [] }
        input += bytes
        var events: [Event] = []
        do throws(WebSocketError) {
            while isReading, let frame = try nextFrame() {
                if let event = try take(frame.header, frame.payload) { events.append(event) }
            }
            if !isReading { (input, inputStart) = ([], 0) }
        } catch {
            events.append(fail(error))
        }
        return events
    }

    /// The stream has ended, which is a failure unless the closing handshake was complete.
    package mutating func receiveEnd() -> [Event] {
        isReading ? [fail(.disconnected("the connection ended without a close"))] : []
    }

    private var isReading: Bool {
        switch state {
        case .open, .closing: true
        case .closed, .failed: false
        }
    }

    private mutating func nextFrame() throws(WebSocketError) -> (header: WebSocketFrameHeader, payload: [UInt8])? {
        if header == nil {
            guard let (next, consumed) = try WebSocketFrameHeader.parse(input[inputStart...]) else { return nil }
            try check(next)
            header = next
            drop(consumed)
        }
        guard let header, input.count - inputStart >= header.payloadBytes else { return nil }
        self.header = nil
        var payload = Array(input[inputStart..<(inputStart + header.payloadBytes)])
        drop(header.payloadBytes)
        if let mask = header.mask { payload.applyWebSocketMask(mask, from: 0) }
        return (header, payload)
    }

    /// What can be said before the payload is here.
    private func check(_ header: WebSocketFrameHeader) throws(WebSocketError) {
        guard (header.mask != nil) == (role == .server) else {
            throw .protocolError(role == .server ? "a client's frame is not masked" : "a server's frame is masked")
        }
        switch header.opcode {
        case .continuation:
            guard let message else { throw .protocolError("a continuation of no message") }
            guard message.fragments < limits.maxFragments else { throw .tooLarge(limitBytes: limits.maxMessageBytes) }
        case .text, .binary:
            guard message == nil else { throw .protocolError("a message begins within another") }
        case .close, .ping, .pong: return
        }
        guard header.payloadBytes <= limits.maxMessageBytes - (message?.bytes.count ?? 0) else {
            throw .tooLarge(limitBytes: limits.maxMessageBytes)
        }
    }

    private mutating func take(_ header: WebSocketFrameHeader, _ payload: [UInt8]) throws(WebSocketError) -> Event? {
        switch header.opcode {
        case .ping:
            // After our close nothing is sent any more (§5.5.1).
            if state == .open { unanswered = payload }
            return .ping(payload)
        case .pong: return .pong(payload)
        case .close: return try takeClose(payload)
        case .text, .binary:
            guard !header.isFinal else { return try Self.whole(isText: header.opcode == .text, payload) }
            message = (header.opcode == .text, payload, 1)
            return nil
        case .continuation:
            // `check` has seen that there is a message.
            guard let (isText, _, _) = message else { return nil }
            message?.bytes += payload
            message?.fragments += 1
            guard header.isFinal, let bytes = message?.bytes else { return nil }
            message = nil
            return try Self.whole(isText: isText, bytes)
        }
    }

    private static func whole(isText: Bool, _ bytes: [UInt8]) throws(WebSocketError) -> Event {
        guard isText else { return .binary(bytes) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidText }
        return .text(text)
    }

    private mutating func takeClose(_ payload: [UInt8]) throws(WebSocketError) -> Event {
        var code: WebSocketCloseCode?
        var reason = ""
        if !payload.isEmpty {
            guard payload.count >= 2 else { throw .protocolError("a close with half a code") }
            let given = WebSocketCloseCode(rawValue: UInt16(payload[0]) << 8 | UInt16(payload[1]))
            guard given.isSendable else { throw .protocolError("close code \(given.rawValue)") }
            guard let text = String(validating: payload[2...], as: UTF8.self) else { throw .invalidText }
            (code, reason) = (given, text)
        }
        if state == .open { append(.close, Array(payload.prefix(2))) }
        state = .closed
        return .closed(code, reason: reason)
    }

    private mutating func fail(_ error: WebSocketError) -> Event {
        if state == .open, let code = error.closeCode { append(.close, Self.closePayload(code, reason: "")) }
        state = .failed(error)
        (input, inputStart, message, header) = ([], 0, nil, nil)
        return .failed(error)
    }

    private mutating func drop(_ count: Int) {
        inputStart += count
        if inputStart == input.count {
            input.removeAll(keepingCapacity: input.capacity <= 1 << 16)
            inputStart = 0
        } else if inputStart > 1 << 16 {
            input.removeFirst(inputStart)
            inputStart = 0
        }
    }

    // MARK: - Sending

    package mutating func send(_ text: String) throws(WebSocketError) { try send(.text, Array(text.utf8)) }
    package mutating func send(_ bytes: [UInt8]) throws(WebSocketError) { try send(.binary, bytes) }

    /// At most 125 bytes.
    package mutating func ping(_ bytes: [UInt8] = []) throws(WebSocketError) {
        precondition(bytes.count <= WebSocketFrameHeader.maxControlBytes, "a ping has at most 125 bytes")
        try send(.ping, bytes)
    }

    /// Says that we send nothing more. Messages of the peer may still come until its own close.
    package mutating func close(_ code: WebSocketCloseCode? = .normal, reason: String = "") {
        guard state == .open else { return }
        append(.close, code.map { Self.closePayload($0, reason: reason) } ?? [])
        state = .closing
    }

    private mutating func send(_ opcode: WebSocketFrameHeader.Opcode, _ payload: [UInt8]) throws(WebSocketError) {
        switch state {
        case .open: append(opcode, payload)
        case .closing, .closed: throw .closed
        case .failed(let error): throw error
        }
    }

    private mutating func answerPing() {
        guard let payload = unanswered else { return }
        unanswered = nil
        write(.pong, payload)
    }

    /// After the answer that is due: nothing comes after a close.
    private mutating func append(_ opcode: WebSocketFrameHeader.Opcode, _ payload: [UInt8]) {
        answerPing()
        write(opcode, payload)
    }

    private mutating func write(_ opcode: WebSocketFrameHeader.Opcode, _ payload: [UInt8]) {
        var mask: UInt32?
        if role == .client { mask = UInt32(truncatingIfNeeded: random.next()) }
        outgoing.reserveCapacity(outgoing.count + payload.count + 14)
        WebSocketFrameHeader(isFinal: true, opcode: opcode, mask: mask, payloadBytes: payload.count).write(to: &outgoing)
        let start = outgoing.count
        outgoing += payload
        if let mask { outgoing.applyWebSocketMask(mask, from: start) }
    }

    /// The reason is cut to what a control frame can hold, never within a character.
    private static func closePayload(_ code: WebSocketCloseCode, reason: String) -> [UInt8] {
        precondition(code.isSendable, "close code \(code.rawValue) is not for sending")
        var text = Substring(reason)
        while text.utf8.count > WebSocketFrameHeader.maxControlBytes - 2 { text = text.dropLast() }
        return [UInt8(code.rawValue >> 8), UInt8(code.rawValue & 0xff)] + Array(text.utf8)
    }
}
