import COpenSSL

/// Reads certificates and keys from PEM text (RFC 7468), and writes them.
enum PEM {
    /// Longest text accepted: the system's whole trust bundle is some 200 KiB.
    static let maxBytes = 4 << 20

    /// All certificates in order; at least one. The caller frees them.
    static func certificates(_ text: [UInt8], what: String) throws(TLSError) -> [OpaquePointer] {
        let source = try memory(text, what: what)
        defer { BIO_free(source) }
        OpenSSLErrors.clear()
        var certificates: [OpaquePointer] = []
        while let certificate = PEM_read_bio_X509(source, nil, refusePassword, nil) { certificates.append(certificate) }
        let (reason, text) = OpenSSLErrors.take()
        guard !certificates.isEmpty, reason == PEM_R_NO_START_LINE else {
            for certificate in certificates { X509_free(certificate) }
            throw TLSError(
                .invalidCredentials, certificates.isEmpty ? "\(what) holds no certificate: \(text)" : "\(what): \(text)")
        }
        return certificates
    }

    /// The first private key, unencrypted. The caller frees it.
    static func privateKey(_ text: Secret<[UInt8]>) throws(TLSError) -> OpaquePointer {
        let source = try memory(text.reveal(), what: "private key")
        defer { BIO_free(source) }
        OpenSSLErrors.clear()
        guard let key = PEM_read_bio_PrivateKey(source, nil, refusePassword, nil) else {
            throw TLSError(.invalidCredentials, "the private key cannot be read: \(OpenSSLErrors.take().text)")
        }
        return key
    }

    static func text(ofCertificate certificate: OpaquePointer) -> [UInt8] {
        collect { PEM_write_bio_X509($0, certificate) }
    }

    static func text(ofPrivateKey key: OpaquePointer) -> Secret<[UInt8]> {
        Secret(collect { PEM_write_bio_PKCS8PrivateKey($0, key, nil, nil, 0, nil, nil) })
    }

    /// What `write` puts into a memory sink; nothing when it does not answer 1.
    static func collect(_ write: (OpaquePointer) -> Int32) -> [UInt8] {
        guard let sink = BIO_new(BIO_s_mem()) else { return [] }
        defer { BIO_free(sink) }
        guard write(sink) == 1 else { return [] }
        var start: UnsafeMutablePointer<CChar>?
        let count = kars_bio_memory(sink, &start)
        return Array(UnsafeRawBufferPointer(start: start, count: count))
    }

    /// A view of `text` as OpenSSL reads it; it copies, so the array need not outlive the call.
    private static func memory(_ text: [UInt8], what: String) throws(TLSError) -> OpaquePointer {
        guard text.count <= maxBytes else {
            throw TLSError(.invalidCredentials, "\(what): \(text.count) bytes, at most \(maxBytes) are read")
        }
        guard let bio = BIO_new(BIO_s_mem()) else { throw TLSError(.internalFailure, "out of memory") }
        guard text.isEmpty || BIO_write(bio, text, Int32(text.count)) == Int32(text.count) else {
            BIO_free(bio)
            throw TLSError(.internalFailure, "out of memory")
        }
        return bio
    }
}

/// Without this, OpenSSL asks for the password of an encrypted key on the terminal.
private func refusePassword(
    _ buffer: UnsafeMutablePointer<CChar>?, _ size: Int32, _ isForWriting: Int32, _ argument: UnsafeMutableRawPointer?
) -> Int32 { -1 }
