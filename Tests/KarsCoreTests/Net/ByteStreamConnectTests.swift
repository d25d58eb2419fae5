import KarsTesting
import Synchronization
import Testing

@testable import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

@Suite(.timeLimit(.minutes(2))) struct `Byte stream connecting` {
    private static let loop = NetFixture.group.loops[0]

    /// A port of this machine on which nobody listens: bound and not listening for as long as `body` runs.
    private func withRefusingPort(_ body: (SocketAddress) async throws -> Void) async throws {
        let descriptor = try Socket.make(family: SocketAddress(.loopbackV4, port: 0).family, type: Socket.streamType)
        defer { Socket.discard(descriptor) }
        try Socket.setLocalAddress(descriptor, SocketAddress(.loopbackV4, port: 0))
        try await body(try #require(try Socket.localAddress(descriptor)))
    }

    /// A listener whose backlog is full: the kernel drops what knocks, so that an attempt stays one.
    private func withSilentPort(_ body: (SocketAddress) async throws -> Void) async throws {
        let listener = try Socket.listener(at: SocketAddress(.loopbackV4, port: 0), backlog: 0)
        let address = try #require(try Socket.localAddress(listener))
        let filler = try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience)
        let result: Result<Void, any Error>
        do { result = .success(try await body(address)) } catch { result = .failure(error) }
        await filler.close()
        Socket.discard(listener)
        try result.get()
    }

    @Test(arguments: [IPAddress.loopbackV4, .loopbackV6])
    func `a connection knows both its ends`(ip: IPAddress) async throws {
        let accepted = Mutex<(local: SocketAddress?, peer: SocketAddress?)>((nil, nil))
        let served = Latch()
        let listener = try await TCPListener.bind(SocketAddress(ip, port: 0), group: NetFixture.group) { stream in
            let local = await stream.localAddress
            accepted.withLock { $0 = (local, stream.peer) }
            served.open()
        }
        let address = try #require(listener.address)
        let stream = try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience)
        await served.wait()
        #expect(stream.peer == address)
        #expect(accepted.withLock { $0.local } == address)
        let local = await stream.localAddress
        #expect(local != nil && accepted.withLock { $0.peer } == local)
        await stream.close()
        await listener.close()
    }

    @Test func `nobody listens`() async throws {
        try await withRefusingPort { address in
            await #expect(throws: StreamError(.connectFailed, "")) {
                try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience)
            }
        }
        for path in ["/nonexistent/socket", String(repeating: "x", count: 200), ""] {
            await #expect(throws: StreamError(.connectFailed, "")) {
                try await ByteStream.connect(unixPath: path, on: Self.loop)
            }
        }
    }

    @Test func `nobody answers`() async throws {
        try await withSilentPort { address in
            await #expect(throws: StreamError(.timedOut, "")) {
                try await ByteStream.connect(to: address, on: Self.loop, within: .milliseconds(30))
            }
        }
    }

    @Test func `a cancelled task ends its attempt`() async throws {
        try await withSilentPort { address in
            for _ in 0..<50 {
                let connecting = Task {
                    await streamCode { _ = try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience) }
                }
                connecting.cancel()
                #expect(await connecting.value == .cancelled)
            }
            let connecting = Task(executorPreference: Self.loop) {
                await streamCode { _ = try await ByteStream.connect(to: address, on: Self.loop, within: NetFixture.patience) }
            }
            for _ in 0..<3 { await Self.loop.run {} }
            connecting.cancel()
            #expect(await connecting.value == .cancelled)
        }
    }

    @Test func `addresses are tried in their order, and each has its share of the time`() async throws {
        let listener = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: NetFixture.group) { stream in
            _ = try? await stream.read()
        }
        let port = try #require(listener.address).port
        // Nobody listens on the first two there.
        let addresses = [IPAddress.loopbackV6, IPAddress("127.0.0.9"), .loopbackV4].compactMap { $0 }
        let stream = try await ByteStream.connect(
            toAny: addresses, port: port, on: Self.loop, within: NetFixture.patience)
        #expect(stream.peer == listener.address)
        await stream.close()
        await #expect(throws: StreamError(.connectFailed, "")) {
            try await ByteStream.connect(toAny: [], port: port, on: Self.loop, within: NetFixture.patience)
        }
        await listener.close()
        try await withSilentPort { address in
            await #expect(throws: StreamError(.timedOut, "")) {
                try await ByteStream.connect(
                    toAny: [address.ip, address.ip], port: address.port, on: Self.loop, within: .milliseconds(20))
            }
            let connecting = Task {
                await streamCode {
                    _ = try await ByteStream.connect(
                        toAny: [address.ip, address.ip], port: address.port, on: Self.loop, within: NetFixture.patience)
                }
            }
            connecting.cancel()
            #expect(await connecting.value == .cancelled)
        }
    }

    @Test func `a socket file connects, belongs to its owner alone and is replaced only when nobody answers`() async throws {
        try await withTemporaryDirectory { (directory: String) async throws in
            let path = directory + "/socket"
            let listener = try await TCPListener.bind(unixPath: path, group: NetFixture.group) { stream in
                while let part = try? await stream.read() { try? await stream.write(part) }
                try? await stream.flush()
            }
            #expect(listener.address == nil)
            #expect(try fileMode(path) == 0o600)
            let stream = try await ByteStream.connect(unixPath: path, on: Self.loop)
            #expect(stream.peer == nil)
            try await stream.write(Array("echo".utf8))
            await stream.shutdownWrite()
            #expect(try await stream.readWhole() == Array("echo".utf8))
            await stream.close()
            await #expect(throws: SocketError("bind", EADDRINUSE)) {
                try await TCPListener.bind(unixPath: path, group: NetFixture.group) { _ in }
            }
            await listener.close()
            // What a dead process leaves: a file that nobody answers on.
            let next = try await TCPListener.bind(unixPath: path, group: NetFixture.group) { _ in }
            #expect(try fileMode(path) == 0o600)
            await next.close()
        }
    }

    private func fileMode(_ path: String) throws -> mode_t {
        var status = stat()
        try #require(lstat(path, &status) == 0)
        return status.st_mode & 0o777
    }
}
