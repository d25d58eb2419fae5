import KarsCore
import Synchronization

@testable import Kars

/// A gate with a small world around it: names that resolve as told, and one local server behind every address.
struct EgressFixture {
    /// Keeps what it was asked, and refuses what it is told to.
    final class Judge: EgressJudge {
        private let seen = Mutex<[(attempt: EgressAttempt, proposed: Verdict)]>([])
        private let refused: @Sendable (EgressAttempt) -> Refusal?

        init(refusing refused: @escaping @Sendable (EgressAttempt) -> Refusal? = { _ in nil }) { self.refused = refused }

        var calls: [(attempt: EgressAttempt, proposed: Verdict)] { seen.withLock { $0 } }

        func judge(_ attempt: EgressAttempt, proposed: Verdict) async -> Verdict {
            seen.withLock { $0.append((attempt, proposed)) }
            return refused(attempt).map { .refuse($0) } ?? proposed
        }
    }

    /// What the code under test did to the outside.
    final class Trace: Sendable {
        let resolved = Mutex<[String]>([])
        let connected = Mutex<[[IPAddress]]>([])
    }

    let group: EventLoopGroup
    let control: EgressControl
    let judge: Judge
    let gate: EgressGate
    let trace = Trace()

    init(
        allowing rules: [String], names: [String: [String]] = ["good.example.com": ["93.184.216.34"]],
        mode: EgressPolicy.Mode = .strict,
        judge: Judge = Judge()
    ) throws {
        group = try EventLoopGroup()
        control = try EgressControl(.init(sandbox: "test", mode: mode))
        control.replace(baseline: try rules.map { try EgressRule(parsing: $0) })
        self.judge = judge
        gate = EgressGate(
            control: control, judge: judge,
            resolve: { [trace] name in
                trace.resolved.withLock { $0.append(name) }
                guard let list = names[name] else { throw Resolver.Failure.notFound(name) }
                return list.compactMap { IPAddress($0) }
            })
    }

    /// Starts a proxy in front of a server that runs `upstream` for each connection; `body` gets a client of the proxy.
    func withProxy(
        redirectedTo port: UInt16? = nil, config: EgressProxy.Config = EgressProxy.Config(),
        upstream: @escaping @Sendable (ByteStream) async throws -> Void, _ body: (ByteStream) async throws -> Void
    ) async throws {
        let server = try await TCPListener.bind(SocketAddress(.loopbackV4, port: 0), group: group) { stream in
            try? await upstream(stream)
        }
        guard let address = server.address else { return }
        let surroundings = EgressProxy.Surroundings(
            connect: { [trace] (addresses, _, loop, limit) async throws(StreamError) in
                trace.connected.withLock { $0.append(addresses) }
                return try await ByteStream.connect(to: address, on: loop, within: limit)
            },
            originalDestination: { _ in port.map { SocketAddress(.v4(IPv4Address(93, 184, 216, 34)), port: $0) } })
        let proxy = try await EgressProxy(gate: gate, config: config, surroundings: surroundings, group: group)
            .bind(SocketAddress(.loopbackV4, port: 0))
        guard let proxyAddress = proxy.address else { return }
        let client = try await ByteStream.connect(to: proxyAddress, on: group.next(), within: .seconds(60))
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body(client)) } catch { outcome = .failure(error) }
        await client.close()
        await proxy.close()
        await server.close()
        group.shutdown()
        try outcome.get()
    }
}

extension ByteStream {
    /// Everything until the peer's end.
    func readAll(within limit: Duration = .seconds(60)) async throws -> [UInt8] {
        var all: [UInt8] = []
        while let bytes = try await read(within: limit) { all += bytes }
        return all
    }

    /// At least `count` bytes.
    func readAtLeast(_ count: Int) async throws -> [UInt8] {
        var all: [UInt8] = []
        while all.count < count, let bytes = try await read(within: .seconds(60)) { all += bytes }
        return all
    }

    /// Up to and including `end`.
    func readThrough(_ end: String) async throws -> String {
        var all = ""
        while !all.hasSuffix(end), let bytes = try await read(upTo: 1, within: .seconds(60)) {
            all += String(decoding: bytes, as: UTF8.self)
        }
        return all
    }

    func write(_ text: String) async throws { try await write(Array(text.utf8)) }
}
