import KarsCore

/// `pods/NAME/attach` over WebSocket: what the container's own process writes from now on, until it ends. Its standard input is not kept
/// open here, and a request for it is refused.
struct PodAttach: SubresourceHandler {
    let pods: NodePods
    let time: any TimeSource

    let methods: Set<HTTPMethod> = [.get, .post]

    private static let interval = Duration.milliseconds(100)

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        let query = QueryItems(request.head.query)
        let worker = try await pods.worker(info)
        let container = try await worker.container(named: query.text("container"))
        guard await worker.isRunning(container.name) else {
            throw APIStatus(code: 500, reason: .internalError, message: "container not found (\"\(container.name)\")")
        }
        guard query.flag("stdin") != true else {
            throw APIStatus.badRequest("container \(container.name) has no standard input: this node keeps none open; use exec")
        }
        guard WebSocketHandshake.isRequested(request.head) else { throw APIStatus.badRequest("Upgrade request required") }
        var wanted = try LogRequest(QueryItems(nil as String?), now: info.now)
        wanted.container = container.name
        let target = try await worker.log(of: wanted)
        let (channel, _) = try await ChannelStream.accept(request, response)
        await withDiscardingTaskGroup { group in
            group.addTask {
                // Nothing of it matters but that it ends.
                while (try? await channel.socket.receive()) != nil {}
            }
            await channel.finish(await follow(target, of: worker, to: channel))
            await channel.close()
            group.cancelAll()
        }
    }

    private func follow(_ target: LogTarget, of worker: PodWorker, to channel: ChannelStream) async -> RemoteExit {
        do {
            var file = LogFile(path: target.path)
            _ = try await lines(&file)
            while true {
                let hasEnded = await !worker.isWriting(target)
                let bytes = try await lines(&file).flatMap { Array($0.text) + ($0.isWhole ? [UInt8(ascii: "\n")] : []) }
                if !bytes.isEmpty { try await channel.send(ChannelMessage.stdout, bytes) }
                if hasEnded { return .code(0) }
                try await time.sleep(for: Self.interval)
            }
        } catch {
            return .failed(APIStatus(code: 500, reason: .internalError, message: "\(error)"))
        }
    }

    /// Everything that is there now.
    private func lines(_ file: inout LogFile) async throws -> [LogText.Line] {
        var all: [LogText.Line] = []
        while true {
            let before = file
            let (lines, after) = try await LocalPod.blocking {
                var file = before
                let lines = try file.next()
                return (lines, file)
            }
            file = after
            if lines.isEmpty { return all }
            all += lines
        }
    }
}
