import COpenSSL

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// What a certificate says, read from its DER form. Saying so proves nothing: trust comes from the handshake that verified it.
package struct TLSCertificate: Equatable, Sendable {
    package let der: [UInt8]
    /// The whole subject as RFC 4514 writes it, most specific part first; empty when the certificate names none.
    package let subject: String
    package let commonName: String?
    /// `O` of the subject, in order: groups, where Kubernetes reads a client's certificate.
    package let organizations: [String]
    package let dnsNames: [String]
    package let uris: [String]
    package let ipAddresses: [IPAddress]
    package let notBefore: UTCTime
    package let notAfter: UTCTime
    /// The SubjectPublicKeyInfo, which stays the same when a certificate is renewed with its key.
    package let publicKeyDER: [UInt8]

    /// SHA-256 of the DER form: what pinning compares.
    package var fingerprint: [UInt8] { SHA256.hash(der) }

    /// SHA-256 of the SubjectPublicKeyInfo (RFC 7469 §2.4).
    package var publicKeyDigest: [UInt8] { SHA256.hash(publicKeyDER) }

    /// The first certificate in `pem`.
    package init(pem: [UInt8]) throws(TLSError) {
        let certificates = try PEM.certificates(pem, what: "certificate")
        defer { for certificate in certificates { X509_free(certificate) } }
        try self.init(reading: certificates[0])
    }

    /// Does not take ownership.
    init(reading certificate: OpaquePointer) throws(TLSError) {
        guard let before = Self.time(X509_get0_notBefore(certificate)), let after = Self.time(X509_get0_notAfter(certificate))
        else {
            throw TLSError(.invalidCredentials, "a certificate's dates cannot be read")
        }
        notBefore = before
        notAfter = after
        der = Self.encoded { i2d_X509(certificate, $0) }
        publicKeyDER = Self.encoded { i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), $0) }
        let name = X509_get_subject_name(certificate)
        subject = Self.text(of: name)
        commonName = Self.entries(NID_commonName, of: name).first
        organizations = Self.entries(NID_organizationName, of: name)
        var dnsNames: [String] = []
        var uris: [String] = []
        var ipAddresses: [IPAddress] = []
        if let raw = X509_get_ext_d2i(certificate, NID_subject_alt_name, nil, nil) {
            let names = OpaquePointer(raw)
            defer { GENERAL_NAMES_free(names) }
            for index in 0..<kars_general_name_count(names) {
                guard let name = kars_general_name_at(names, index) else { continue }
                var type: Int32 = 0
                guard let value = GENERAL_NAME_get0_value(name, &type) else { continue }
                let text = value.assumingMemoryBound(to: ASN1_STRING.self)
                let bytes = Self.bytes(of: text)
                switch type {
                case GEN_DNS: dnsNames.append(String(decoding: bytes, as: UTF8.self))
                case GEN_URI: uris.append(String(decoding: bytes, as: UTF8.self))
                case GEN_IPADD: if let address = IPAddress(bytes: bytes) { ipAddresses.append(address) }
                default: break
                }
            }
        }
        self.dnsNames = dnsNames
        self.uris = uris
        self.ipAddresses = ipAddresses
    }

    private static func text(of name: OpaquePointer?) -> String {
        String(decoding: PEM.collect { kars_x509_name_print($0, name) }, as: UTF8.self)
    }

    /// The texts of one attribute, in order.
    private static func entries(_ identifier: Int32, of name: OpaquePointer?) -> [String] {
        var texts: [String] = []
        var index = X509_NAME_get_index_by_NID(name, identifier, -1)
        while index >= 0 {
            if let entry = X509_NAME_get_entry(name, index), let text = X509_NAME_ENTRY_get_data(entry) {
                texts.append(String(decoding: bytes(of: text), as: UTF8.self))
            }
            index = X509_NAME_get_index_by_NID(name, identifier, index)
        }
        return texts
    }

    private static func bytes(of text: UnsafePointer<ASN1_STRING>) -> UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: ASN1_STRING_get0_data(text), count: Int(ASN1_STRING_length(text)))
    }

    private static func time(_ time: UnsafePointer<ASN1_TIME>?) -> UTCTime? {
        var fields = tm()
        guard ASN1_TIME_to_tm(time, &fields) == 1 else { return nil }
        return UTCTime(seconds: Int64(timegm(&fields)))
    }

    private static func encoded(_ write: (UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>?) -> Int32) -> [UInt8] {
        let count = Int(write(nil))
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var end = buffer.baseAddress
            initialized = Int(write(&end))
        }
    }
}
