package import KarsCore

/// A client and a server engine with a wire of memory between them.
package final class TLSPair {
    package let client: TLSEngine
    package let server: TLSEngine
    /// The first failure of each side.
    package private(set) var clientFailure: TLSError?
    package private(set) var serverFailure: TLSError?
    /// What is under way, so that a test can cut or alter it.
    package var toServer: [UInt8] = []
    package var toClient: [UInt8] = []

    package init(client: TLSContext, server: TLSContext, serverName: String = "agent.test") throws {
        self.client = try TLSEngine(client: client, serverName: try Host(serverName))
        self.server = try TLSEngine(server: server, peer: "client")
    }

    /// Carries bytes in pieces of at most `pieceBytes` until both sides are quiet.
    package func pump(pieceBytes: Int = .max) {
        while true {
            toServer += client.takeOutgoing()
            toClient += server.takeOutgoing()
            if toServer.isEmpty && toClient.isEmpty { return }
            step(&toServer, into: server, failure: &serverFailure, pieceBytes)
            step(&toClient, into: client, failure: &clientFailure, pieceBytes)
        }
    }

    private func step(_ wire: inout [UInt8], into engine: TLSEngine, failure: inout TLSError?, _ pieceBytes: Int) {
        guard !wire.isEmpty else { return }
        let piece = Array(wire.prefix(pieceBytes))
        wire.removeFirst(piece.count)
        do throws(TLSError) {
            try engine.receive(piece)
        } catch {
            if failure == nil { failure = error }
        }
    }

    package func send(_ bytes: [UInt8], from engine: TLSEngine, pieceBytes: Int = .max) throws {
        try engine.encrypt(bytes)
        pump(pieceBytes: pieceBytes)
    }

    /// Plaintext that has arrived, and whether the peer announced its end.
    package static func readAll(_ engine: TLSEngine) throws(TLSError) -> (bytes: [UInt8], isClosed: Bool) {
        var all: [UInt8] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            switch try engine.decrypt(into: buffer) {
            case .bytes(let count): all += buffer[..<count]
            case .needMore: return (all, false)
            case .closed: return (all, true)
            }
        }
    }
}

/// Certificates for tests, made once per process.
package enum TestCertificates {
    package static let now = UTCTime.now()

    package static func authority(named name: String = "test authority") throws(TLSError) -> CertificateAuthority {
        try CertificateAuthority(CertificateRequest(commonName: name, now: now, validFor: .seconds(3600)))
    }

    package static func leaf(
        from authority: CertificateAuthority, dnsNames: [String] = ["agent.test"], ipAddresses: [IPAddress] = [.loopbackV4],
        keyKind: CertificateRequest.KeyKind = .p256, now: UTCTime = now, validFor: Duration = .seconds(3600)
    ) throws(TLSError) -> IssuedCertificate {
        try authority.issue(
            CertificateRequest(
                commonName: "leaf", dnsNames: dnsNames, ipAddresses: ipAddresses, keyKind: keyKind, now: now, validFor: validFor))
    }
}
