import KarsCore

extension Fuzz {
    /// Any bytes, any split: the same outcome as in one piece, within the bounds. What decompresses survives compression.
    static let gzipTarget = Target(name: "gzip") { input in
        guard let first = input.first else { return }
        let bytes = Array(input.dropFirst())
        let cut = bytes.isEmpty ? 0 : Int(first) % bytes.count
        let whole = outcome([bytes[...]], pieces: 1 << 16)
        let parts = outcome([bytes[..<cut], bytes[cut...]], pieces: Int(first) + 1)
        precondition((whole == nil) == (parts == nil), "split at \(cut) changed the verdict")
        guard let whole, let parts else { return }
        precondition(whole == parts, "split at \(cut) changed the content")
        precondition(whole.count <= limits.maxBytes)
        precondition((try? Gzip.decompress(Gzip.compress(whole), limit: whole.count)) == whole)
    }

    private static let limits = GzipLimits(maxBytes: 64 << 10)

    private static func outcome(_ parts: [ArraySlice<UInt8>], pieces: Int) -> [UInt8]? {
        var decoder = GzipDecoder(limits: limits)
        var output: [UInt8] = []
        do throws(GzipError) {
            for part in parts {
                decoder.push(part)
                while case let piece = try decoder.read(upTo: pieces), !piece.isEmpty { output += piece }
            }
            try decoder.finish()
        } catch { return nil }
        return output
    }
}
