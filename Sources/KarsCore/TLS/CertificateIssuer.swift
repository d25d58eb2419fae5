import COpenSSL

/// What a certificate is asked to say.
package struct CertificateRequest: Sendable {
    package enum KeyKind: Sendable {
        /// ECDSA on P-256: every TLS client can verify it.
        case p256
        /// Smaller and faster, but not for browsers and older clients.
        case ed25519
    }

    package var commonName: String
    /// `O` of the subject, each 1 to 64 bytes.
    package var organizations: [String] = []
    package var dnsNames: [String] = []
    package var ipAddresses: [IPAddress] = []
    package var keyKind = KeyKind.p256
    /// A few minutes before now covers clocks that disagree.
    package var notBefore: UTCTime
    package var notAfter: UTCTime

    package init(
        commonName: String, dnsNames: [String] = [], ipAddresses: [IPAddress] = [], keyKind: KeyKind = .p256, now: UTCTime,
        validFor: Duration
    ) {
        self.commonName = commonName
        self.dnsNames = dnsNames
        self.ipAddresses = ipAddresses
        self.keyKind = keyKind
        notBefore = now.advanced(by: .seconds(-300))
        notAfter = now.advanced(by: validFor)
    }
}

/// A certificate of our making, with its key.
package struct IssuedCertificate: Sendable {
    package let certificatePEM: [UInt8]
    package let privateKeyPEM: Secret<[UInt8]>
    package let certificate: TLSCertificate

    /// For `TLSContext`; the chain is the certificate itself, the issuer is what the other side trusts.
    package var identity: TLSContext.Identity {
        TLSContext.Identity(certificateChainPEM: certificatePEM, privateKeyPEM: privateKeyPEM)
    }
}

/// A certificate that vouches for itself: for the operator plane, whose clients pin its fingerprint, and for tests.
package enum SelfSigned {
    package static func issue(_ request: CertificateRequest) throws(TLSError) -> IssuedCertificate {
        try Minter.mint(request, isAuthority: false, signer: nil)
    }
}

/// A small authority of one level: what it issues can be trusted through it and cannot issue in turn.
package struct CertificateAuthority: Sendable {
    package let issued: IssuedCertificate

    package init(_ request: CertificateRequest) throws(TLSError) {
        issued = try Minter.mint(request, isAuthority: true, signer: nil)
    }

    /// One that was issued before.
    package init(certificatePEM: [UInt8], privateKeyPEM: Secret<[UInt8]>) throws(TLSError) {
        issued = IssuedCertificate(
            certificatePEM: certificatePEM, privateKeyPEM: privateKeyPEM, certificate: try TLSCertificate(pem: certificatePEM))
    }

    /// A certificate for servers and clients.
    package func issue(_ request: CertificateRequest) throws(TLSError) -> IssuedCertificate {
        try Minter.mint(request, isAuthority: false, signer: issued)
    }
}

private enum Minter {
    static func mint(
        _ request: CertificateRequest, isAuthority: Bool, signer: IssuedCertificate?
    ) throws(TLSError) -> IssuedCertificate {
        try check(request)
        OpenSSLErrors.clear()
        guard let key = request.keyKind == .p256 ? kars_generate_p256() : kars_generate_ed25519(), let certificate = X509_new()
        else {
            throw TLSError(.internalFailure, OpenSSLErrors.take().text)
        }
        defer {
            EVP_PKEY_free(key)
            X509_free(certificate)
        }
        if let signer {
            let issuers = try PEM.certificates(signer.certificatePEM, what: "issuer")
            defer { for issuer in issuers { X509_free(issuer) } }
            let signingKey = try PEM.privateKey(signer.privateKeyPEM)
            defer { EVP_PKEY_free(signingKey) }
            guard X509_check_private_key(issuers[0], signingKey) == 1 else {
                throw TLSError(.invalidCredentials, "the issuer's key does not fit its certificate")
            }
            try fill(certificate, request, key: key, isAuthority: isAuthority, issuer: issuers[0])
            try sign(certificate, with: signingKey)
        } else {
            try fill(certificate, request, key: key, isAuthority: isAuthority, issuer: certificate)
            try sign(certificate, with: key)
        }
        return IssuedCertificate(
            certificatePEM: PEM.text(ofCertificate: certificate), privateKeyPEM: PEM.text(ofPrivateKey: key),
            certificate: try TLSCertificate(reading: certificate))
    }

