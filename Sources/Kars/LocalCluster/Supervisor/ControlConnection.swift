import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// One request of a client on the supervisor's socket: a JSON line, with descriptors beside it, answered by JSON lines.
final class ControlConnection {
    /// A start carries a command line and its environment.
    static let maxRequestBytes = 4 << 20

    let descriptor: Int32
    /// Sent beside the request; whoever uses them takes them out, the rest is closed with the connection.
    var received: [Int32] = []
    private var bytes: [UInt8] = []
    private(set) var isClosed = false

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    enum Step {
        case needMore
        case request(JSON)
        case ended
    }

    /// Call when readable.
    func readSome() -> Step {
        var chunk = [UInt8](repeating: 0, count: 16_384), room = [Int32](repeating: -1, count: 4)
        var count = room.count
        let length = kars_receive_descriptors(descriptor, &chunk, chunk.count, &room, &count)
        if length < 0, errno == EAGAIN || errno == EINTR { return .needMore }
        received += room[..<count]
        guard length > 0, bytes.count + length <= Self.maxRequestBytes, received.count <= 4 else { return .ended }
        bytes += chunk[..<length]
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return .needMore }
        let line = Array(bytes[..<end])
        bytes.removeFirst(end + 1)
        // Who sends something else is no client of ours.
        guard let request = try? JSON(parsing: line) else { return .ended }
        return .request(request)
    }

    func send(_ answer: JSON, with descriptors: [Int32] = []) {
        guard !isClosed else { return }
        let line = answer.encoded() + [UInt8(ascii: "\n")]
        // Answers are short: they fit the socket's buffer, or the client has stopped reading and loses the connection.
        let sent = kars_send_descriptors(descriptor, line, line.count, descriptors, descriptors.count)
        if sent != line.count { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }

    func fail(_ code: String, _ message: String) {
        send(["ok": false, "error": ["code": .string(code), "message": .string(message)]])
    }

    func close() {
        guard !isClosed else { return }
        isClosed = true
        for descriptor in received + [descriptor] { closeDescriptor(descriptor) }
        received = []
    }
}

func closeDescriptor(_ descriptor: Int32) {
    #if canImport(Glibc)
    _ = Glibc.close(descriptor)
    #else
    _ = Musl.close(descriptor)
    #endif
}
