import COpenSSL

/// What `decrypt` found.
package enum TLSRead: Equatable, Sendable {
    /// So many bytes of plaintext; there may be more.
    case bytes(Int)
    /// Everything received so far is used up.
    case needMore
    /// The peer announced its end: nothing was cut off.
    case closed
}

/// One TLS connection without a socket: ciphertext in, plaintext out, and back.
///
/// The driver feeds what arrives (`receive`), takes plaintext until `needMore` (`decrypt`), offers plaintext (`encrypt`) and, after every
/// other call, failed ones included, sends what `drainOutgoing` or `takeOutgoing` hands it: the handshake and alerts travel there too.
/// After a failure each call throws the same error. Confined to one loop; it keeps its context alive.
package final class TLSEngine {
    private let context: TLSContext
    private let buffers: TLSBuffers
    private let ssl: OpaquePointer
    private let peer: String
    private var failure: TLSError?
    private var state = State.handshaking
    private var hasIncomingEnded = false

    private enum State { case handshaking, open, closing }

    package init(server context: TLSContext, peer: String = "") throws(TLSError) {
        precondition(context.isServer, "a client's context cannot serve")
        (ssl, buffers) = try Self.makeHandle(context, peer: peer)
        self.context = context
        self.peer = peer
        SSL_set_accept_state(ssl)
    }

    /// `serverName` is what the certificate must be for, a DNS name or an address; a name is also sent (SNI). The first flight is ready
    /// in `drainOutgoing` at once.
    package init(client context: TLSContext, serverName: Host, peer: String? = nil) throws(TLSError) {
        precondition(!context.isServer, "a server's context cannot connect")
        let peer = peer ?? serverName.description
        (ssl, buffers) = try Self.makeHandle(context, peer: peer)
        self.context = context
        self.peer = peer
        SSL_set_connect_state(ssl)
        try expect(serverName)
        try advanceHandshake()
    }

    deinit { SSL_free(ssl) }

    private static func makeHandle(_ context: TLSContext, peer: String) throws(TLSError) -> (OpaquePointer, TLSBuffers) {
        OpenSSLErrors.clear()
        guard let ssl = SSL_new(context.handle), let bio = BIO_new(TLSBuffers.method) else {
            throw TLSError(.internalFailure, OpenSSLErrors.take().text, peer: peer)
        }
        let buffers = TLSBuffers()
        BIO_set_data(bio, Unmanaged.passUnretained(buffers).toOpaque())
        BIO_set_init(bio, 1)
        SSL_set_bio(ssl, bio, bio)
        return (ssl, buffers)
    }

    private func expect(_ serverName: Host) throws(TLSError) {
        let parameters = SSL_get0_param(ssl)
        var isSet = true
        switch serverName {
        case .name(let name):
            isSet = kars_ssl_set_server_name(ssl, name.text) == 1
            guard context.verifiesServerName else { break }
            X509_VERIFY_PARAM_set_hostflags(
                parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
            isSet = isSet && X509_VERIFY_PARAM_set1_host(parameters, name.text, name.text.utf8.count) == 1
        case .address(let address):
            guard context.verifiesServerName else { break }
            let bytes = address.bytes
            isSet = X509_VERIFY_PARAM_set1_ip(parameters, bytes, bytes.count) == 1
        }
        guard isSet else { throw TLSError(.internalFailure, OpenSSLErrors.take().text, peer: peer) }
    }
}

// MARK: - Bytes

extension TLSEngine {
    /// Takes bytes from the network and moves the handshake on. Plaintext waits for `decrypt`; a driver that wants to hold the peer
    /// back stops reading the socket.
    package func receive(_ ciphertext: UnsafeRawBufferPointer) throws(TLSError) {
        if let failure { throw failure }
        buffers.incoming.append(contentsOf: ciphertext)
        if !isHandshakeComplete { try advanceHandshake() }
    }

    /// The network has ended. What was received can still be decrypted; then, unless the peer had announced its end, `decrypt` throws
    /// `closedWithoutNotify`.
    package func receiveEnd() throws(TLSError) {
        if let failure { throw failure }
        hasIncomingEnded = true
        if !isHandshakeComplete { try advanceHandshake() }
    }

    /// Plaintext that has arrived, at most one record (16 KiB) per call.
    package func decrypt(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> TLSRead {
        if let failure { throw failure }
        guard isHandshakeComplete else { return .needMore }
        OpenSSLErrors.clear()
        var count = 0
        let status = SSL_read_ex(ssl, buffer.baseAddress, buffer.count, &count)
        if status == 1 { return .bytes(count) }
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_ZERO_RETURN: return .closed
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            guard hasIncomingEnded else { return .needMore }
            throw fail(.closedWithoutNotify, "the connection ended without a close notification")
        default: throw failed(otherwise: .protocolViolation)
        }
    }

    /// Makes records of plaintext; they wait in `drainOutgoing`. Only once the handshake is complete and before `close`.
    package func encrypt(_ plaintext: UnsafeRawBufferPointer) throws(TLSError) {
        if let failure { throw failure }
        guard state == .open else {
            throw TLSError(.notWritable, state == .closing ? "after close" : "before the handshake is complete", peer: peer)
        }
        guard plaintext.count > 0 else { return }
        OpenSSLErrors.clear()
        var count = 0
        guard SSL_write_ex(ssl, plaintext.baseAddress, plaintext.count, &count) == 1, count == plaintext.count else {
            throw failed(otherwise: .protocolViolation)
        }
    }

    /// Announces our end; reading may go on. Before the handshake is complete there is nothing to announce.
    package func close() {
        guard failure == nil, state == .open else { return }
        state = .closing
        OpenSSLErrors.clear()
        SSL_shutdown(ssl)
        OpenSSLErrors.clear()
    }

    package func receive(_ ciphertext: [UInt8]) throws(TLSError) {
        try ciphertext.span.bytes.withUnsafeBytes { bytes throws(TLSError) in try receive(bytes) }
    }

    package func encrypt(_ plaintext: [UInt8]) throws(TLSError) {
        try plaintext.span.bytes.withUnsafeBytes { bytes throws(TLSError) in try encrypt(bytes) }
    }

    package var hasOutgoing: Bool { !buffers.outgoing.isEmpty }

    /// Hands over the ciphertext to send, all of it, if there is any.
    package func drainOutgoing(_ body: (UnsafeRawBufferPointer) -> Void) {
        guard hasOutgoing else { return }
        buffers.outgoing.withUnsafeBytes(body)
        buffers.outgoing.removeAll(keepingCapacity: buffers.outgoing.capacity <= TLSBuffers.keptBytes)
    }

    /// As `drainOutgoing`, without a copy for who keeps the bytes.
    package func takeOutgoing() -> [UInt8] {
        let bytes = buffers.outgoing
        buffers.outgoing = []
        return bytes
    }
}

// MARK: - State

extension TLSEngine {
    package var isHandshakeComplete: Bool { state != .handshaking }

    /// Set once the handshake is complete and both sides named protocols.
    package var negotiatedALPN: String? {
        var start: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(ssl, &start, &count)
        return count == 0 ? nil : String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
    }

    /// The leaf of the peer's verified chain; nil before the handshake is complete and for clients that were not asked for one.
    package var peerCertificate: TLSCertificate? {
        guard isHandshakeComplete, let certificate = SSL_get0_peer_certificate(ssl) else { return nil }
        // What cannot be read identifies nobody, as no certificate does.
        return try? TLSCertificate(reading: certificate)
    }

    /// For logs and metrics, for instance `TLSv1.3`.
    package var version: String { String(cString: SSL_get_version(ssl)) }

    /// The name that the client asked this server for (SNI).
    package var requestedServerName: String? {
        SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name).map { String(cString: $0) }
    }

    private func advanceHandshake() throws(TLSError) {
        OpenSSLErrors.clear()
        let status = SSL_do_handshake(ssl)
        if status == 1 {
            state = .open
            return
        }
        switch SSL_get_error(ssl, status) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            guard hasIncomingEnded else { return }
            throw fail(.handshakeFailed, "the connection ended during the handshake")
        default: throw failed(otherwise: .handshakeFailed)
        }
    }

    /// Reads the cause from OpenSSL and makes it this connection's last word.
    private func failed(otherwise code: TLSError.Code) -> TLSError {
        let (reason, text) = OpenSSLErrors.take()
        switch reason {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return fail(.certificateRejected, String(cString: X509_verify_cert_error_string(SSL_get_verify_result(ssl))))
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return fail(.certificateRejected, text)
        case SSL_AD_REASON_OFFSET...: return fail(.rejectedByPeer, text)
        default: return fail(code, text)
        }
    }

    private func fail(_ code: TLSError.Code, _ reason: String) -> TLSError {
        let error = TLSError(code, reason, peer: peer)
        failure = error
        return error
    }
}

