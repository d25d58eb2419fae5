import KarsCore
import KarsTesting
import Testing

@Suite struct `TLS engine` {
    let authority: CertificateAuthority
    let leaf: IssuedCertificate

    init() throws {
        authority = try TestCertificates.authority()
        leaf = try TestCertificates.leaf(from: authority)
    }

    private func trusting() throws -> TLSContext { try .client(trust: .pem(authority.issued.certificatePEM)) }

    private func pair(
        client: TLSContext? = nil, server: TLSContext? = nil, serverName: String = "agent.test"
    ) throws -> TLSPair {
        try TLSPair(client: client ?? trusting(), server: server ?? .server(leaf.identity), serverName: serverName)
    }

    // MARK: Agreement

    @Test(arguments: [1, 2, 3, 5, 7, 64, 1000, Int.max])
    func `bytes pass both ways in pieces of any size`(pieceBytes: Int) throws {
        let pair = try pair()
        pair.pump(pieceBytes: pieceBytes)
        #expect(pair.client.isHandshakeComplete && pair.server.isHandshakeComplete)
        let question = SecureRandom.bytes(50_000)
        try pair.send(question, from: pair.client, pieceBytes: pieceBytes)
        #expect(try TLSPair.readAll(pair.server).bytes == question)
        try pair.send(Array("answer".utf8), from: pair.server, pieceBytes: pieceBytes)
        #expect(try TLSPair.readAll(pair.client).bytes == Array("answer".utf8))
        #expect(pair.client.version == "TLSv1.3")
        #expect(pair.server.requestedServerName == "agent.test")
        #expect(pair.client.peerCertificate == leaf.certificate)
        #expect(pair.server.peerCertificate == nil)
    }

