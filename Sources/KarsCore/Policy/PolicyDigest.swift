/// Identifies the exact bytes of a policy: what the controller publishes and the router reports back (spec/router 3).
///
/// `sha256:` and the hash of length-prefixed name and body, so that no two different sets of files share a pre-image.
package struct PolicyDigest: Hashable, Sendable, CustomStringConvertible {
    /// The fixed logical names under which single-file policies are hashed, wherever the file lies.
    package enum Name {
        package static let inferencePolicy = "inference-policy.json"
        package static let memory = "binding.json"
        package static let egressAllowlist = "allowlist.json"
        package static let mergedAllowlist = "merged-allowlist.json"
        package static let agtProfile = "agt-profile.yaml"
    }

    package let description: String

    /// Of one file.
    package init(name: String, body: [UInt8]) { self.init(files: [(name, body)]) }

    /// Of several files, as a directory of AGT profiles is: sorted by path (bytewise) first, each under its own name.
    package init(files: [(name: String, body: [UInt8])]) {
        let sorted = files.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        description = "sha256:" + Hex.encode(SHA256.hash(Self.preimage(of: sorted)))
    }

    static func preimage(of files: [(name: String, body: [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(files.reduce(0) { $0 + 16 + $1.name.utf8.count + $1.body.count })
        for file in files {
            append(Array(file.name.utf8), to: &bytes)
            append(file.body, to: &bytes)
        }
        return bytes
    }

    private static func append(_ block: [UInt8], to bytes: inout [UInt8]) {
        for shift in stride(from: 56, through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: block.count >> shift)) }
        bytes += block
    }
}