// MARK: - The transport that OpenSSL sees

/// Two byte queues in place of a socket. OpenSSL's own memory BIO never gives memory back and clears its whole buffer at each drain;
/// this one holds nothing while a connection is idle.
private final class TLSBuffers {
    /// Capacity that is kept between uses.
    static let keptBytes = 17 << 10

    var incoming: [UInt8] = []
    var incomingOffset = 0
    var outgoing: [UInt8] = []

    func read(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(target.count, incoming.count - incomingOffset)
        incoming.withUnsafeBytes {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[incomingOffset..<incomingOffset + count]))
        }
        incomingOffset += count
        if incomingOffset == incoming.count {
            incoming.removeAll(keepingCapacity: false)
            incomingOffset = 0
        }
        return count
    }

    // Never changed after it is made.
    nonisolated(unsafe) static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "kars") else { return nil }
        BIO_meth_set_write(method) { bio, start, count in
            guard let start, count > 0, let buffers = TLSBuffers.of(bio) else { return 0 }
            buffers.outgoing.append(contentsOf: UnsafeRawBufferPointer(start: start, count: Int(count)))
            return count
        }
        BIO_meth_set_read(method) { bio, start, count in
            guard let start, count > 0, let buffers = TLSBuffers.of(bio) else { return 0 }
            kars_bio_clear_retry(bio)
            let read = buffers.read(into: UnsafeMutableRawBufferPointer(start: start, count: Int(count)))
            guard read > 0 else {
                kars_bio_set_retry_read(bio)
                return -1
            }
            return Int32(read)
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    private static func of(_ bio: OpaquePointer?) -> TLSBuffers? {
        BIO_get_data(bio).map { Unmanaged<TLSBuffers>.fromOpaque($0).takeUnretainedValue() }
    }
}