    @Test func `a split anywhere in a record changes nothing`() throws {
        let pair = try pair()
        pair.pump()
        let message = Array("one record".utf8)
        for cut in 0...(message.count + 22) {
            try pair.client.encrypt(message)
            let record = pair.client.takeOutgoing()
            #expect(record.count == message.count + 22)
            try pair.server.receive(Array(record[..<cut]))
            if cut < record.count { #expect(try TLSPair.readAll(pair.server).bytes == []) }
            try pair.server.receive(Array(record[cut...]))
            #expect(try TLSPair.readAll(pair.server).bytes == message)
        }
    }

    @Test func `the first protocol of the server that both speak is chosen`() throws {
        let client = try TLSContext.client(trust: .pem(authority.issued.certificatePEM), alpn: ["h2", "http/1.1"])
        let pair = try pair(client: client, server: try .server(leaf.identity, alpn: ["http/1.1", "h2"]))
        pair.pump()
        #expect(pair.client.negotiatedALPN == "http/1.1")
        #expect(pair.server.negotiatedALPN == "http/1.1")
    }

    @Test func `no common protocol ends the handshake on both sides`() throws {
        let client = try TLSContext.client(trust: .pem(authority.issued.certificatePEM), alpn: ["h2"])
        let pair = try pair(client: client, server: try .server(leaf.identity, alpn: ["http/1.1"]))
        pair.pump()
        #expect(pair.serverFailure == TLSError(.handshakeFailed, ""))
        #expect(pair.clientFailure == TLSError(.rejectedByPeer, ""))
    }

    @Test func `protocols are optional on either side`() throws {
        let pair = try pair(server: try .server(leaf.identity, alpn: ["http/1.1"]))
        pair.pump()
        #expect(pair.client.isHandshakeComplete)
        #expect(pair.client.negotiatedALPN == nil)
    }

    @Test func `Ed25519 certificates work between us`() throws {
        let pair = try pair(server: try .server(try TestCertificates.leaf(from: authority, keyKind: .ed25519).identity))
        pair.pump()
        #expect(pair.client.isHandshakeComplete)
    }

    // MARK: Whom we trust

    @Test(arguments: ["agent.test", "AGENT.test", "agent.test.", "127.0.0.1", "::1", "a.wild.test"])
    func `a certificate is accepted for the names and addresses in it`(name: String) throws {
        let leaf = try TestCertificates.leaf(
            from: authority, dnsNames: ["agent.test", "*.wild.test"], ipAddresses: [.loopbackV4, .loopbackV6])
        let pair = try pair(server: try .server(leaf.identity), serverName: name)
        pair.pump()
        #expect(pair.clientFailure == nil)
        #expect(pair.client.isHandshakeComplete)
    }

    @Test(arguments: ["other.test", "agent.test.evil", "x.agent.test", "127.0.0.2", "::1", "leaf", "wild.test", "a.b.wild.test"])
    func `and for no other, the common name included`(name: String) throws {
        let leaf = try TestCertificates.leaf(from: authority, dnsNames: ["agent.test", "*.wild.test"])
        let pair = try pair(server: try .server(leaf.identity), serverName: name)
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
        #expect(pair.serverFailure == TLSError(.rejectedByPeer, ""))
        #expect(!pair.client.isHandshakeComplete)
    }

    @Test func `an address in a name's place proves nothing for the address`() throws {
        let leaf = try TestCertificates.leaf(from: authority, dnsNames: ["agent.test"], ipAddresses: [])
        let pair = try pair(server: try .server(leaf.identity), serverName: "127.0.0.1")
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
    }

    @Test func `an authority that is not ours is refused, and the reason says so`() throws {
        let stranger = try TestCertificates.leaf(from: try TestCertificates.authority(named: "stranger"))
        let pair = try pair(server: try .server(stranger.identity))
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
        #expect(pair.clientFailure?.reason.contains("issuer") == true)
        #expect(pair.clientFailure?.peer == "agent.test")
    }

    @Test func `the system's trust does not include our authority`() throws {
        let pair = try pair(client: try .client())
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
    }

    @Test func `a certificate out of its dates is refused`() throws {
        let hour = Duration.seconds(3600)
        let expired = try TestCertificates.leaf(
            from: authority, now: TestCertificates.now.advanced(by: .seconds(-7200)), validFor: hour)
        let early = try TestCertificates.leaf(from: authority, now: TestCertificates.now.advanced(by: hour), validFor: hour)
        for leaf in [expired, early] {
            let pair = try pair(server: try .server(leaf.identity))
            pair.pump()
            #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
        }
    }

    @Test func `what an authority issued cannot issue in turn`() throws {
        let leaf = self.leaf
        let impostor = try CertificateAuthority(
            certificatePEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
        let forged = try TestCertificates.leaf(from: impostor, dnsNames: ["bank.test"])
        let chain = TLSContext.Identity(
            certificateChainPEM: forged.certificatePEM + leaf.certificatePEM, privateKeyPEM: forged.privateKeyPEM)
        let pair = try pair(server: try .server(chain), serverName: "bank.test")
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
    }

    // MARK: Pinning

    @Test func `a pinned certificate is accepted under any name`() throws {
        let own = try SelfSigned.issue(
            CertificateRequest(commonName: "operator plane", now: TestCertificates.now, validFor: .seconds(3600)))
        let pinning = try TLSContext.client(trust: .pinned(fingerprint: own.certificate.fingerprint))
        for name in ["10.1.2.3", "sandbox.kars"] {
            let pair = try pair(client: pinning, server: try .server(own.identity), serverName: name)
            pair.pump()
            #expect(pair.client.isHandshakeComplete)
            #expect(pair.client.peerCertificate?.fingerprint == own.certificate.fingerprint)
        }
    }

    @Test func `any other certificate is refused, even a valid one for the same key`() throws {
        let pinning = try TLSContext.client(trust: .pinned(fingerprint: leaf.certificate.fingerprint))
        let other = try TestCertificates.leaf(from: authority)
        let pair = try pair(client: pinning, server: try .server(other.identity))
        pair.pump()
        #expect(pair.clientFailure == TLSError(.certificateRejected, ""))
        #expect(throws: TLSError(.invalidCredentials, "")) { try TLSContext.client(trust: .pinned(fingerprint: [1, 2])) }
    }

    // MARK: Client certificates

    @Test func `a required client certificate is seen by the server`() throws {
        let caller = try TestCertificates.leaf(from: authority, dnsNames: ["gateway.kars"])
        let client = try TLSContext.client(trust: .pem(authority.issued.certificatePEM), certificate: caller.identity)
        let pair = try pair(
            client: client, server: try .server(leaf.identity, clientAuthorities: authority.issued.certificatePEM))
        pair.pump()
        #expect(pair.server.peerCertificate?.dnsNames == ["gateway.kars"])
    }

    @Test func `without it, or from another authority, the client is refused`() throws {
        let server = try TLSContext.server(leaf.identity, clientAuthorities: authority.issued.certificatePEM)
        let stranger = try TestCertificates.leaf(from: try TestCertificates.authority(named: "stranger"))
        let trust = TLSContext.Trust.pem(authority.issued.certificatePEM)
        for client in [try TLSContext.client(trust: trust), try .client(trust: trust, certificate: stranger.identity)] {
            let pair = try pair(client: client, server: server)
            pair.pump()
            #expect(pair.serverFailure == TLSError(.certificateRejected, ""))
            // In TLS 1.3 the client is done before the server has judged it: the alert is what it reads first.
            #expect(throws: TLSError(.rejectedByPeer, "")) { try TLSPair.readAll(pair.client) }
        }
    }

    // MARK: Ends

    @Test func `an announced end is an end, and the other direction stays open`() throws {
        let pair = try pair()
        pair.pump()
        try pair.send(Array("last words".utf8), from: pair.client)
        pair.client.close()
        pair.pump()
        let read = try TLSPair.readAll(pair.server)
        #expect(read.bytes == Array("last words".utf8) && read.isClosed)
        try pair.server.receiveEnd()
        #expect(try TLSPair.readAll(pair.server).isClosed)
        try pair.send(Array("understood".utf8), from: pair.server)
        #expect(try TLSPair.readAll(pair.client).bytes == Array("understood".utf8))
        #expect(throws: TLSError(.notWritable, "")) { try pair.send([1], from: pair.client) }
    }

    @Test func `an end that was not announced is told apart, after the bytes before it`() throws {
        let pair = try pair()
        pair.pump()
        try pair.send(Array("half an ans".utf8), from: pair.server)
        try pair.client.receiveEnd()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 16)
        defer { buffer.deallocate() }
        #expect(try pair.client.decrypt(into: buffer) == .bytes(11))
        for _ in 0..<2 {
            #expect(throws: TLSError(.closedWithoutNotify, "")) { try TLSPair.readAll(pair.client) }
        }
    }

    @Test func `an end in the middle of the handshake fails it`() throws {
        let pair = try pair()
        #expect(throws: TLSError(.handshakeFailed, "")) { try pair.server.receiveEnd() }
        #expect(throws: TLSError(.handshakeFailed, "")) { try pair.client.receiveEnd() }
        pair.client.close()
        #expect(throws: TLSError(.handshakeFailed, "")) { try pair.send([1], from: pair.client) }
    }

    @Test func `plaintext before the handshake is not writable, which does no harm`() throws {
        let pair = try pair()
        #expect(throws: TLSError(.notWritable, "")) { try pair.send([1], from: pair.client) }
        pair.pump()
        try pair.send([1], from: pair.client)
        #expect(try TLSPair.readAll(pair.server).bytes == [1])
    }

    // MARK: Bad peers

    @Test(arguments: [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "\u{16}\u{3}\u{1}\u{7f}\u{7f}garbage",
    ])
    func `what is not TLS fails the handshake and stays failed`(text: String) throws {
        let server = try TLSEngine(server: try .server(leaf.identity), peer: "10.0.0.9:4711")
        let bytes = Array(text.utf8)
        #expect(throws: TLSError(.handshakeFailed, "")) {
            try server.receive(bytes)
            try server.receiveEnd()
        }
        #expect(throws: TLSError(.handshakeFailed, "")) { try TLSPair.readAll(server) }
    }

