import COpenSSL

/// What one side of TLS is willing to do: its certificate, whom it trusts, which application protocols it speaks. Made once, shared by
/// all its connections, never changed: a new certificate is a new context for the connections to come, while the old ones keep theirs.
///
/// TLS 1.2 and 1.3 with forward secrecy and authenticated encryption only. No session is resumed, so every connection proves itself
/// anew and a certificate that is no longer accepted ends with its connections.
package final class TLSContext: @unchecked Sendable {
    // `SSL_CTX` is safe to share once it is no longer configured, which happens only before `init` returns.
    let handle: OpaquePointer
    let isServer: Bool
    /// Whether the client compares the certificate with the name it asked for. A pinned certificate is the name.
    let verifiesServerName: Bool
    private let protocols: ProtocolList?
    private let pin: Pin?
    /// The certificate that we present.
    package let certificate: TLSCertificate?

    package enum Trust: Sendable {
        /// The machine's own authorities.
        case system
        /// The authorities in this PEM text and no others.
        case pem([UInt8])
        /// Exactly the certificate with this SHA-256 fingerprint, whatever its name, issuer and dates.
        case pinned(fingerprint: [UInt8])
        /// Nobody is checked, and anybody between here and there can read and change everything. Only when a person asked for it
        /// in so many words.
        case unverified
    }

    /// A certificate with its chain, and its key.
    package struct Identity: Sendable {
        package var certificateChainPEM: [UInt8]
        package var privateKeyPEM: Secret<[UInt8]>

        package init(certificateChainPEM: [UInt8], privateKeyPEM: Secret<[UInt8]>) {
            self.certificateChainPEM = certificateChainPEM
            self.privateKeyPEM = privateKeyPEM
        }
    }

    /// A server. With `clientAuthorities` (PEM) every client must present a certificate that they vouch for; unless
    /// `requiresClientCertificate` is false, and then one that is presented must still be vouched for.
    package static func server(
        _ identity: Identity, clientAuthorities: [UInt8]? = nil, requiresClientCertificate: Bool = true, alpn: [String] = []
    ) throws(TLSError) -> TLSContext {
        let context = try TLSContext(
            isServer: true, identity: identity, trust: clientAuthorities.map(Trust.pem), alpn: ProtocolList(alpn))
        if clientAuthorities != nil, !requiresClientCertificate { SSL_CTX_set_verify(context.handle, SSL_VERIFY_PEER, nil) }
        return context
    }

    package static func client(
        trust: Trust = .system, certificate: Identity? = nil, alpn: [String] = []
    ) throws(TLSError) -> TLSContext {
        try TLSContext(isServer: false, identity: certificate, trust: trust, alpn: ProtocolList(alpn))
    }

    private init(isServer: Bool, identity: Identity?, trust: Trust?, alpn: ProtocolList?) throws(TLSError) {
        OpenSSLErrors.clear()
        guard let context = SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method()) else {
            throw TLSError(.internalFailure, OpenSSLErrors.take().text)
        }
        var pin: Pin?
        var verifies = true
        var certificate: TLSCertificate?
        do throws(TLSError) {
            guard kars_ssl_ctx_harden(context) == 1 else { throw TLSError(.internalFailure, OpenSSLErrors.take().text) }
            if let identity { certificate = try Self.install(identity, in: context) }
            switch trust {
            case nil: SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            case .system: try Self.trustSystem(context)
            case .unverified:
                SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
                verifies = false
            case .pem(let bundle): try Self.trust(bundle, in: context, isServer: isServer)
            case .pinned(let fingerprint):
                guard fingerprint.count == SHA256.byteCount else {
                    throw TLSError(.invalidCredentials, "a fingerprint has 32 bytes, not \(fingerprint.count)")
                }
                let wanted = Pin(fingerprint: fingerprint)
                SSL_CTX_set_cert_verify_callback(context, verifyPin, Unmanaged.passUnretained(wanted).toOpaque())
                pin = wanted
            }
            if trust != nil, verifies {
                SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (isServer ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nil)
            }
            if let alpn {
                if isServer {
                    SSL_CTX_set_alpn_select_cb(context, selectProtocol, Unmanaged.passUnretained(alpn).toOpaque())
                } else {
                    SSL_CTX_set_alpn_protos(context, alpn.wire.baseAddress, UInt32(alpn.wire.count))
                }
            }
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        handle = context
        self.isServer = isServer
        self.certificate = certificate
        self.pin = pin
        protocols = alpn
        verifiesServerName = verifies && pin == nil
    }

    deinit { SSL_CTX_free(handle) }

    private static func install(_ identity: Identity, in context: OpaquePointer) throws(TLSError) -> TLSCertificate {
        let chain = try PEM.certificates(identity.certificateChainPEM, what: "certificate chain")
        defer { for certificate in chain { X509_free(certificate) } }
        let key = try PEM.privateKey(identity.privateKeyPEM)
        defer { EVP_PKEY_free(key) }
        OpenSSLErrors.clear()
        guard SSL_CTX_use_certificate(context, chain[0]) == 1 else {
            throw TLSError(.invalidCredentials, "certificate: \(OpenSSLErrors.take().text)")
        }
        for certificate in chain.dropFirst() {
            guard kars_ssl_ctx_add_chain_certificate(context, certificate) == 1 else {
                throw TLSError(.invalidCredentials, "certificate chain: \(OpenSSLErrors.take().text)")
            }
        }
        guard SSL_CTX_use_PrivateKey(context, key) == 1, SSL_CTX_check_private_key(context) == 1 else {
            throw TLSError(.invalidCredentials, "the key does not fit the certificate: \(OpenSSLErrors.take().text)")
        }
        return try TLSCertificate(reading: chain[0])
    }

    private static func trust(_ bundle: [UInt8], in context: OpaquePointer, isServer: Bool) throws(TLSError) {
        let authorities = try PEM.certificates(bundle, what: "trust bundle")
        defer { for authority in authorities { X509_free(authority) } }
        let store = SSL_CTX_get_cert_store(context)
        OpenSSLErrors.clear()
        for authority in authorities {
            guard X509_STORE_add_cert(store, authority) == 1 else {
                throw TLSError(.invalidCredentials, "trust bundle: \(OpenSSLErrors.take().text)")
            }
            if isServer { SSL_CTX_add_client_CA(context, authority) }
        }
    }

    /// Where distributions keep their bundle; OpenSSL's compiled-in place is only right on the one it was built for.
    private static let systemBundles = [
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem",
    ]

    /// The hashed directory is read certificate by certificate as needed, which keeps memory small; a bundle is read whole.
    private static func trustSystem(_ context: OpaquePointer) throws(TLSError) {
        OpenSSLErrors.clear()
        if let directory = X509_get_default_cert_dir(), Files.exists(String(cString: directory)) {
            guard SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw TLSError(.internalFailure, OpenSSLErrors.take().text)
            }
            return
        }
        guard let bundle = systemBundles.first(where: Files.exists) else {
            throw TLSError(.invalidCredentials, "this machine has no trusted authorities: install ca-certificates")
        }
        guard SSL_CTX_load_verify_locations(context, bundle, nil) == 1 else {
            throw TLSError(.invalidCredentials, "\(bundle): \(OpenSSLErrors.take().text)")
        }
    }
}

