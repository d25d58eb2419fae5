#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// A bound UDP socket. Each datagram is given to a handler on the loop's thread, which may answer at once.
///
/// What the kernel cannot take is dropped, as UDP drops it anywhere else on its way.
package actor DatagramSocket: PollClient {
    /// Datagrams taken per event, so that a flood of them does not starve the connections of the loop.
    private static let maxPerEvent = 64

    nonisolated let loop: EventLoop
    package nonisolated let address: SocketAddress
    private let descriptor: CInt
    private var token: PollToken?
    private let handler: @Sendable (DatagramSocket, [UInt8], SocketAddress) -> Void

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// `handler` must not block; long work belongs into a task.
    package static func bind(
        _ address: SocketAddress, on loop: EventLoop,
        handler: @escaping @Sendable (DatagramSocket, [UInt8], SocketAddress) -> Void
    ) async throws(SocketError) -> DatagramSocket {
        let descriptor = try Socket.make(family: address.family, type: Socket.datagramType)
        do throws(SocketError) {
            if address.ip.isV6 { try Socket.setOption(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }
            try Socket.setLocalAddress(descriptor, address)
            let socket = DatagramSocket(loop, descriptor, try Socket.localAddress(descriptor) ?? address, handler)
            try await socket.open()
            return socket
        } catch {
            Socket.discard(descriptor)
            throw error
        }
    }

    /// A socket that is bound already, perhaps in another network namespace; takes it over. It must not block.
    package static func adopt(
        _ descriptor: CInt, on loop: EventLoop,
        handler: @escaping @Sendable (DatagramSocket, [UInt8], SocketAddress) -> Void
    ) async throws(SocketError) -> DatagramSocket {
        do throws(SocketError) {
            guard let address = try Socket.localAddress(descriptor) else { throw SocketError("getsockname", EAFNOSUPPORT) }
            let socket = DatagramSocket(loop, descriptor, address, handler)
            try await socket.open()
            return socket
        } catch {
            Socket.discard(descriptor)
            throw error
        }
    }

    private init(
        _ loop: EventLoop, _ descriptor: CInt, _ address: SocketAddress,
        _ handler: @escaping @Sendable (DatagramSocket, [UInt8], SocketAddress) -> Void
    ) {
        self.loop = loop
        self.descriptor = descriptor
        self.address = address
        self.handler = handler
    }

    private func open() throws(SocketError) { token = try loop.watch(descriptor, .input, self) }

    nonisolated func ready(_ events: PollEvents) { assumeIsolated { $0.receive() } }

    private func receive() {
        for _ in 0..<Self.maxPerEvent {
            guard token != nil else { return }
            var storage = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let count = withUnsafeMutablePointer(to: &storage) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    recvfrom(descriptor, loop.scratch.baseAddress, loop.scratch.count, 0, $0, &length)
                }
            }
            // An error here is that of an earlier datagram (nobody listens there), or "would block".
            guard count >= 0 else {
                if errno == EAGAIN { return }
                continue
            }
            guard let sender = SocketAddress(storage) else { continue }
            handler(self, Array(loop.scratch[..<count]), sender)
        }
        // Edge-triggered: look again next turn, because no new edge tells about what is still there.
        loop.execute { self.assumeIsolated { $0.receive() } }
    }

    /// Sends one datagram, or drops it. From the handler or any task.
    package nonisolated func send(_ bytes: [UInt8], to peer: SocketAddress) {
        if loop.isCurrent {
            assumeIsolated { $0.sendNow(bytes, to: peer) }
        } else {
            loop.execute { self.assumeIsolated { $0.sendNow(bytes, to: peer) } }
        }
    }

    private func sendNow(_ bytes: [UInt8], to peer: SocketAddress) {
        guard token != nil else { return }
        _ = peer.withSockaddr { sendto(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL), $0, $1) }
    }

    package func close() {
        guard let token else { return }
        loop.forget(token)
        self.token = nil
        Socket.discard(descriptor)
    }
}
