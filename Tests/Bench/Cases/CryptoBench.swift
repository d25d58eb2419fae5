import KarsCore

extension Bench {
    /// What the evidence chain pays per record and per signed head.
    static let crypto = Case(name: "crypto") {
        let record = [UInt8](repeating: 0x5a, count: 300)
        let large = [UInt8](repeating: 0x5a, count: 1 << 20)
        let key = Ed25519.PrivateKey()
        let signature = key.sign(record)
        let sealing = AEAD.Key()
        func nanoseconds(_ count: Int, _ body: () throws -> Void) rethrows -> Double {
            try medianSeconds { for _ in 0..<count { try body() } } / Double(count) * 1e9
        }
        return [
            Figure(name: "SHA-256, 300 bytes", value: nanoseconds(50_000) { _ = SHA256.hash(record) }, unit: "ns"),
            Figure(name: "SHA-256, 1 MiB", value: 1_048.576e6 / nanoseconds(10) { _ = SHA256.hash(large) }, unit: "MB/s"),
            Figure(
                name: "HMAC-SHA-256, 300 bytes", value: nanoseconds(20_000) { _ = HMACSHA256.authenticate(record, key: record) },
                unit: "ns"),
            Figure(name: "Ed25519 sign, 300 bytes", value: nanoseconds(500) { _ = key.sign(record) }, unit: "ns"),
            Figure(
                name: "Ed25519 verify, 300 bytes",
                value: nanoseconds(500) { precondition(key.publicKey.isValid(signature, for: record)) }, unit: "ns"),
            Figure(
                name: "XChaCha20-Poly1305 seal and open, 1 KiB",
                value: try nanoseconds(5_000) { _ = try AEAD.open(AEAD.seal(large[..<1024], key: sealing), key: sealing) },
                unit: "ns"),
        ]
    }
}
