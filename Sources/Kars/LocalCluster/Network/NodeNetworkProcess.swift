import CLinux
import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A running `NodeNetworkStage`, seen from the cluster's process. It ends when this is stopped or dropped, and when this process ends,
/// however it does.
final class NodeNetworkProcess: Sendable {
    private let process: pid_t
    /// Readable at the stage's end; closing it ends the stage.
    private let lifeline: Int32
    private let socket: String
    private let isRunning = Mutex(true)

    /// Starts it and waits until it is up. Blocks.
    init(directory: String, executable: String, addresses: ClusterAddresses) throws {
        var ends: [Int32] = [-1, -1], ready: [Int32] = [-1, -1]
        try StageError.check(kars_socket_pair(&ends), "socketpair")
        try StageError.check(kars_pipe(&ready), "pipe")
        defer { close(ready[0]) }
        let null = try StageError.check(open("/dev/null", O_RDWR | O_CLOEXEC), "opening /dev/null")
        defer { close(null) }
        let logPath = "\(directory)/network.log"
        let log = try StageError.check(
            open(logPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600), "opening \(logPath)")
        defer { close(log) }
        let words = CStrings([
            "kars", HiddenStage.nodeNetwork.rawValue, directory, "\(addresses.pods)", "\(addresses.services)",
        ])
        let environment = CStrings(["PATH=\(Programs.path)"])
        let process = kars_spawn(executable, words.pointers, environment.pointers, [null, null, log, ends[1], ready[1]], 5)
        let failure = errno
        close(ends[1])
        close(ready[1])
        guard process > 0 else {
            close(ends[0])
            throw StageError("starting the node's network", errno: failure)
        }
        (self.process, lifeline, socket) = (process, ends[0], "\(directory)/\(NodeNetworkStage.socketName)")
        let answer = Descriptors.readAll(ready[0], upTo: LocalPod.answerLimit)
        guard !answer.isEmpty else {
            // It only adds to an error that is told anyway.
            let said = (try? Files.read(logPath, upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            throw StageError("the node's network ended unexpectedly: \(said.trimmingWhitespace())", errno: 0)
        }
        try LocalPod.check(try JSON(parsing: answer))
    }

    deinit { stop() }

    /// Returns when the stage has ended or was told to, or the task is cancelled.
    func ended(on loop: EventLoop) async {
        let watched = dup(lifeline)
        guard watched >= 0, let stream = try? await ByteStream.adopt(watched, on: loop) else { return }
        // Nothing is ever sent on it: whatever comes is the end.
        _ = try? await stream.read()
        await stream.close()
    }

    /// Ends the stage and waits for it; the kernel takes the rest with it. Blocks for a moment.
    func stop() {
        guard
            isRunning.withLock({ running in
                defer { running = false }
                return running
            })
        else { return }
        shutdown(lifeline, Int32(SHUT_RDWR))
        close(lifeline)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    // MARK: Requests, each of which blocks

    struct Sockets {
        let nameServerDatagrams: Int32
        let nameServerStreams: Int32
        let apiServer: Int32
    }

    /// The node's sockets, which are the caller's then.
    func sockets() throws -> Sockets {
        let (_, descriptors) = try ask(["verb": "sockets"])
        guard descriptors.count == 3 else {
            for descriptor in descriptors { close(descriptor) }
            throw StageError("the node's network has \(descriptors.count) sockets, expected 3", errno: 0)
        }
        return Sockets(nameServerDatagrams: descriptors[0], nameServerStreams: descriptors[1], apiServer: descriptors[2])
    }

    /// Which pods are in the network, now that rules know them.
    func admit(_ pods: [String: IPv4Address]) throws {
        var members: JSONObject = [:]
        for (pod, address) in pods.sorted(by: { $0.key < $1.key }) { members[pod] = .string("\(address)") }
        _ = try ask(["verb": "admit", "pods": .object(members)])
    }

    /// Runs one of `NodeNetworkStage.programs` in the node's namespace.
    func run(_ program: String, _ arguments: [String], input: String) throws -> PacketToolResult {
        let input = try Descriptors.memoryFile("input", Array(input.utf8))
        defer { close(input) }
        let output = try Descriptors.memoryFile("output", []), errors = try Descriptors.memoryFile("errors", [])
        defer {
            close(output)
            close(errors)
        }
        let (answer, _) = try ask(
            ["verb": "run", "program": .string(program), "arguments": .array(arguments.map { .string($0) })],
            with: [input, output, errors])
        func text(_ descriptor: Int32) -> String {
            lseek(descriptor, 0, SEEK_SET)
            return String(decoding: Descriptors.readAll(descriptor, upTo: 4 << 20), as: UTF8.self)
        }
        return PacketToolResult(succeeded: answer["exitCode"]?.intValue == 0, output: text(output), errors: text(errors))
    }

    private func ask(_ request: JSON, with descriptors: [Int32] = []) throws -> (JSON, [Int32]) {
        let connection = try StageError.check(kars_connect_unix(socket), "connecting to \(socket)")
        defer { close(connection) }
        try LocalPod.send(request, to: connection, with: descriptors)
        let (answer, received) = try LocalPod.receive(from: connection)
        do {
            try LocalPod.check(answer)
        } catch {
            for descriptor in received { close(descriptor) }
            throw error
        }
        return (answer, received)
    }
}
