#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// The key that signs the heads of one chain, and the text form of its public half.
enum EvidenceKey {
    /// The key in `path`. Made there, mode 0600, when `mayCreate` and there is none.
    static func load(_ path: String, mayCreate: Bool) throws(EvidenceError) -> Ed25519.PrivateKey {
        if let bytes = try evidence(.key, { () throws(FileError) in try Files.readIfPresent(path, upTo: 256) }) {
            let text = String(decoding: bytes, as: UTF8.self).trimmingWhitespace()
            guard let seed = Hex.decode(text), let key = try? Ed25519.PrivateKey(seed: seed) else {
                throw EvidenceError(.key, "\(path): expected a signing key as 64 hexadecimal digits")
            }
            return key
        }
        guard mayCreate else {
            throw EvidenceError(
                .key, "\(path) is missing, but the chain it signed exists; restore it, or move the audit directory aside")
        }
        let key = Ed25519.PrivateKey()
        try evidence(.key) { () throws(FileError) in
            try AtomicFile.write(Array((Hex.encode(key.seed.reveal()) + "\n").utf8), to: path, mode: 0o600)
        }
        return key
    }
}

extension Ed25519.PublicKey {
    /// `ed25519:` and 64 hexadecimal digits, as in `audit.pub`.
    package var evidenceText: String { "ed25519:" + Hex.encode(rawBytes) }

    /// Reads `evidenceText`, blanks and line breaks around it allowed.
    package init?(evidenceText text: String) {
        let text = text.trimmingWhitespace()
        guard text.hasPrefix("ed25519:"), let bytes = Hex.decode(text.dropFirst(8)),
            let key = try? Ed25519.PublicKey(rawBytes: bytes)
        else { return nil }
        self = key
    }
}
