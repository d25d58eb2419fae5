import CLinux
import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Why something about a pod on this machine did not work.
struct LocalPodError: Error, Equatable, CustomStringConvertible {
    enum Code: String, Sendable {
        case alreadyRunning = "AlreadyRunning"
        case notRunning = "NotRunning"
        case notFound = "NotFound"
        case initContainerFailed = "InitContainerFailed"
        case networkFailed = "NetworkFailed"
        case containerFailed = "ContainerFailed"
        case connectFailed = "ConnectFailed"
        case execFailed = "ExecFailed"
        case failed = "Failed"
    }

    var code: Code
    var message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    var description: String { message }
}

/// A pod on this machine, by the directory of its sandbox: starts it, asks it, ends it. Any number of processes may.
struct LocalPod: Sendable {
    let directory: String
    /// The kars that supervises and that is put into containers: the running one.
    var executable = HiddenStage.executable()

    static let answerLimit = 1 << 20

    // MARK: Life

    /// Starts the pod in the background and returns once its init containers have succeeded and every container's command
    /// runs. Fails with what the failing container said. The secrets of `launch` go through memory only.
    func start(_ launch: PodLaunch) async throws {
        try Files.createDirectories(directory, mode: 0o700)
        try AtomicFile.write(
            launch.pod.json.encoded(pretty: true) + [UInt8(ascii: "\n")], to: "\(directory)/pod.json", mode: 0o600)
        let bytes = launch.jsonWithSecrets().encoded(), directory = directory, executable = executable
        let line = try await Self.blocking { try Self.spawnSupervisor(executable, launch: bytes, directory: directory) }
        try Self.check(try JSON(parsing: line))
    }

