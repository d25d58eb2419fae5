extension ByteStream {
    /// Connects to exactly `address`.
    package static func connect(
        to address: SocketAddress, on loop: EventLoop, within limit: Duration
    ) async throws(StreamError) -> ByteStream {
        let stream = try await loop.run { () throws(StreamError) in
            try begin(on: loop, family: address.family, peer: address) { descriptor throws(SocketError) in
                try Socket.startConnecting(descriptor, to: address)
            }
        }
        do throws(StreamError) {
            try await stream.awaitConnected(deadline: Instant.now().advanced(by: limit))
        } catch {
            await stream.close()
            throw error.code == .timedOut ? StreamError(.timedOut, "no connection to \(address) within \(limit)") : error
        }
        return stream
    }

    /// Connects to a Unix-domain socket.
    package static func connect(unixPath path: String, on loop: EventLoop) async throws(StreamError) -> ByteStream {
        try await loop.run { () throws(StreamError) in
            try begin(on: loop, family: SocketAddress.unixFamily, peer: nil) { descriptor throws(SocketError) in
                try Socket.startConnecting(descriptor, toPath: path)
                return .now
            }
        }
    }

    /// Tries the addresses in their order, each with a fair share of the time that is left.
    package static func connect(
        toAny addresses: [IPAddress], port: UInt16, on loop: EventLoop, within limit: Duration
    ) async throws(StreamError) -> ByteStream {
        let deadline = Instant.now().advanced(by: limit)
        var last = StreamError(.connectFailed, "the name has no address")
        for (index, address) in addresses.enumerated() {
            let left = deadline.duration(since: .now())
            guard left > .zero else { break }
            let share = index == addresses.count - 1 ? left : max(left / (addresses.count - index), min(left, .milliseconds(250)))
            do throws(StreamError) {
                return try await connect(to: SocketAddress(address, port: port), on: loop, within: share)
            } catch {
                if error.code == .cancelled { throw error }
                last = error
            }
        }
        throw last
    }

    /// A UDP socket that talks to exactly `address`: what is written at once is one datagram, and each read is one, truncated to the
    /// size asked for; an empty one reads as the end. The kernel drops what others send.
    package static func connectDatagrams(to address: SocketAddress, on loop: EventLoop) async throws(StreamError) -> ByteStream {
        try await loop.run { () throws(StreamError) in
            try begin(on: loop, family: address.family, type: Socket.datagramType, peer: address) {
                descriptor throws(SocketError) in try Socket.startConnecting(descriptor, to: address)
            }
        }
    }

    private static func begin(
        on loop: EventLoop, family: CInt, type: CInt = Socket.streamType, peer: SocketAddress?,
        _ connect: (CInt) throws(SocketError) -> Socket.Connected
    ) throws(StreamError) -> ByteStream {
        var opened: CInt = -1
        do throws(SocketError) {
            let descriptor = try Socket.make(family: family, type: type)
            opened = descriptor
            Socket.disableNagle(descriptor)
            let connected = try connect(descriptor)
            let relay = StreamRelay()
            let transport = try StreamTransport(
                loop: loop, descriptor: descriptor, owner: relay, isConnecting: connected == .inProgress,
                hasDatagrams: type == Socket.datagramType)
            return ByteStream(transport: transport, relay: relay, peer: peer)
        } catch {
            if opened >= 0 { Socket.discard(opened) }
            throw StreamError(.connectFailed, error.description)
        }
    }
}

extension ByteStream {
    /// Two connected stream sockets, for processes that talk to each other and for tests.
    package static func socketPair() throws(SocketError) -> (CInt, CInt) {
        try Socket.pair()
    }
}
