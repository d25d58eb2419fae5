import KarsCore

/// One plain HTTP request and its answer between two streams, bodies passed on as they come.
struct HTTPExchange: Sendable {
    let client: ByteStream
    let upstream: ByteStream
    /// Longest silence of either side.
    let idle: Duration

    /// False when the origin gave no usable answer and nothing was sent to the client.
    func run(_ request: ForwardedRequest, _ method: HTTPMethod, _ framing: HTTPBodyFraming) async -> Bool {
        do { try await upstream.write(request.head, within: idle) } catch { return false }
        return await withTaskGroup(of: Bool?.self) { group in
            group.addTask {
                // When the body cannot be read the origin must not take what came for the whole.
                if !(await sendBody(framing)) { await upstream.close() }
                return nil
            }
            group.addTask { await relayAnswer(method) }
            var hasBegun = false
            for await result in group {
                guard let result else { continue }
                hasBegun = result
                group.cancelAll()
            }
            return hasBegun
        }
    }

    private func sendBody(_ framing: HTTPBodyFraming) async -> Bool {
        var meter = BodyMeter(framing)
        do {
            while !meter.isComplete {
                guard let bytes = try await client.read(within: idle) else { return false }
                try await upstream.write(try meter.take(bytes), within: idle)
            }
            return true
        } catch {
            return false
        }
    }

    private func relayAnswer(_ method: HTTPMethod) async -> Bool {
        var parser = HTTP1ResponseParser(answering: method)
        var bytes: [UInt8] = []
        var hasBegun = false
        do {
            while true {
                switch try parser.parse(bytes) {
                case .needMoreBytes:
                    guard let more = try await upstream.read(within: idle) else { return hasBegun }
                    bytes += more
                case .head(let head, let framing, let consumed):
                    bytes.removeFirst(consumed)
                    hasBegun = true
                    try await client.write(ForwardedResponse.head(head, framing), within: idle)
                    if head.status < 200 {
                        parser = HTTP1ResponseParser(answering: method)
                        continue
                    }
                    try await relayBody(framing, bytes)
                    try await client.flush(within: idle)
                    await client.shutdownWrite()
                    return true
                }
            }
        } catch {
            return hasBegun
        }
    }

    private func relayBody(_ framing: HTTPBodyFraming, _ first: [UInt8]) async throws {
        var meter = BodyMeter(framing)
        var bytes = first
        while true {
            try await client.write(try meter.take(bytes), within: idle)
            if meter.isComplete { return }
            guard let more = try await upstream.read(within: idle) else {
                // The client must notice that something is missing: no orderly end.
                if !meter.endsWithStream { await client.close() }
                return
            }
            bytes = more
        }
    }
}
