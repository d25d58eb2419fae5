import COpenSSL

/// SHA-1 (FIPS 180-4), which libsodium lacks. Broken as a signature and only for protocols that use it as a checksum: WebSocket.
enum SHA1 {
    static func hash(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 20) { buffer, count in
            _ = COpenSSL.SHA1(bytes, bytes.count, buffer.baseAddress)
            count = 20
        }
    }
}