    @Test func `one altered bit in a record is a protocol violation`() throws {
        for bit in 0..<8 {
            let pair = try pair()
            pair.pump()
            try pair.client.encrypt([UInt8](repeating: 7, count: 100))
            var record = pair.client.takeOutgoing()
            record[5 + bit * 14] ^= 1 << UInt8(bit)
            try pair.server.receive(record)
            #expect(throws: TLSError(.protocolViolation, "")) { try TLSPair.readAll(pair.server) }
            // The alert that tells the peer.
            #expect(pair.server.hasOutgoing)
            pair.pump()
            #expect(throws: TLSError(.rejectedByPeer, "")) { try TLSPair.readAll(pair.client) }
        }
    }

    @Test(arguments: 0..<60 as Range<UInt64>)
    func `a handshake with altered bytes never completes on both sides with different ideas`(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let pair = try pair()
        pair.toServer = pair.client.takeOutgoing()
        if Bool.random(using: &random) {
            pair.toServer[Int.random(in: 0..<pair.toServer.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            pair.pump()
        } else {
            try pair.server.receive(pair.toServer)
            pair.toServer = []
            pair.toClient = pair.server.takeOutgoing()
            pair.toClient[Int.random(in: 0..<pair.toClient.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            pair.pump()
        }
        #expect(!(pair.client.isHandshakeComplete && pair.server.isHandshakeComplete))
    }

    // MARK: Renewal

    @Test func `old connections live on when the context is replaced`() throws {
        var server = try TLSContext.server(leaf.identity)
        let old = try TLSPair(client: try trusting(), server: server)
        old.pump()
        let renewed = try TestCertificates.leaf(from: authority)
        server = try .server(renewed.identity)
        let new = try TLSPair(client: try trusting(), server: server)
        new.pump()
        #expect(old.client.peerCertificate == leaf.certificate)
        #expect(new.client.peerCertificate == renewed.certificate)
        try old.send([1, 2, 3], from: old.client)
        #expect(try TLSPair.readAll(old.server).bytes == [1, 2, 3])
    }

    @Test func `an idle engine holds no buffers and has nothing to send`() throws {
        let pair = try pair()
        pair.pump()
        #expect(!pair.client.hasOutgoing && !pair.server.hasOutgoing)
        pair.client.drainOutgoing { _ in Issue.record("nothing to send") }
    }
}
