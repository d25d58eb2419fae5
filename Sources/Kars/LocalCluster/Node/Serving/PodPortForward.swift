import KarsCore

/// `pods/NAME/portforward` over WebSocket: connections to ports of a pod. kubectl puts SPDY/3.1 into the WebSocket (KEP-4006), with a pair
/// of streams for each connection; our own client speaks version 4 of the channel protocol, with a pair of channels for each port.
struct PodPortForward: SubresourceHandler {
    let pods: NodePods
    let group: EventLoopGroup

    let methods: Set<HTTPMethod> = [.get, .post]

    static let tunnel = "SPDY/3.1+portforward.k8s.io"

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        let worker = try await pods.worker(info)
        guard await worker.machine.stage == .up else {
            throw APIStatus.badRequest(
                "unable to forward port because pod is not running. Current status=\(await worker.machine.phase.rawValue)")
        }
        guard WebSocketHandshake.isRequested(request.head) else { throw APIStatus.badRequest("Upgrade request required") }
        let answer: (head: HTTPResponseHead, protocol: String?)
        do throws(WebSocketHandshake.Refusal) {
            answer = try WebSocketHandshake.answer(
                to: request.head, protocols: [Self.tunnel, ChannelMessage.Version.v4.rawValue])
        } catch {
            throw APIStatus(code: error.status, reason: .badRequest, message: error.reason)
        }
        let dialer = PodDialer(local: worker.context.localPod(worker.uid), loop: group.next())
        switch answer.protocol {
        case Self.tunnel:
            let stream = try await response.upgrade(answer.head)
            await SPDYForwarding(socket: WebSocket(stream, .server), dialer: dialer).run()
        case ChannelMessage.Version.v4.rawValue:
            let ports = QueryItems(request.head.query).all("ports").flatMap { $0.split(separator: ",") }.compactMap { UInt16($0) }
            guard !ports.isEmpty, ports.count <= 64, !ports.contains(0) else {
                throw APIStatus.badRequest("query parameter \"ports\" is required")
            }
            let stream = try await response.upgrade(answer.head)
            await ChannelForwarding(socket: WebSocket(stream, .server), ports: ports, dialer: dialer).run()
        default: throw APIStatus.badRequest("unable to upgrade: expected \(Self.tunnel) or v4.channel.k8s.io")
        }
    }
}

/// Connects to ports of one pod.
struct PodDialer: Sendable {
    let local: LocalPod
    let loop: EventLoop

    func connect(to port: UInt16) async throws -> ByteStream {
        let descriptor: Int32
        do { descriptor = try await local.dial(port: port) } catch {
            throw LocalPodError(.connectFailed, "failed to connect to localhost:\(port) inside the pod: \(error)")
        }
        return try await ByteStream.adopt(descriptor, on: loop)
    }
}

/// Version 4: the channels 2i and 2i+1 are data and error of port i; each begins with the number of the port.
struct ChannelForwarding: Sendable {
    let socket: WebSocket
    let ports: [UInt16]
    let dialer: PodDialer

    func run() async {
        var lanes: [ForwardLane] = []
        for _ in ports { lanes.append(ForwardLane()) }
        let all = lanes
        await withDiscardingTaskGroup { group in
            for (index, port) in ports.enumerated() {
                let lane = all[index], data = UInt8(2 * index)
                group.addTask {
                    let number = [UInt8(port & 0xff), UInt8(port >> 8)]
                    for channel in [data, data + 1] { await send(channel, number) }
                    let failure = await lane.run(to: port, dialer) { await send(data, $0) }
                    if let failure { await send(data + 1, Array(failure.utf8)) }
                    // One connection per port: the WebSocket ends with the last of them.
                    if all.allSatisfy(\.hasEnded) { await socket.close() }
                }
            }
            while let message = try? await socket.receive() {
                guard case .binary(let bytes) = message, let channel = bytes.first, Int(channel) / 2 < all.count else { break }
                if channel % 2 == 0, bytes.count > 1 { all[Int(channel) / 2].take(Array(bytes.dropFirst())) }
            }
            for lane in all { lane.end() }
            group.cancelAll()
        }
        await socket.close()
    }

    private func send(_ channel: UInt8, _ bytes: [UInt8]) async {
        // A client that has gone reads nothing; its end is noticed by whoever receives.
        try? await socket.send(ChannelMessage.data(channel: channel, bytes).bytes)
    }
}
