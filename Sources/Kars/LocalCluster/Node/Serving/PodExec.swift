import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// `pods/NAME/exec` over WebSocket (channel protocol v5 and v4): a command in a container, under its user and limits.
struct PodExec: SubresourceHandler {
    let pods: NodePods
    let group: EventLoopGroup
    /// Threads that read what commands write.
    let threads: BlockingQueue

    let methods: Set<HTTPMethod> = [.get, .post]

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        let query = QueryItems(request.head.query)
        let command = query.all("command")
        guard !command.isEmpty else { throw APIStatus.badRequest("you must specify at least 1 command for the container") }
        let worker = try await pods.worker(info)
        let container = try await worker.container(named: query.text("container"))
        guard await worker.isRunning(container.name) else {
            throw APIStatus(code: 500, reason: .internalError, message: "container not found (\"\(container.name)\")")
        }
        // What is wrong with the request is said before: kubectl, when it is refused, asks again without WebSocket and shows that
        // answer.
        guard WebSocketHandshake.isRequested(request.head) else { throw APIStatus.badRequest("Upgrade request required") }
        let (channel, stream) = try await ChannelStream.accept(request, response)
        let session = ExecConversation(
            channel: channel, local: worker.context.localPod(worker.uid), container: container.name, command: command,
            hasInput: query.flag("stdin") ?? false, hasTerminal: query.flag("tty") ?? false, loop: group.next(), threads: threads)
        await session.run()
        await channel.close()
        _ = stream
    }
}

/// A WebSocket with channels, from the server's side.
struct ChannelStream: Sendable {
    let socket: WebSocket
    let version: ChannelMessage.Version

    /// Changes the request's connection to WebSocket; keep the stream as long as the channels.
    static func accept(
        _ request: HTTPServerRequest, _ response: HTTPServerResponse
    ) async throws -> (ChannelStream, ByteStream) {
        let answer: (head: HTTPResponseHead, protocol: String?)
        do throws(WebSocketHandshake.Refusal) {
            answer = try WebSocketHandshake.answer(
                to: request.head, protocols: ChannelMessage.Version.allCases.map(\.rawValue))
        } catch {
            throw APIStatus(code: error.status, reason: .badRequest, message: error.reason)
        }
        guard let version = answer.protocol.flatMap(ChannelMessage.Version.init(rawValue:)) else {
            throw APIStatus.badRequest("unable to upgrade: no protocol of the client is known; v5 and v4 are")
        }
        let stream = try await response.upgrade(answer.head)
        return (ChannelStream(socket: WebSocket(stream, .server), version: version), stream)
    }

    func send(_ channel: UInt8, _ bytes: [UInt8]) async throws(WebSocketError) {
        try await socket.send(ChannelMessage.data(channel: channel, bytes).bytes)
    }

    /// The last word on the error channel.
    func finish(_ exit: RemoteExit) async {
        // A client that has gone needs none.
        try? await send(ChannelMessage.error, exit.json.encoded())
    }

    func close() async { await socket.close() }
}

extension PodWorker {
    func isRunning(_ name: String) -> Bool {
        guard let life = machine.lives[name] else { return false }
        return life.activity == .running || life.activity == .stopping || (life.activity == .starting && life.containerID != nil)
    }
}
