import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Relays between the person's terminal and one inside a container until the command ends.
///
/// The person's terminal is raw meanwhile: what they type, interrupts included, is the command's. It is as before afterwards,
/// also when a signal ends this process. Neither direction waits for the other: a command that writes without reading must not
/// hold up a long paste and be held up by it.
struct TerminalRelay {
    let socket: Int32

    /// Bytes typed or pasted that the command has not taken yet; with more, the person's terminal waits.
    private static let maxHeldBytes = 65_536
    /// After the command's end a terminal holds at most this much that nobody has read.
    private static let maxRestBytes = 1 << 20
    private static let chunkBytes = 16_384

    private enum End {
        case exit(Int32)
        case signal(Int32)
    }

    func run(_ request: JSONObject) throws -> Int32 {
        var request = request
        let size = RawTerminal.size
        request["terminal"] = true
        request["rows"] = .int(size.rows)
        request["columns"] = .int(size.columns)
        try LocalPod.send(.object(request), to: socket)
        let (answer, descriptors) = try LocalPod.receive(from: socket)
        try LocalPod.check(answer)
        guard let terminal = descriptors.first else { throw LocalPodError(.execFailed, "no terminal came") }
        defer { close(terminal) }
        _ = fcntl(terminal, F_SETFL, O_NONBLOCK)
        let signals = try SignalPipe([SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT])
        let raw = RawTerminal.enter()
        let end: End
        do {
            defer { raw?.leave() }
            end = try relay(terminal, signals)
        }
        signals.end()
        switch end {
        case .exit(let code): return code
        case .signal(let number):
            // Whoever sent it sees that it was obeyed. Sent to this thread and not blocked in it, as it is in those of Dispatch, it is
            // delivered before `raise` returns (signal(7)).
            var set = sigset_t()
            sigemptyset(&set)
            sigaddset(&set, number)
            pthread_sigmask(SIG_UNBLOCK, &set, nil)
            raise(number)
            return 128 + number
        }
    }

    private func relay(_ terminal: Int32, _ signals: SignalPipe) throws -> End {
        var held: [UInt8] = [], inputEnded = false, outputEnded = false
        while true {
            let wanted = POLLIN | (held.isEmpty ? 0 : POLLOUT)
            var waits = [
                pollfd(fd: inputEnded || held.count >= Self.maxHeldBytes ? -1 : 0, events: Int16(POLLIN), revents: 0),
                pollfd(fd: outputEnded ? -1 : terminal, events: Int16(wanted), revents: 0),
                pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
                pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&waits, 4, -1) > 0 else { continue }
            for number in signals.take() {
                if number != SIGWINCH { return .signal(number) }
                let size = RawTerminal.size
                kars_set_window_size(terminal, UInt16(size.rows), UInt16(size.columns))
            }
            if waits[0].revents != 0 {
                let typed = Self.readSome(0)
                if typed.isEmpty { inputEnded = true }
                held += typed
            }
            if !held.isEmpty {
                let count = held.withUnsafeBytes { write(terminal, $0.baseAddress, $0.count) }
                held.removeFirst(max(0, count))
            }
            if waits[1].revents & Int16(POLLIN) != 0 {
                Descriptors.writeAll(Self.readSome(terminal), to: 1)
            } else if waits[1].revents & Int16(POLLHUP) != 0 {
                outputEnded = true
            }
            if waits[2].revents != 0 {
                let (answer, _) = try LocalPod.receive(from: socket)
                passRest(of: terminal)
                try LocalPod.check(answer)
                return .exit(Int32(answer["exitCode"]?.intValue ?? 1))
            }
        }
    }

    /// What the command wrote just before its end; not what others go on writing.
    private func passRest(of terminal: Int32) {
        var passed = 0
        while passed < Self.maxRestBytes, case let bytes = Self.readSome(terminal), !bytes.isEmpty {
            Descriptors.writeAll(bytes, to: 1)
            passed += bytes.count
        }
    }

    /// Empty at the end, and when there is nothing now.
    private static func readSome(_ descriptor: Int32) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: chunkBytes)
        let count = read(descriptor, &chunk, chunk.count)
        return count > 0 ? Array(chunk[..<count]) : []
    }
}