    private static func spawnSupervisor(_ executable: String, launch: [UInt8], directory: String) throws -> [UInt8] {
        let lock = try SupervisorLock.take(in: directory)
        defer { close(lock) }
        try Files.createDirectories("\(directory)/logs", mode: 0o700)
        let memory = try Descriptors.memoryFile("kars-launch", launch)
        defer { close(memory) }
        var ready: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ready), "pipe")
        defer { close(ready[0]) }
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let logPath = "\(directory)/logs/supervisor.log"
        let log = try StageError.check(open(logPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600), "opening \(logPath)")
        defer { close(log) }
        let words = CStrings(["kars", HiddenStage.supervisor.rawValue, directory])
        let environment = CStrings(["PATH=\(Programs.path)"])
        let process = kars_spawn(
            executable, words.pointers, environment.pointers, [null, null, log, memory, ready[1], lock], 6)
        let failure = errno
        close(ready[1])
        guard process > 0 else { throw StageError("starting the supervisor", errno: failure) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        let answer = Descriptors.readAll(ready[0], upTo: answerLimit)
        guard !answer.isEmpty else {
            // It only adds to an error that is told anyway.
            let said = (try? Files.read(logPath, upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            throw LocalPodError(.failed, "the supervisor ended unexpectedly: \(said.trimmingWhitespace())")
        }
        return answer
    }

    /// From `status.json`; a pod without a living supervisor is stopped whatever the file says. nil: never started.
    func status() throws -> PodStatus? {
        guard let bytes = try Files.readIfPresent("\(directory)/status.json", upTo: Self.answerLimit) else { return nil }
        guard var status = PodStatus(json: try JSON(parsing: bytes)) else {
            throw LocalPodError(.failed, "\(directory)/status.json is not a status of this version")
        }
        if let socket = Self.connectedSocket(in: directory) {
            close(socket)
            return status
        }
        if ![.stopped, .failed, .succeeded].contains(status.phase) {
            status.phase = .stopped
            status.reason = "SupervisorGone"
            status.message = "the supervisor is gone"
        }
        status.isReady = false
        status.supervisorPid = nil
        return status
    }

    /// Ends every container, by SIGTERM and after `grace` by SIGKILL, and returns when nothing is left. Stopped already is fine.
    ///
    /// - Returns: whether there was something to end.
    @discardableResult
    func stop(grace: Duration = .seconds(10)) async throws -> Bool {
        let milliseconds = Int(grace.wholeNanoseconds / 1_000_000)
        let answer = try await SupervisorLock.whenUp(in: directory) {
            try await ask(["verb": "stop", "graceMilliseconds": .number(JSONNumber(milliseconds))])
        }
        return answer != nil
    }

    func restart(container: String) async throws {
        _ = try await ask(["verb": "restart", "container": .string(container)])
    }

    func logPath(container: String) -> String { "\(directory)/logs/\(container).log" }

    /// Removes the sandbox's directory, files that belong to users of the pod included. The pod must be stopped.
    func remove() async throws {
        let directory = directory, executable = executable
        if let socket = Self.connectedSocket(in: directory) {
            close(socket)
            throw LocalPodError(.alreadyRunning, "the sandbox is running")
        }
        try await Self.blocking { try PodDirectory(path: directory, executable: executable).remove() }
    }

    // MARK: Conversation

    /// A TCP connection to a port on the pod's loopback, as a non-blocking descriptor that the caller owns.
    func dial(port: UInt16) async throws -> Int32 {
        let directory = directory
        return try await Self.blocking {
            let socket = try Self.connect(to: directory)
            defer { close(socket) }
            try Self.send(["verb": "dial", "port": .number(JSONNumber(Int(port)))], to: socket)
            let (answer, descriptors) = try Self.receive(from: socket)
            try Self.check(answer)
            guard let descriptor = descriptors.first else { throw LocalPodError(.connectFailed, "no connection came") }
            return descriptor
        }
    }

    /// Runs a command in a container on this process's standard streams and returns its exit code. On a terminal the command
    /// gets a terminal of its own, relayed; the person's own never enters the sandbox.
    func exec(
        _ command: [String], container: String? = nil, environment: [String] = [], workingDirectory: String? = nil
    ) async throws -> Int32 {
        var request: JSONObject = JSONObject([
            ("verb", "exec"), ("command", .array(command.map { .string($0) })),
            ("environment", .array(environment.map { .string($0) })),
        ])
        request["container"] = container.map { .string($0) }
        request["workingDirectory"] = workingDirectory.map { .string($0) }
        let directory = directory, finished = request
        return try await Self.blocking {
            let socket = try Self.connect(to: directory)
            defer { close(socket) }
            if isatty(0) == 1, isatty(1) == 1 {
                return try TerminalRelay(socket: socket).run(finished)
            }
            return try Self.exec(finished, streams: StandardStreams.forSandbox(), over: socket)
        }
    }

    /// The same on given descriptors, which stay the caller's: standard input, output, error.
    func exec(_ command: [String], container: String? = nil, streams: [Int32]) async throws -> Int32 {
        var request = JSONObject([("verb", "exec"), ("command", .array(command.map { .string($0) }))])
        request["container"] = container.map { .string($0) }
        let directory = directory, finished = request
        return try await Self.blocking {
            let socket = try Self.connect(to: directory)
            defer { close(socket) }
            return try Self.exec(finished, streams: StandardStreams(descriptors: streams), over: socket)
        }
    }

    private static func exec(_ request: JSONObject, streams: StandardStreams, over socket: Int32) throws -> Int32 {
        try send(.object(request), to: socket, with: streams.descriptors)
        streams.handedOver()
        let (answer, _) = try receive(from: socket)
        streams.finish()
        try check(answer)
        return Int32(answer["exitCode"]?.intValue ?? 1)
    }

    private func ask(_ request: JSON) async throws -> JSON {
        let directory = directory
        return try await Self.blocking {
            let socket = try Self.connect(to: directory)
            defer { close(socket) }
            try Self.send(request, to: socket)
            let (answer, _) = try Self.receive(from: socket)
            try Self.check(answer)
            return answer
        }
    }

    // MARK: Wire

    /// nil when no supervisor lives there.
    static func connectedSocket(in directory: String) -> Int32? {
        let descriptor = kars_connect_unix("\(directory)/supervisor.sock")
        return descriptor >= 0 ? descriptor : nil
    }

    private static func connect(to directory: String) throws -> Int32 {
        guard let socket = connectedSocket(in: directory) else { throw LocalPodError(.notRunning, "the sandbox is not running") }
        return socket
    }

    static func send(_ request: JSON, to socket: Int32, with descriptors: [Int32] = []) throws {
        let line = request.encoded() + [UInt8(ascii: "\n")]
        let sent = kars_send_descriptors(socket, line, line.count, descriptors, descriptors.count)
        guard sent > 0 else { throw StageError("asking the supervisor", errno: errno) }
        if sent < line.count { Descriptors.writeAll(line[sent...], to: socket) }
    }

    static func receive(from socket: Int32) throws -> (JSON, [Int32]) {
        var bytes: [UInt8] = [], descriptors: [Int32] = []
        while !bytes.contains(UInt8(ascii: "\n")), bytes.count < answerLimit {
            var chunk = [UInt8](repeating: 0, count: 16_384), room = [Int32](repeating: -1, count: 4), count = 4
            let length = kars_receive_descriptors(socket, &chunk, chunk.count, &room, &count)
            if length < 0, errno == EINTR { continue }
            descriptors += room[..<count]
            guard length > 0 else {
                for descriptor in descriptors { close(descriptor) }
                throw LocalPodError(.notRunning, "the sandbox stopped")
            }
            bytes += chunk[..<length]
        }
        return (try JSON(parsing: Array(bytes.prefix { $0 != UInt8(ascii: "\n") })), descriptors)
    }

    static func check(_ answer: JSON) throws(LocalPodError) {
        if answer["ok"]?.boolValue == true { return }
        let code = answer["error"]?["code"]?.stringValue.flatMap(LocalPodError.Code.init(rawValue:)) ?? .failed
        throw LocalPodError(code, answer["error"]?["message"]?.stringValue ?? "the supervisor gave no reason")
    }

    /// Blocking calls on a thread that may block.
    static func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
        }
    }
}