/// The one certificate that is accepted.
private final class Pin: Sendable {
    let fingerprint: [UInt8]

    init(fingerprint: [UInt8]) { self.fingerprint = fingerprint }
}

/// Application protocols as the extension spells them (RFC 7301 §3.1), at an address that stays.
private final class ProtocolList: @unchecked Sendable {
    // Written once, here.
    let wire: UnsafeBufferPointer<UInt8>

    init?(_ names: [String]) {
        guard !names.isEmpty else { return nil }
        let bytes = names.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8.prefix(255)) }
        let memory = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: bytes.count)
        _ = memory.initialize(from: bytes)
        wire = UnsafeBufferPointer(memory)
    }

    deinit { wire.deallocate() }
}

/// In place of chain verification. OpenSSL still makes the peer prove that it holds the certificate's key.
private func verifyPin(_ store: OpaquePointer?, _ argument: UnsafeMutableRawPointer?) -> Int32 {
    guard let store, let argument, let certificate = X509_STORE_CTX_get0_cert(store) else { return 0 }
    let pin = Unmanaged<Pin>.fromOpaque(argument).takeUnretainedValue()
    // What cannot be read is not the one.
    if let presented = try? TLSCertificate(reading: certificate), ConstantTime.equal(presented.fingerprint, pin.fingerprint) {
        X509_STORE_CTX_set_error(store, X509_V_OK)
        return 1
    }
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_UNTRUSTED)
    return 0
}

/// Our first protocol that the client also speaks; without any the handshake ends (RFC 7301 §3.2).
private func selectProtocol(
    _ ssl: OpaquePointer?, _ selected: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
    _ selectedCount: UnsafeMutablePointer<UInt8>?,
    _ offered: UnsafePointer<UInt8>?, _ offeredCount: UInt32, _ argument: UnsafeMutableRawPointer?
) -> Int32 {
    guard let selected, let argument else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    let ours = Unmanaged<ProtocolList>.fromOpaque(argument).takeUnretainedValue().wire
    var choice: UnsafeMutablePointer<UInt8>?
    let status = SSL_select_next_proto(&choice, selectedCount, ours.baseAddress, UInt32(ours.count), offered, offeredCount)
    guard status == OPENSSL_NPN_NEGOTIATED else { return SSL_TLSEXT_ERR_ALERT_FATAL }
    selected.pointee = UnsafePointer(choice)
    return SSL_TLSEXT_ERR_OK
}
