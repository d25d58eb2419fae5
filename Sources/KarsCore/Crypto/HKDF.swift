/// HKDF with SHA-256 (RFC 5869): turns uneven key material into keys, each bound to its purpose by `info`.
package enum HKDF {
    /// Longest output: 255 blocks of 32 bytes.
    package static let maxOutputBytes = 255 * SHA256.byteCount

    /// Extract and expand. An empty salt stands for 32 zero bytes, as the RFC says.
    package static func derive(
        from material: some Collection<UInt8>, salt: some Collection<UInt8> = [UInt8](), info: some Collection<UInt8>,
        byteCount: Int = 32
    ) -> [UInt8] {
        expand(extract(from: material, salt: salt), info: info, byteCount: byteCount)
    }

    /// RFC 5869 §2.2.
    package static func extract(from material: some Collection<UInt8>, salt: some Collection<UInt8>) -> [UInt8] {
        HMACSHA256.authenticate(material, key: salt)
    }

    /// RFC 5869 §2.3. `byteCount` in 1...`maxOutputBytes`; the caller chooses it, never a peer.
    package static func expand(_ key: some Collection<UInt8>, info: some Collection<UInt8>, byteCount: Int) -> [UInt8] {
        precondition(byteCount > 0 && byteCount <= maxOutputBytes, "HKDF output of \(byteCount) bytes")
        let keyed = HMACSHA256(key: key)
        var output: [UInt8] = []
        output.reserveCapacity(byteCount + SHA256.byteCount)
        var block: [UInt8] = []
        var counter: UInt8 = 1
        while true {
            var code = keyed
            code.update(block)
            code.update(info)
            code.update(CollectionOfOne(counter))
            block = code.finalize()
            output += block
            if output.count >= byteCount { break }
            counter += 1
        }
        output.removeLast(output.count - byteCount)
        return output
    }
}