    /// Names go into OpenSSL's configuration syntax, where a comma or a colon would start another entry.
    private static func check(_ request: CertificateRequest) throws(TLSError) {
        guard (1...64).contains(request.commonName.utf8.count) else {
            throw TLSError(.invalidCredentials, "a common name has 1 to 64 bytes")
        }
        guard request.organizations.allSatisfy({ (1...64).contains($0.utf8.count) }) else {
            throw TLSError(.invalidCredentials, "an organization has 1 to 64 bytes")
        }
        for name in request.dnsNames {
            let host = name.hasPrefix("*.") ? name.dropFirst(2) : name[...]
            do {
                _ = try HostName(host)
            } catch {
                throw TLSError(.invalidCredentials, "\(name) in a certificate: \(error)")
            }
        }
        guard request.notBefore < request.notAfter else {
            throw TLSError(.invalidCredentials, "a certificate that ends before it begins")
        }
    }

    private static func fill(
        _ certificate: OpaquePointer, _ request: CertificateRequest, key: OpaquePointer, isAuthority: Bool, issuer: OpaquePointer
    ) throws(TLSError) {
        let name = X509_get_subject_name(certificate)
        guard X509_set_version(certificate, 2) == 1, setSerial(certificate),
            ASN1_TIME_set(X509_getm_notBefore(certificate), Int(request.notBefore.seconds)) != nil,
            ASN1_TIME_set(X509_getm_notAfter(certificate), Int(request.notAfter.seconds)) != nil,
            add(request.commonName, NID_commonName, to: name),
            request.organizations.allSatisfy({ add($0, NID_organizationName, to: name) }),
            X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1, X509_set_pubkey(certificate, key) == 1
        else { throw TLSError(.internalFailure, OpenSSLErrors.take().text) }
        var extensions: [(Int32, String)] = [
            (NID_basic_constraints, isAuthority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE"),
            (NID_key_usage, isAuthority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature"),
            (NID_subject_key_identifier, "hash"), (NID_authority_key_identifier, "keyid:always"),
        ]
        if !isAuthority { extensions.append((NID_ext_key_usage, "serverAuth,clientAuth")) }
        let names = request.dnsNames.map { "DNS:\($0)" } + request.ipAddresses.map { "IP:\($0)" }
        if !names.isEmpty { extensions.append((NID_subject_alt_name, names.joined(separator: ","))) }
        for (identifier, value) in extensions {
            guard kars_x509_add_extension(certificate, issuer, identifier, value) == 1 else {
                throw TLSError(.internalFailure, "extension \(value): \(OpenSSLErrors.take().text)")
            }
        }
    }

    private static func add(_ text: String, _ identifier: Int32, to name: OpaquePointer?) -> Bool {
        let bytes = Array(text.utf8)
        return X509_NAME_add_entry_by_NID(name, identifier, MBSTRING_UTF8, bytes, Int32(bytes.count), -1, 0) == 1
    }

    /// 127 random bits: unique without a counter, positive as RFC 5280 §4.1.2.2 asks.
    private static func setSerial(_ certificate: OpaquePointer) -> Bool {
        var bytes = SecureRandom.bytes(16)
        bytes[0] = bytes[0] & 0x7f | 0x40
        guard let number = BN_bin2bn(bytes, Int32(bytes.count), nil) else { return false }
        defer { BN_free(number) }
        return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
    }

    private static func sign(_ certificate: OpaquePointer, with key: OpaquePointer) throws(TLSError) {
        // Ed25519 hashes by itself and takes no digest.
        let digest = EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? nil : EVP_sha256()
        guard X509_sign(certificate, key, digest) > 0 else { throw TLSError(.internalFailure, OpenSSLErrors.take().text) }
    }
}
