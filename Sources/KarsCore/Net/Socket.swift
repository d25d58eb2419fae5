#if os(Linux)
import CLinux
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// Socket calls with their results as values. No descriptor made here blocks, and none is inherited by a child process.
enum Socket {
    enum Received: Equatable {
        case bytes(Int)
        case wouldBlock
        case end
        case failed(SocketError)
    }

    enum Sent: Equatable {
        case bytes(Int)
        case wouldBlock
        case failed(SocketError)
    }

    enum Connected: Equatable {
        case now
        case inProgress
    }

    // MARK: - Making

    static func make(family: CInt, type: CInt) throws(SocketError) -> CInt {
        let descriptor = socket(family, type | CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SocketError("socket", errno) }
        return descriptor
    }

    static let streamType = CInt(SOCK_STREAM.rawValue)
    static let datagramType = CInt(SOCK_DGRAM.rawValue)

    static func pair() throws(SocketError) -> (CInt, CInt) {
        var descriptors: (CInt, CInt) = (-1, -1)
        let code = withUnsafeMutableBytes(of: &descriptors) {
            socketpair(
                AF_UNIX, streamType | CInt(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0,
                $0.assumingMemoryBound(to: CInt.self).baseAddress)
        }
        guard code == 0 else { throw SocketError("socketpair", errno) }
        return descriptors
    }

    static func listener(at address: SocketAddress, backlog: CInt) throws(SocketError) -> CInt {
        let descriptor = try make(family: address.family, type: streamType)
        do throws(SocketError) {
            try setOption(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            if address.ip.isV6 { try setOption(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            try setLocalAddress(descriptor, address)
            guard listen(descriptor, backlog) == 0 else { throw SocketError("listen", errno) }
        } catch {
            discard(descriptor)
            throw error
        }
        return descriptor
    }

    /// A stream listener at `path`, reachable by the owner only. A socket file left behind by a dead process is replaced; one
    /// that somebody answers on is not.
    static func listener(atPath path: String, backlog: CInt) throws(SocketError) -> CInt {
        let descriptor = try make(family: AF_UNIX, type: streamType)
        do throws(SocketError) {
            // A path that cannot be asked for cannot be bound either, and that error names the reason.
            if case .success? = try? probe(path) { throw SocketError("bind", EADDRINUSE) }
            unlink(path)
            // The file takes the socket's mode. Not by `umask`, which is the whole process's.
            guard fchmod(descriptor, 0o600) == 0 else { throw SocketError("fchmod", errno) }
            let code = try withUnixAddress(path) { bind(descriptor, $0, $1) }
            guard code == 0 else { throw SocketError("bind", errno) }
            guard listen(descriptor, backlog) == 0 else { throw SocketError("listen", errno) }
        } catch {
            discard(descriptor)
            throw error
        }
        return descriptor
    }

    private static func probe(_ path: String) throws(SocketError) -> Result<Void, SocketError> {
        let descriptor = try make(family: AF_UNIX, type: streamType)
        defer { discard(descriptor) }
        let code = try withUnixAddress(path) { connect(descriptor, $0, $1) }
        return code == 0 || errno == EAGAIN ? .success(()) : .failure(SocketError("connect", errno))
    }

    static func setLocalAddress(_ descriptor: CInt, _ address: SocketAddress) throws(SocketError) {
        let code = address.withSockaddr { bind(descriptor, $0, $1) }
        guard code == 0 else { throw SocketError("bind", errno) }
    }

    static func startConnecting(_ descriptor: CInt, to address: SocketAddress) throws(SocketError) -> Connected {
        let code = address.withSockaddr { connect(descriptor, $0, $1) }
        if code == 0 { return .now }
        guard errno == EINPROGRESS else { throw SocketError("connect", errno) }
        return .inProgress
    }

    static func startConnecting(_ descriptor: CInt, toPath path: String) throws(SocketError) {
        let code = try withUnixAddress(path) { connect(descriptor, $0, $1) }
        guard code == 0 else { throw SocketError("connect", errno) }
    }

    private static func withUnixAddress<Value>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) throws(SocketError) -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path), !bytes.contains(0) else {
            throw SocketError("unix socket path", ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    /// The next waiting connection; nil when none waits.
    static func accept(_ listener: CInt) throws(SocketError) -> (descriptor: CInt, peer: SocketAddress?)? {
        var address = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        while true {
            let descriptor = kars_accept(listener, &address, &length)
            if descriptor >= 0 { return (descriptor, SocketAddress(address)) }
            switch errno {
            case EAGAIN: return nil
            case EINTR, ECONNABORTED, EPROTO: continue
            default: throw SocketError("accept", errno)
            }
        }
    }

    // MARK: - Properties

    /// Small writes leave at once: output is collected per turn of the loop, so nothing is left for Nagle to collect.
    static func disableNagle(_ descriptor: CInt) {
        // Not a TCP socket, or gone already: either way there is nothing to set.
        try? setOption(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    static func setOption(_ descriptor: CInt, _ level: CInt, _ name: CInt, _ value: CInt) throws(SocketError) {
        var value = value
        guard setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<CInt>.size)) == 0 else {
            throw SocketError("setsockopt", errno)
        }
    }

    static func makeNonBlocking(_ descriptor: CInt) throws(SocketError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { throw SocketError("fcntl", errno) }
    }

    /// The outcome of a connection attempt or of sending, taken once.
    static func pendingError(_ descriptor: CInt) -> CInt {
        var code: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 ? code : errno
    }

    static func localAddress(_ descriptor: CInt) throws(SocketError) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard code == 0 else { throw SocketError("getsockname", errno) }
        return SocketAddress(storage)
    }

    static func peerAddress(_ descriptor: CInt) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let code = withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        return code == 0 ? SocketAddress(storage) : nil
    }

    #if os(Linux)
    /// Where a connection was going before a REDIRECT rule brought it here; nil for one that came directly.
    static func originalDestination(_ descriptor: CInt, isV6: Bool) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = socklen_t(0)
        guard kars_original_destination(descriptor, isV6 ? AF_INET6 : AF_INET, &storage, &length) == 0 else { return nil }
        return SocketAddress(storage)
    }
    #endif

    // MARK: - Moving bytes

    @inline(__always)
    static func receive(_ descriptor: CInt, into buffer: UnsafeMutableRawBufferPointer) -> Received {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .end }
            switch errno {
            case EAGAIN: return .wouldBlock
            case EINTR: continue
            default: return .failed(SocketError("recv", errno))
            }
        }
    }

    @inline(__always)
    static func transmit(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer) -> Sent {
        while true {
            let count = send(descriptor, bytes.baseAddress, bytes.count, CInt(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            switch errno {
            case EAGAIN: return .wouldBlock
            case EINTR: continue
            default: return .failed(SocketError("send", errno))
            }
        }
    }

    /// Both ranges in one call.
    static func transmit(_ descriptor: CInt, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Sent {
        var parts = (
            iovec(iov_base: UnsafeMutableRawPointer(mutating: first.baseAddress), iov_len: first.count),
            iovec(iov_base: UnsafeMutableRawPointer(mutating: second.baseAddress), iov_len: second.count)
        )
        return withUnsafeMutableBytes(of: &parts) { raw in
            var message = msghdr()
            message.msg_iov = raw.assumingMemoryBound(to: iovec.self).baseAddress
            message.msg_iovlen = 2
            while true {
                let count = sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
                if count >= 0 { return .bytes(count) }
                switch errno {
                case EAGAIN: return .wouldBlock
                case EINTR: continue
                default: return .failed(SocketError("sendmsg", errno))
                }
            }
        }
    }

    /// Bytes that were sent and that the peer's system has not acknowledged, as far as we know; nil when the system cannot tell.
    static func unacknowledgedBytes(_ descriptor: CInt) -> Int? {
        #if os(Linux)
        var count: CInt = 0
        return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? Int(count) : nil
        #else
        return nil
        #endif
    }

    static func discard(_ descriptor: CInt) { _ = close(descriptor) }

    static func shutdownWrite(_ descriptor: CInt) { shutdown(descriptor, CInt(SHUT_WR)) }
}
