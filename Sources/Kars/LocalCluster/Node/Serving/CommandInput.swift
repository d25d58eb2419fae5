import CLinux
import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The standard input of a command in a container: a pipe, which a program may open again as /dev/stdin, unlike a socket. Its
/// writer can be freed from a command that reads nothing.
final class CommandInput: Sendable {
    private let reader: Mutex<Int32>
    private let writer: Mutex<Int32>
    /// Readable once nobody is to wait any more.
    private let released: Int32
    private let release: Mutex<Int32>

    init() throws {
        var pipe: [Int32] = [-1, -1], bell: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&pipe), "pipe")
        guard kars_pipe(&bell) == 0 else {
            let error = StageError("pipe", errno: errno)
            for end in pipe { closeDescriptor(end) }
            throw error
        }
        // To open /dev/stdin is to open the pipe again, which its mode must allow to the container's user; it has no name by which
        // anybody else could.
        _ = fchmod(pipe[0], 0o666)
        // Only this end: what a command reads from blocks.
        _ = fcntl(pipe[1], F_SETFL, O_NONBLOCK)
        reader = Mutex(pipe[0])
        writer = Mutex(pipe[1])
        released = bell[0]
        release = Mutex(bell[1])
    }

    deinit {
        handedOver()
        end()
        free()
        closeDescriptor(released)
    }

    /// To give to the command; open until `handedOver`.
    var commandEnd: Int32 { reader.withLock { $0 } }

    /// The command has it.
    func handedOver() { Self.shut(reader) }

    /// Returns when the command has room for everything, reads no more, or `free` was called; or when it took nothing for `limit`, with
    /// what it has not taken. Blocks; one caller at a time, who also calls `end`.
    func write(_ bytes: ArraySlice<UInt8>, within limit: Duration) -> ArraySlice<UInt8> {
        let descriptor = writer.withLock { $0 }, milliseconds = Int32(clamping: limit.wholeNanoseconds / 1_000_000)
        var rest = bytes
        while descriptor >= 0, !rest.isEmpty {
            let count = rest.withUnsafeBytes { Self.write(descriptor, $0) }
            if count > 0 { rest = rest.dropFirst(count) }
            if count > 0 || errno == EINTR { continue }
            guard errno == EAGAIN else { return [] }
            var waits = [
                pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0),
                pollfd(fd: released, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&waits, 2, milliseconds) == 0 { return rest }
            if waits[1].revents != 0 { return [] }
        }
        return []
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, bytes.baseAddress, bytes.count)
        #else
        Musl.write(descriptor, bytes.baseAddress, bytes.count)
        #endif
    }

    /// The command reads to the end of what was written.
    func end() { Self.shut(writer) }

    /// Nobody waits for the command any more.
    func free() { Self.shut(release) }

    private static func shut(_ descriptor: borrowing Mutex<Int32>) {
        descriptor.withLock { descriptor in
            if descriptor >= 0 { closeDescriptor(descriptor) }
            descriptor = -1
        }
    }
}
