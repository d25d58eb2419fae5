import KarsCore

/// GET `pods/NAME/log`: what a container has written, and with `follow` what it goes on to write.
struct PodLogs: SubresourceHandler {
    let pods: NodePods
    let time: any TimeSource

    let methods: Set<HTTPMethod> = [.get]

    /// Between two looks at a log that is followed.
    private static let followInterval = Duration.milliseconds(100)

    func handle(_ request: HTTPServerRequest, _ response: HTTPServerResponse, info: RequestInfo) async throws {
        let wanted = try LogRequest(QueryItems(request.head.query), now: info.now)
        let (pod, assigned) = try await pods.find(info)
        guard let worker = assigned else {
            // It runs nowhere yet: there is nothing to tell, of a container that it has.
            _ = try pod.container(toServe: wanted.container)
            return try await response.send(HTTPResponseHead(status: 204), body: [])
        }
        let target = try await worker.log(of: wanted)
        try await response.start(HTTPResponseHead(status: 200, headers: ["content-type": "text/plain"]))
        var sender = LogSender(request: wanted, response: response)
        var file = LogFile(path: target.path)
        try await send(&file, all: true, &sender)
        while wanted.follows, !sender.isFull {
            let hasEnded = await !worker.isWriting(target)
            try await send(&file, all: false, &sender)
            if hasEnded { break }
            try await time.sleep(for: Self.followInterval)
        }
        try await response.finish()
    }

    /// Everything that is there now; with `all`, only the end of it when only that is wanted.
    private func send(_ file: inout LogFile, all: Bool, _ sender: inout LogSender) async throws {
        var held: [LogText.Line] = []
        while !sender.isFull {
            let before = file
            let (lines, after) = try await LocalPod.blocking {
                var file = before
                let lines = try file.next()
                return (lines, file)
            }
            file = after
            if lines.isEmpty { break }
            if all, let count = sender.request.tailLines {
                held = Array(LogText.last(count, of: held + lines.filter(sender.request.wants)))
            } else {
                try await sender.send(lines)
            }
        }
        try await sender.send(held)
    }
}

/// Sends lines until as many bytes are sent as are wanted.
private struct LogSender {
    let request: LogRequest
    let response: HTTPServerResponse
    private var sent = 0

    init(request: LogRequest, response: HTTPServerResponse) {
        self.request = request
        self.response = response
    }

    var isFull: Bool { request.limitBytes.map { sent >= $0 } ?? false }

    mutating func send(_ lines: [LogText.Line]) async throws {
        var bytes: [UInt8] = []
        for line in lines where request.wants(line) { bytes += request.rendered(line) }
        if let limit = request.limitBytes { bytes = Array(bytes.prefix(limit - sent)) }
        guard !bytes.isEmpty else { return }
        sent += bytes.count
        try await response.write(bytes)
    }
}

/// One run of a container, by its log.
struct LogTarget: Sendable {
    var container: String
    var id: String
    var path: String
}

extension PodWorker {
    func log(of request: LogRequest) throws(APIStatus) -> LogTarget {
        let container = try container(named: request.container)
        guard let life = machine.lives[container.name] else {
            throw .badRequest("container \(container.name) is not valid for pod \(machine.pod.name)")
        }
        let present = life.isShownRunning || life.activity == .stopping ? life.runID : life.termination.flatMap(Self.runID)
        guard request.previous else {
            guard let id = present ?? life.runID else {
                throw .badRequest(
                    "container \"\(container.name)\" in pod \"\(machine.pod.name)\" is waiting to start: \(reason(of: life))")
            }
            return LogTarget(container: container.name, id: id, path: logPath(container.name, id))
        }
        guard let id = life.last.flatMap(Self.runID) else {
            throw .badRequest(
                "previous terminated container \"\(container.name)\" in pod \"\(machine.pod.name)\" not found")
        }
        return LogTarget(container: container.name, id: id, path: logPath(container.name, id))
    }

    func container(named name: String?) throws(APIStatus) -> NodeContainer { try machine.pod.container(toServe: name) }

    func isWriting(_ target: LogTarget) -> Bool {
        guard let life = machine.lives[target.container] else { return false }
        return life.runID == target.id && !life.isIdle
    }

    private func reason(of life: ContainerLife) -> String {
        guard case .waiting(let reason?, _) = life.shown else {
            return machine.pod.initContainers.isEmpty ? "ContainerCreating" : "PodInitializing"
        }
        return reason
    }

    private static func runID(_ end: Termination) -> String? { end.containerID.map { String($0.dropFirst("kars://".count)) } }
}

extension NodePod {
    /// The container that is named, or the only one.
    func container(toServe name: String?) throws(APIStatus) -> NodeContainer {
        guard let name else {
            if containers.count == 1 { return containers[0] }
            throw .badRequest(
                "a container name must be specified for pod \(self.name), choose one of: "
                    + "[\(allContainers.map(\.name).joined(separator: " "))]")
        }
        guard let container = container(name) else {
            throw .badRequest("container \(name) is not valid for pod \(self.name)")
        }
        return container
    }
}
