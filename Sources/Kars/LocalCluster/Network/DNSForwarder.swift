import KarsCore
import Synchronization

/// Passes questions on to the machine's name servers, from the machine's own network.
final class DNSForwarder: Sendable {
    struct Config: Sendable {
        /// For each name server.
        var limit = Duration.seconds(2)
        /// Name servers asked, one after the other.
        var maxServers = 3
        /// Questions under way at one time, and of one pod.
        var maxInFlight = 128
        var maxPerClient = 32
        /// How long the list of name servers is good.
        var memory = Duration.seconds(5)
    }

    private struct State {
        var clients: [IPAddress: Int] = [:]
        var total = 0
        var servers: [SocketAddress] = []
        var read: Instant?
    }

    private let config: Config
    private let group: EventLoopGroup
    private let servers: @Sendable () -> [SocketAddress]
    private let state = Mutex(State())

    /// `servers`: reads the machine's name servers.
    init(
        config: Config = Config(), group: EventLoopGroup,
        servers: @escaping @Sendable () -> [SocketAddress] = DNSForwarder.machineServers
    ) {
        self.config = config
        self.group = group
        self.servers = servers
    }

    /// Of /etc/resolv.conf, in their order.
    static let machineServers: @Sendable () -> [SocketAddress] = {
        // A machine without the file has none.
        let text = (try? Files.read("/etc/resolv.conf", upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return servers(in: text)
    }

    static func servers(in text: String) -> [SocketAddress] {
        text.split(separator: "\n").compactMap { line in
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count >= 2, words[0] == "nameserver" else { return nil }
            return IPAddress(words[1]).map { SocketAddress($0, port: 53) }
        }
    }

    /// The answer of the first name server that has one; nil when none has, or too many questions are under way.
    func forward(_ message: [UInt8], overUDP: Bool, client: IPAddress) async -> [UInt8]? {
        guard message.count >= 12, enter(client) else { return nil }
        defer { leave(client) }
        for server in current().prefix(config.maxServers) {
            do throws(StreamError) {
                if let answer = try await ask(server, message, overUDP: overUDP) { return answer }
            } catch {
                if error.code == .cancelled { return nil }
            }
        }
        return nil
    }

    /// Under another id, so that a pod cannot foresee what another's question looks like.
    private func ask(_ server: SocketAddress, _ message: [UInt8], overUDP: Bool) async throws(StreamError) -> [UInt8]? {
        let loop = group.currentOrNext(), deadline = Instant.now().advanced(by: config.limit)
        let id = UInt16.random(in: 0...UInt16.max)
        let question = [UInt8(id >> 8), UInt8(id & 255)] + message[2...]
        let stream =
            overUDP
            ? try await ByteStream.connectDatagrams(to: server, on: loop)
            : try await ByteStream.connect(to: server, on: loop, within: config.limit)
        do throws(StreamError) {
            let length = overUDP ? [] : [UInt8(question.count >> 8), UInt8(question.count & 255)]
            try await stream.write(length + question, within: config.limit)
            try await stream.flush(within: config.limit)
            var received: [UInt8] = []
            while case let left = deadline.duration(since: .now()), left > .zero {
                guard let bytes = try await stream.read(within: left) else { break }
                received = overUDP ? bytes : received + bytes
                let answer: ArraySlice<UInt8>
                if overUDP {
                    answer = received[...]
                } else {
                    guard received.count >= 2, case let end = 2 + (Int(received[0]) << 8 | Int(received[1])),
                        received.count >= end
                    else { continue }
                    answer = received[2..<end]
                }
                // Not an answer to this question: somebody guesses.
                guard answer.count >= 12, answer.prefix(2).elementsEqual(question[..<2]),
                    answer[answer.startIndex + 2] & 0x80 != 0
                else { continue }
                await stream.close()
                return Array(message[..<2]) + answer.dropFirst(2)
            }
        } catch {
            await stream.close()
            throw error
        }
        await stream.close()
        return nil
    }

    private func current() -> [SocketAddress] {
        let now = Instant.now()
        if let known = state.withLock({ state in state.read.flatMap { now < $0.advanced(by: config.memory) ? state.servers : nil }
        }) {
            return known
        }
        let servers = servers()
        state.withLock { ($0.servers, $0.read) = (servers, now) }
        return servers
    }

    private func enter(_ client: IPAddress) -> Bool {
        state.withLock { state in
            guard state.total < config.maxInFlight, state.clients[client, default: 0] < config.maxPerClient else { return false }
            state.total += 1
            state.clients[client, default: 0] += 1
            return true
        }
    }

    private func leave(_ client: IPAddress) {
        state.withLock { state in
            state.total -= 1
            let left = (state.clients[client] ?? 1) - 1
            state.clients[client] = left > 0 ? left : nil
        }
    }
}
