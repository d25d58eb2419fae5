import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A command in a container of a cluster, on this process's standard streams.
///
/// On a terminal the command has one of its own: what is typed, interrupts included, is the command's, and the person's terminal is as
/// before afterwards, also when a signal ends this process. Otherwise input goes to the command until it ends; a terminal that is only
/// read from or only written to is no input.
struct RemoteExec: Sendable {
    let client: KubernetesClient
    let namespace: String
    let pod: String
    let container: String

    private enum End: Sendable {
        case exit(RemoteExit)
        case signal(Int32)
        /// There is no more input, or nobody reads it any more.
        case input
    }

    /// The command's exit code.
    func callAsFunction(_ command: [String]) async throws -> Int32 {
        let hasTerminal = Terminal.isInteractive
        let takesInput = hasTerminal || isatty(STDIN_FILENO) == 0
        let process = try await client.run(
            .exec(
                namespace: namespace, pod: pod, command: command,
                StreamOptions(container: container, stdin: takesInput, tty: hasTerminal)))
        let terminal = hasTerminal ? RawTerminal.enter() : nil
        // Not drained: who reads the output may have gone.
        defer { terminal?.leave() }
        let signals = hasTerminal ? try SignalWaiter([SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT]) : nil
        let end = try await relay(process, takesInput: takesInput, signals)
        switch end {
        case .exit(.code(let code)): return Int32(truncatingIfNeeded: code)
        case .exit(.failed(let status)): throw CommandFailure(.failed, "the command did not run to its end: \(status.message)")
        case .input: throw CommandFailure(.failed, "the command's connection ended")
        case .signal(let number):
            terminal?.leave()
            // Whoever sent it sees that it was obeyed.
            signal(number, SIG_DFL)
            kill(getpid(), number)
            return 128 + number
        }
    }

    private func relay(_ process: RemoteProcess, takesInput: Bool, _ signals: SignalWaiter?) async throws -> End {
        try await withThrowingTaskGroup(of: End.self) { group in
            group.addTask { .exit(try await Self.passOutput(of: process)) }
            if takesInput {
                group.addTask {
                    await Self.passInput(to: process)
                    return .input
                }
            }
            if let signals {
                group.addTask { try await Self.obey(signals, process) }
            }
            defer { group.cancelAll() }
            while let end = try await group.next() {
                if case .input = end { continue }
                await process.close()
                return end
            }
            return .input
        }
    }

    private static func passOutput(of process: RemoteProcess) async throws -> RemoteExit {
        while let output = try await process.next() {
            switch output {
            case .stdout(let bytes): Descriptors.writeAll(bytes, to: STDOUT_FILENO)
            case .stderr(let bytes): Descriptors.writeAll(bytes, to: STDERR_FILENO)
            }
        }
        return await process.exit ?? .failed(.unreachable("the connection ended before the process"))
    }

    private static func passInput(to process: RemoteProcess) async {
        let input = StandardInput()
        // A command that has ended takes nothing more; its output says how it went.
        while let bytes = await input.next() {
            guard (try? await process.write(bytes)) != nil else { return }
        }
        // Version 4 of the protocol has no word for it; then the command's input stays open.
        if process.version == .v5 { try? await process.endInput() }
    }

    private static func obey(_ signals: SignalWaiter, _ process: RemoteProcess) async throws -> End {
        try await resize(process)
        for await number in signals.signals {
            guard number == SIGWINCH else { return .signal(number) }
            try await resize(process)
        }
        return .input
    }

    private static func resize(_ process: RemoteProcess) async throws {
        let size = RawTerminal.size
        guard size.columns > 0, size.rows > 0 else { return }
        try await process.resize(width: size.columns, height: size.rows)
    }
}

/// Standard input, a piece at a time, read by a thread that may wait: it may be a file, a pipe or a terminal.
///
/// The thread reads on only when the last piece was taken, so that a large input is never held in memory.
private final class StandardInput: Sendable {
    private static let chunkBytes = 16_384

    private let pieces: AsyncStream<[UInt8]>
    private let taken = DispatchSemaphore(value: 0)

    init() {
        let (pieces, continuation) = AsyncStream<[UInt8]>.makeStream()
        self.pieces = pieces
        let taken = taken
        DispatchQueue(label: "kars.input").async {
            while case let bytes = Self.read(), !bytes.isEmpty {
                continuation.yield(bytes)
                taken.wait()
            }
            continuation.finish()
        }
    }

    /// Nil at the end, and when the task was cancelled.
    func next() async -> [UInt8]? {
        for await bytes in pieces {
            taken.signal()
            return bytes
        }
        return nil
    }

    private static func read() -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: chunkBytes)
        while true {
            let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
            if count >= 0 { return Array(chunk[..<count]) }
            guard errno == EINTR else { return [] }
        }
    }
}
