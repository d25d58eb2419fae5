import Synchronization

/// Both transports of a name server, which give each message to one function and send its answer back.
package final class DNSServer: Sendable {
    package struct Config: Sendable {
        /// UDP questions being answered at one time; more are dropped, and the client asks again.
        package var maxInFlight = 256
        package var maxConnections = 64
        /// Silence after which a connection is closed.
        package var idle = Duration.seconds(10)

        package init() {}
    }

    /// A message, whether it came over UDP, and from whom; nil for one that deserves no answer.
    package typealias Answerer = @Sendable (_ message: [UInt8], _ overUDP: Bool, _ client: IPAddress) async -> [UInt8]?

    private let config: Config
    private let answer: Answerer
    private let inFlight = Atomic<Int>(0)

    package init(config: Config = Config(), answer: @escaping Answerer) {
        self.config = config
        self.answer = answer
    }

    package struct Listeners: Sendable {
        let datagrams: DatagramSocket
        let streams: TCPListener
        package var address: SocketAddress { datagrams.address }

        package func close() async {
            await datagrams.close()
            await streams.close()
        }
    }

    /// Serves an address over UDP and TCP.
    package func bind(_ address: SocketAddress, on group: EventLoopGroup) async throws(SocketError) -> Listeners {
        let datagrams = try await DatagramSocket.bind(address, on: group.next()) { self.receive($1, from: $2, on: $0) }
        do throws(SocketError) {
            let streams = try await TCPListener.bind(datagrams.address, config: listening, group: group) { await self.serve($0) }
            return Listeners(datagrams: datagrams, streams: streams)
        } catch {
            await datagrams.close()
            throw error
        }
    }

    /// Serves two sockets that are bound already, perhaps in another network namespace; takes both over.
    package func adopt(datagrams: CInt, streams: CInt, on group: EventLoopGroup) async throws(SocketError) -> Listeners {
        let adopted: DatagramSocket
        do throws(SocketError) {
            adopted = try await DatagramSocket.adopt(datagrams, on: group.next()) { self.receive($1, from: $2, on: $0) }
        } catch {
            Socket.discard(streams)
            throw error
        }
        do throws(SocketError) {
            let listener = try await TCPListener.adopt(streams, config: listening, group: group) { await self.serve($0) }
            return Listeners(datagrams: adopted, streams: listener)
        } catch {
            await adopted.close()
            throw error
        }
    }

    private var listening: ListenerConfig {
        var listening = ListenerConfig()
        listening.maxConnections = config.maxConnections
        return listening
    }

    private func receive(_ bytes: [UInt8], from sender: SocketAddress, on socket: DatagramSocket) {
        guard inFlight.add(1, ordering: .relaxed).newValue <= config.maxInFlight else {
            inFlight.subtract(1, ordering: .relaxed)
            return
        }
        // Unstructured: it bridges from the socket's callback; bounded by `maxInFlight` and ends by itself.
        Task {
            if let answer = await self.answer(bytes, true, sender.ip) { socket.send(answer, to: sender) }
            self.inFlight.subtract(1, ordering: .relaxed)
        }
    }

    /// Messages with a length before each (RFC 1035 §4.2.2), one after another.
    private func serve(_ client: ByteStream) async {
        var bytes: [UInt8] = []
        while true {
            while bytes.count >= 2, case let end = 2 + (Int(bytes[0]) << 8 | Int(bytes[1])), bytes.count >= end {
                let message = Array(bytes[2..<end])
                bytes.removeFirst(end)
                guard let answer = await answer(message, false, client.peer?.ip ?? .anyV4) else { return }
                do throws(StreamError) {
                    try await client.write(UInt16(answer.count).networkBytes + answer, within: config.idle)
                } catch {
                    return
                }
            }
            guard let more = try? await client.read(within: config.idle) else {
                // Ended, broken or silent: all that is left is what the kernel has not taken yet.
                _ = try? await client.flush(within: config.idle)
                return
            }
            bytes += more
        }
    }
}
