import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The cluster node's conversation with the supervisor of one of its pods, without a blocked thread.
struct SandboxLink: Sendable {
    let directory: String
    let group: EventLoopGroup

    /// A supervisor that says nothing for so long is treated as gone.
    private static let answerLimit = Duration.seconds(30)
    private static let maxLineBytes = 8 << 20

    /// Starts to listen to the supervisor; throws `.notRunning` when there is none.
    func observe() async throws -> SandboxObservation {
        let lines = try await open(["verb": "observe"])
        return SandboxObservation(lines: lines)
    }

    /// What the supervisor says now; nil when there is none. One that comes up is waited for.
    func report() async throws -> SandboxReport? {
        let report = try await SupervisorLock.whenUp(in: directory) {
            let observation = try await observe()
            let report = try await observation.next()
            await observation.close()
            guard let report else { throw LocalPodError(.notRunning, "the pod's supervisor went away") }
            return report
        }
        return report
    }

    func start(_ setup: ContainerSetup, name: String, id: String, memoryBytes: Int?) async throws {
        var request: JSONObject = [
            "verb": "start", "container": .string(name), "id": .string(id), "setup": setup.json,
        ]
        request["memoryBytes"] = memoryBytes.map { .int($0) }
        _ = try await ask(.object(request))
    }

    func signal(_ number: Int32, name: String, id: String) async throws {
        _ = try await ask(
            ["verb": "signal", "container": .string(name), "id": .string(id), "signal": .int(Int(number))])
    }

    /// Whether the check passed and, when not, what there is to say about it. `probe` has its port as a number.
    func check(_ probe: JSON, timeoutSeconds: Int, container: String) async throws -> (passed: Bool, output: String) {
        let answer = try await ask(
            [
                "verb": "probe", "container": .string(container), "probe": probe,
                "timeoutSeconds": .int(timeoutSeconds),
            ], within: .seconds(timeoutSeconds) + Self.answerLimit)
        return (answer["passed"]?.boolValue ?? false, answer["output"]?.stringValue ?? "")
    }

    /// Ends everything at once; returns when nothing of the pod is left. No supervisor is fine; one that comes up is waited for.
    func end() async throws {
        _ = try await SupervisorLock.whenUp(in: directory) { try await ask(["verb": "stop", "graceMilliseconds": 0]) }
    }

    private func ask(_ request: JSON, within limit: Duration = answerLimit) async throws -> JSON {
        let lines = try await open(request)
        guard let answer = try await lines.next(within: limit) else {
            throw LocalPodError(.notRunning, "the pod's supervisor went away")
        }
        await lines.close()
        try LocalPod.check(answer)
        return answer
    }

    private func open(_ request: JSON) async throws -> JSONLineStream {
        // The path may be longer than a socket's address.
        guard let socket = try await LocalPod.blocking({ [directory] in LocalPod.connectedSocket(in: directory) }) else {
            throw LocalPodError(.notRunning, "the pod's supervisor is not there")
        }
        let stream = try await ByteStream.adopt(socket, on: group.next())
        do throws(StreamError) {
            try await stream.write(request.encoded() + [UInt8(ascii: "\n")])
        } catch {
            await stream.close()
            throw LocalPodError(.notRunning, "the pod's supervisor went away: \(error)")
        }
        return JSONLineStream(stream, maxLineBytes: Self.maxLineBytes)
    }
}

/// What a supervisor tells, from the present state on.
struct SandboxObservation: Sendable {
    fileprivate let lines: JSONLineStream

    /// The next state; nil when the supervisor has gone, and everything of the pod with it.
    func next() async throws -> SandboxReport? {
        guard let line = try await lines.next(within: nil) else { return nil }
        guard let report = SandboxReport(json: line) else {
            try LocalPod.check(line)
            throw LocalPodError(.failed, "the supervisor is of another version")
        }
        return report
    }

    func close() async { await lines.close() }
}

/// Lines of JSON from a stream. One reader at a time.
actor JSONLineStream {
    private let stream: ByteStream
    private let maxLineBytes: Int
    private var bytes: [UInt8] = []

    init(_ stream: ByteStream, maxLineBytes: Int) {
        self.stream = stream
        self.maxLineBytes = maxLineBytes
    }

    /// nil at the end, also when the other side broke off.
    func next(within limit: Duration?) async throws -> JSON? {
        while true {
            if let end = bytes.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(bytes[..<end])
                bytes.removeFirst(end + 1)
                return try JSON(parsing: line)
            }
            guard bytes.count <= maxLineBytes else { throw LocalPodError(.failed, "a line of more than \(maxLineBytes) bytes") }
            do throws(StreamError) {
                guard let more = try await stream.read(within: limit) else { return nil }
                bytes += more
            } catch {
                if error.code == .cancelled { throw CancellationError() }
                if error.code == .timedOut { throw LocalPodError(.failed, "no answer in time") }
                return nil
            }
        }
    }

    func close() async { await stream.close() }
}
