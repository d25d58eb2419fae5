import CLinux
import Dispatch
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The three descriptors a command in a sandbox gets. A terminal is not among them: instead of one, output goes through a pipe
/// that this process copies, and input is empty.
final class StandardStreams {
    private(set) var descriptors: [Int32]
    private var ownEnds: [Int32] = []
    private let copies = DispatchGroup()

    init(descriptors: [Int32]) { self.descriptors = descriptors }

    static func forSandbox() throws(StageError) -> StandardStreams {
        let streams = StandardStreams(descriptors: [0, 1, 2])
        for index in 0..<3 where isatty(Int32(index)) == 1 { try streams.replace(index) }
        return streams
    }

    private func replace(_ index: Int) throws(StageError) {
        if index == 0 {
            let null = try StageError.check(open("/dev/null", O_RDONLY | O_CLOEXEC), "opening /dev/null")
            descriptors[0] = null
            ownEnds.append(null)
            return
        }
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ends), "pipe")
        descriptors[index] = ends[1]
        ownEnds.append(ends[1])
        let reader = ends[0], target = Int32(index)
        DispatchQueue.global().async(group: copies) {
            var chunk = [UInt8](repeating: 0, count: 16_384)
            while true {
                let count = read(reader, &chunk, chunk.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { break }
                Descriptors.writeAll(chunk[..<count], to: target)
            }
            close(reader)
        }
    }

    /// The sandbox has its copies: ours must go, or a pipe would never end.
    func handedOver() {
        for descriptor in ownEnds { close(descriptor) }
        ownEnds = []
    }

    /// Waits until what was written has been copied.
    func finish() { copies.wait() }
}

/// Relays between the person's terminal and one inside a container until the command ends.
struct TerminalRelay {
    let socket: Int32

    func run(_ request: JSONObject) throws -> Int32 {
        var request = request, size = winsize()
        _ = ioctl(0, UInt(TIOCGWINSZ), &size)
        request["terminal"] = true
        request["rows"] = .number(JSONNumber(Int(size.ws_row)))
        request["columns"] = .number(JSONNumber(Int(size.ws_col)))
        try LocalPod.send(.object(request), to: socket)
        let (answer, descriptors) = try LocalPod.receive(from: socket)
        try LocalPod.check(answer)
        guard let terminal = descriptors.first else { throw LocalPodError(.execFailed, "no terminal came") }
        defer { close(terminal) }
        var before = termios()
        let isSet = tcgetattr(0, &before) == 0
        if isSet {
            var raw = before
            cfmakeraw(&raw)
            tcsetattr(0, TCSADRAIN, &raw)
        }
        defer { if isSet { tcsetattr(0, TCSADRAIN, &before) } }
        return try relay(terminal, size: size)
    }

    private func relay(_ terminal: Int32, size: winsize) throws -> Int32 {
        var size = size, chunk = [UInt8](repeating: 0, count: 16_384), inputEnded = false
        while true {
            var waits = [
                pollfd(fd: inputEnded ? -1 : 0, events: Int16(POLLIN), revents: 0),
                pollfd(fd: terminal, events: Int16(POLLIN), revents: 0), pollfd(fd: socket, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&waits, 3, 250)
            if waits[0].revents != 0 {
                let count = read(0, &chunk, chunk.count)
                if count > 0 { Descriptors.writeAll(chunk[..<count], to: terminal) } else { inputEnded = true }
            }
            if waits[1].revents & Int16(POLLIN) != 0 {
                let count = read(terminal, &chunk, chunk.count)
                if count > 0 { Descriptors.writeAll(chunk[..<count], to: 1) }
            } else if waits[2].revents != 0 {
                let (answer, _) = try LocalPod.receive(from: socket)
                try LocalPod.check(answer)
                return Int32(answer["exitCode"]?.intValue ?? 1)
            }
            var now = winsize()
            if ioctl(0, UInt(TIOCGWINSZ), &now) == 0, now.ws_row != size.ws_row || now.ws_col != size.ws_col {
                size = now
                kars_set_window_size(terminal, now.ws_row, now.ws_col)
            }
        }
    }
}
