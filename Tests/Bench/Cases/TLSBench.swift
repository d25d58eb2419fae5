import KarsCore

extension Bench {
    /// Both sides of a connection on one core, without sockets.
    static let tls = Case(name: "tls") {
        let now = UTCTime.now()
        let leaf = try SelfSigned.issue(
            CertificateRequest(commonName: "bench", dnsNames: ["bench.test"], now: now, validFor: .seconds(3600)))
        let server = try TLSContext.server(leaf.identity)
        let client = try TLSContext.client(trust: .pem(leaf.certificatePEM))
        let name = try Host("bench.test")

        func connected() throws -> (TLSEngine, TLSEngine) {
            let client = try TLSEngine(client: client, serverName: name)
            let server = try TLSEngine(server: server)
            while client.hasOutgoing || server.hasOutgoing {
                try server.receive(client.takeOutgoing())
                try client.receive(server.takeOutgoing())
            }
            precondition(client.isHandshakeComplete && server.isHandshakeComplete)
            return (client, server)
        }
        func transfer(_ bytes: [UInt8], from sender: TLSEngine, to receiver: TLSEngine) throws {
            try sender.encrypt(bytes)
            try receiver.receive(sender.takeOutgoing())
            try withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 16) { buffer in
                var count = 0
                while case .bytes(let more) = try receiver.decrypt(into: buffer) { count += more }
                precondition(count == bytes.count)
            }
        }

        let handshake = try medianSeconds { for _ in 0..<20 { _ = try connected() } } / 20
        let (sender, receiver) = try connected()
        let small = [UInt8](repeating: 0x5a, count: 2048)
        let large = [UInt8](repeating: 0x5a, count: 1 << 20)
        let message = try medianSeconds { for _ in 0..<1000 { try transfer(small, from: sender, to: receiver) } } / 1000
        let bulk = try medianSeconds { for _ in 0..<20 { try transfer(large, from: sender, to: receiver) } } / 20
        return [
            Figure(name: "handshake, both sides", value: handshake * 1e6, unit: "us"),
            Figure(name: "2 KiB sealed and opened", value: message * 1e6, unit: "us"),
            Figure(name: "1 MiB sealed and opened", value: 1.048576 / bulk, unit: "MB/s"),
        ]
    }
}
