import KarsCore
import KarsTesting

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The `openssl` command as the other side of a connection over a Unix-domain socket. Everything it does is bounded in time by the
/// receive timeout of its sockets.
final class OpenSSLPeer {
    static let path = ["/usr/bin/openssl", "/usr/local/bin/openssl", "/opt/homebrew/bin/openssl"].first(where: Files.exists)

    enum Problem: Error { case system(String, Int32), timedOut }

    private let process: pid_t
    /// Its standard input and output.
    private let console: Int32

    init(_ arguments: [String]) throws {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw Problem.system("socketpair", errno)
        }
        let (ours, theirs) = (ends[0], ends[1])
        defer { close(theirs) }
        try Self.setTimeout(ours)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, theirs, 0)
        posix_spawn_file_actions_adddup2(&actions, theirs, 1)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        var argv = (["openssl"] + arguments).map { strdup($0) } + [nil]
        defer { for argument in argv { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, Self.path ?? "/usr/bin/openssl", &actions, nil, &argv, environ)
        guard status == 0 else {
            close(ours)
            throw Problem.system("posix_spawn", status)
        }
        self.process = process
        console = ours
    }

    deinit {
        kill(process, SIGKILL)
        var status: Int32 = 0
        waitpid(process, &status, 0)
        close(console)
    }

    func write(_ text: String) { Self.write(Array(text.utf8), to: console) }

    /// What it prints until it ends or `text` has come.
    func output(until text: String? = nil) -> String {
        var all: [UInt8] = []
        while let more = try? Self.read(console), !more.isEmpty {
            all += more
            if let text, String(decoding: all, as: UTF8.self).contains(text) { break }
        }
        return String(decoding: all, as: UTF8.self)
    }

    // MARK: Sockets

    static func listen(at path: String) throws -> Int32 {
        let descriptor = try bound(path) { bind($0, $1, $2) }
        guard Glibc.listen(descriptor, 1) == 0 else { throw Problem.system("listen", errno) }
        return descriptor
    }

    static func accept(_ listener: Int32) throws -> Int32 {
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw Problem.system("accept", errno) }
        try setTimeout(descriptor)
        return descriptor
    }

    static func connect(to path: String) throws -> Int32 { try bound(path) { Glibc.connect($0, $1, $2) } }

    private static func bound(_ path: String, _ call: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Problem.system("socket", errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            close(descriptor)
            throw Problem.system(path, errno)
        }
        try setTimeout(descriptor)
        return descriptor
    }

    private static func setTimeout(_ descriptor: Int32) throws {
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        guard setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size)) == 0 else {
            throw Problem.system("setsockopt", errno)
        }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            rest.removeFirst(count)
        }
    }

    private static func read(_ descriptor: Int32) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count >= 0 else { throw errno == EAGAIN ? Problem.timedOut : Problem.system("recv", errno) }
        return Array(buffer[..<count])
    }

    // MARK: Driving an engine

    /// Carries bytes between the engine and the socket until plaintext has come that `isDone` accepts, or the end.
    static func drive(
        _ engine: TLSEngine, over descriptor: Int32, sending plaintext: [UInt8] = [], until isDone: ([UInt8]) -> Bool
    ) throws -> (bytes: [UInt8], isClosed: Bool) {
        var received: [UInt8] = []
        var unsent = plaintext
        defer { write(engine.takeOutgoing(), to: descriptor) }
        while true {
            if engine.isHandshakeComplete, !unsent.isEmpty {
                try engine.encrypt(unsent)
                unsent = []
            }
            let (bytes, isClosed) = try TLSPair.readAll(engine)
            received += bytes
            write(engine.takeOutgoing(), to: descriptor)
            if isClosed || (isDone(received) && unsent.isEmpty && engine.isHandshakeComplete) { return (received, isClosed) }
            let more = try read(descriptor)
            if more.isEmpty { try engine.receiveEnd() } else { try engine.receive(more) }
        }
    }
}
