import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One command of one client: passes input and output on until the command ends or the client leaves, and tells how it ended.
struct ExecConversation: Sendable {
    let channel: ChannelStream
    let local: LocalPod
    let container: String
    let command: [String]
    let hasInput: Bool
    let hasTerminal: Bool
    let loop: EventLoop
    let threads: BlockingQueue

    private static let chunkBytes = 16_384
    /// How often it is seen whether the client of a command that reads nothing is still there.
    private static let inputLook = Duration.seconds(1)

    func run() async {
        do {
            if hasTerminal { try await runOnTerminal() } else { try await runOnPipes() }
        } catch {
            let failure = APIStatus(code: 500, reason: .internalError, message: "error executing command in container: \(error)")
            await channel.finish(.failed(failure))
        }
    }

    private var request: JSONObject {
        [
            "verb": "exec", "container": .string(container), "command": .array(command.map { .string($0) }),
        ]
    }

    // MARK: - Without a terminal

    private func runOnPipes() async throws {
        var pipes: [[Int32]] = []
        defer { for descriptor in pipes.flatMap({ $0 }) where descriptor >= 0 { close(descriptor) } }
        for _ in 0..<2 {
            var ends: [Int32] = [-1, -1]
            try StageError.check(kars_pipe(&ends), "pipe")
            pipes.append(ends)
        }
        let input = try CommandInput()
        let given = [input.commandEnd, pipes[0][1], pipes[1][1]], request = request, directory = local.directory
        let control = try await LocalPod.blocking {
            guard let socket = LocalPod.connectedSocket(in: directory) else {
                throw LocalPodError(.notRunning, "the pod does not run")
            }
            do { try LocalPod.send(.object(request), to: socket, with: given) } catch {
                close(socket)
                throw error
            }
            return socket
        }
        input.handedOver()
        for index in pipes.indices {
            close(pipes[index][1])
            pipes[index][1] = -1
        }
        let lines = JSONLineStream(try await ByteStream.adopt(control, on: loop), maxLineBytes: 1 << 16)
        if !hasInput { input.end() }
        let out = pipes[0][0], err = pipes[1][0]
        await withDiscardingTaskGroup { group in
            group.addTask { await self.passInput(to: input) { await lines.close() } }
            async let first: Void = pass(out, ChannelMessage.stdout)
            async let second: Void = pass(err, ChannelMessage.stderr)
            let exit = await outcome(lines)
            _ = await (first, second)
            await channel.finish(exit)
            await lines.close()
            input.free()
            group.cancelAll()
        }
    }

    private func outcome(_ lines: JSONLineStream) async -> RemoteExit {
        do {
            guard let answer = try await lines.next(within: nil) else {
                throw LocalPodError(.notRunning, "the pod ended before the command")
            }
            try LocalPod.check(answer)
            return .code(answer["exitCode"]?.intValue ?? 1)
        } catch {
            return .failed(
                APIStatus(code: 500, reason: .internalError, message: "error executing command in container: \(error)"))
        }
    }

    /// What the command writes, to its end.
    private func pass(_ descriptor: Int32, _ number: UInt8) async {
        while true {
            let bytes = await readSome(descriptor)
            if bytes.isEmpty { return }
            // A client that has gone reads nothing; the command's output is taken all the same, so that it ends.
            try? await channel.send(number, bytes)
        }
    }

    /// Empty at the end, and when there is no thread to wait with.
    private func readSome(_ descriptor: Int32) async -> [UInt8] {
        let bytes = try? await threads.run { () -> [UInt8] in
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            while true {
                let count = read(descriptor, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                return count > 0 ? Array(chunk[..<count]) : []
            }
        }
        return bytes ?? []
    }

    /// What the client sends, until it leaves; then `gone`.
    private func passInput(to input: CommandInput, gone: () async -> Void) async {
        do {
            while let message = try await channel.socket.receive() {
                guard case .binary(let bytes) = message, let part = ChannelMessage(parsing: bytes, channel.version) else { break }
                switch part {
                case .data(ChannelMessage.stdin, let bytes) where hasInput && !bytes.isEmpty:
                    // A command that reads no more takes nothing; the rest of its life does not depend on it.
                    guard try await give(bytes, to: input) else { return await gone() }
                case .end(ChannelMessage.stdin): input.end()
                case .data, .end: break
                }
            }
        } catch {
            // The connection broke, which is an end like any other.
        }
        if !Task.isCancelled { await gone() }
    }

    /// False when the client left before the command had read everything: what it sent then is nobody's any more.
    private func give(_ bytes: [UInt8], to input: CommandInput) async throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest
            rest = try await threads.run { input.write(part, within: Self.inputLook) }
            guard !rest.isEmpty else { break }
            // The end of a client that has sent much lies behind what nobody reads; but what is sent to one that is gone is refused.
            try await channel.socket.ping()
            if await channel.socket.hasPeerEnded { return false }
        }
        return true
    }

    // MARK: - On a terminal

    private func runOnTerminal() async throws {
        var request = request
        request["terminal"] = true
        let directory = local.directory, finished = request
        let (control, terminal) = try await LocalPod.blocking {
            guard let socket = LocalPod.connectedSocket(in: directory) else {
                throw LocalPodError(.notRunning, "the pod does not run")
            }
            do {
                try LocalPod.send(.object(finished), to: socket)
                let (answer, descriptors) = try LocalPod.receive(from: socket)
                try LocalPod.check(answer)
                guard let terminal = descriptors.first else { throw LocalPodError(.execFailed, "no terminal came") }
                return (socket, terminal)
            } catch {
                close(socket)
                throw error
            }
        }
        defer { close(terminal) }
        let lines = JSONLineStream(try await ByteStream.adopt(control, on: loop), maxLineBytes: 1 << 16)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.passKeys(to: terminal) { await lines.close() } }
            async let output: Void = pass(terminal, ChannelMessage.stdout)
            let exit = await outcome(lines)
            _ = await output
            await channel.finish(exit)
            await lines.close()
            group.cancelAll()
        }
    }

    private func passKeys(to terminal: Int32, gone: () async -> Void) async {
        do {
            while let message = try await channel.socket.receive() {
                guard case .binary(let bytes) = message, let part = ChannelMessage(parsing: bytes, channel.version) else { break }
                switch part {
                case .data(ChannelMessage.stdin, let bytes) where hasInput:
                    try await threads.run { Descriptors.writeAll(bytes, to: terminal) }
                case .data(ChannelMessage.resize, let bytes): resize(terminal, bytes)
                case .data, .end: break
                }
            }
        } catch {
            // The connection broke, which is an end like any other.
        }
        if !Task.isCancelled { await gone() }
    }

    private func resize(_ terminal: Int32, _ bytes: [UInt8]) {
        guard let size = try? JSON(parsing: bytes), let width = size["Width"]?.intValue, let height = size["Height"]?.intValue
        else { return }
        kars_set_window_size(terminal, UInt16(clamping: height), UInt16(clamping: width))
    }
}
