import KarsCore
import KarsTesting
import Testing

@Suite struct `Certificates and contexts` {
    private let now = UTCTime(seconds: 1_767_323_045)

    @Test func `a certificate says what was asked for`() throws {
        let address = try #require(IPAddress("2001:db8::7"))
        let issued = try SelfSigned.issue(
            CertificateRequest(
                commonName: "Zoë", dnsNames: ["a.test", "*.b.test"], ipAddresses: [.loopbackV4, address], now: now,
                validFor: .seconds(86_400)))
        let certificate = try TLSCertificate(pem: issued.certificatePEM)
        #expect(certificate == issued.certificate)
        #expect(certificate.commonName == "Zoë")
        #expect(certificate.dnsNames == ["a.test", "*.b.test"])
        #expect(certificate.ipAddresses == [.loopbackV4, address])
        #expect(certificate.uris.isEmpty)
        #expect(certificate.notBefore == now.advanced(by: .seconds(-300)))
        #expect(certificate.notAfter == now.advanced(by: .seconds(86_400)))
        #expect(certificate.fingerprint.count == 32)
    }

    @Test(arguments: ["a.test,IP:1.2.3.4", "a test", "*", "*.*.test", "", "a:b", "dirName:x"])
    func `a name that is none never reaches a certificate`(name: String) {
        #expect(throws: TLSError(.invalidCredentials, "")) {
            try SelfSigned.issue(CertificateRequest(commonName: "x", dnsNames: [name], now: now, validFor: .seconds(1)))
        }
    }

    @Test func `dates the wrong way round and empty names are refused`() {
        #expect(throws: TLSError(.invalidCredentials, "")) {
            try SelfSigned.issue(CertificateRequest(commonName: "x", now: now, validFor: .seconds(-400)))
        }
        #expect(throws: TLSError(.invalidCredentials, "")) {
            try SelfSigned.issue(CertificateRequest(commonName: "", now: now, validFor: .seconds(1)))
        }
    }

    @Test func `an authority is as good when read back`() throws {
        let first = try TestCertificates.authority()
        let again = try CertificateAuthority(
            certificatePEM: first.issued.certificatePEM, privateKeyPEM: first.issued.privateKeyPEM)
        let leaf = try TestCertificates.leaf(from: again)
        let pair = try TLSPair(
            client: try .client(trust: .pem(first.issued.certificatePEM)), server: try .server(leaf.identity))
        pair.pump()
        #expect(pair.client.isHandshakeComplete)
    }

    @Test func `credentials that cannot be used are refused with the reason`() throws {
        let one = try TestCertificates.authority().issued
        let other = try TestCertificates.authority().issued
        let garbage = Array("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".utf8)
        let identities = [
            TLSContext.Identity(certificateChainPEM: [], privateKeyPEM: one.privateKeyPEM),
            .init(certificateChainPEM: garbage, privateKeyPEM: one.privateKeyPEM),
            .init(certificateChainPEM: one.certificatePEM, privateKeyPEM: Secret([])),
            .init(certificateChainPEM: one.certificatePEM, privateKeyPEM: other.privateKeyPEM),
            .init(certificateChainPEM: one.certificatePEM + garbage, privateKeyPEM: one.privateKeyPEM),
            .init(
                certificateChainPEM: one.certificatePEM.dropLast(40) + Array("\n".utf8), privateKeyPEM: one.privateKeyPEM),
        ]
        for identity in identities {
            #expect(throws: TLSError(.invalidCredentials, "")) { try TLSContext.server(identity) }
        }
        #expect(throws: TLSError(.invalidCredentials, "")) { try TLSContext.client(trust: .pem([])) }
        #expect(throws: TLSError(.invalidCredentials, "")) { try TLSContext.client(trust: .pem(garbage)) }
    }

    @Test func `an encrypted key is refused instead of asking for its password`() throws {
        let key = """
            -----BEGIN ENCRYPTED PRIVATE KEY-----
            MIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBDq
            -----END ENCRYPTED PRIVATE KEY-----

            """
        let one = try TestCertificates.authority().issued
        #expect(throws: TLSError(.invalidCredentials, "")) {
            try TLSContext.server(
                .init(certificateChainPEM: one.certificatePEM, privateKeyPEM: Secret(Array(key.utf8))))
        }
    }

    @Test func `errors say who and why, and nothing else`() throws {
        let error = TLSError(.handshakeFailed, "no shared cipher", peer: "10.0.0.1:443")
        #expect("\(error)" == "tls handshakeFailed with 10.0.0.1:443: no shared cipher")
        #expect(!"\(try TestCertificates.authority())".contains("PRIVATE"))
    }
}
