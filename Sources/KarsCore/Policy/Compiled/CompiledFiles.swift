/// What a specification becomes: the files that routers read, and the digest by which they say that they enforce them.
///
/// The functions that make it (`spec.compiled()`) are pure and in this folder, one file for each kind; what they write is read back by
/// the very types that the router reads it with, so that nothing is published that a router would refuse.
package struct CompiledFiles: Equatable, Sendable {
    /// File name to content.
    package var files: [String: String]
    /// What a router echoes of it; nil when there is nothing for routers to echo.
    package var digest: PolicyDigest?
    /// Tells one meaning from another: 32 hexadecimal digits of the hash over the canonical JSON.
    package var versionHash: String
    /// What the router would read past.
    package var warnings: [String]
    /// What the status tells in numbers.
    package var counts: [String: Int] = [:]
    /// When the same specification compiles to something else, because of the time alone; nil: never.
    package var nextTurn: UTCTime?
    /// Whether keys of an issuer are in it, which change without notice.
    package var dependsOnKeys = false

    package init(files: [String: String], digest: PolicyDigest?, versionHash: String, warnings: [String] = []) {
        self.files = files
        self.digest = digest
        self.versionHash = versionHash
        self.warnings = warnings
    }
}

/// Why a specification cannot be compiled: a reason of conditions (crds 0.3), and what is wrong and where.
package struct CompileFault: Error, Equatable, CustomStringConvertible {
    package var reason: String
    package var message: String

    package init(_ reason: String, _ message: String) {
        self.reason = reason
        self.message = message
    }

    package var description: String { "\(reason): \(message)" }

    /// Something in the specification that somebody has to change.
    package static func invalid(_ message: String) -> CompileFault { CompileFault("InvalidSpec", message) }

    /// A signed document is asked for, and nobody here can check signatures. Anything but a refusal would be unsigned.
    package static func unverifiable(_ path: String) -> CompileFault {
        CompileFault(
            "DependencyMissing", "\(path): this controller has no verifier for signed documents; write the content inline")
    }
}

extension CompiledFiles {
    /// The first 16 bytes of the SHA-256 of the canonical JSON, in hexadecimal (spec/controller 4.1).
    static func versionHash(of json: JSON) throws(CompileFault) -> String {
        Hex.encode(SHA256.hash(try canonical(json)).prefix(16))
    }

    /// One text for one meaning (RFC 8785): names in order, no white space.
    static func canonical(_ json: JSON) throws(CompileFault) -> [UInt8] {
        do throws(JSONError) { return try json.canonical() } catch { throw .invalid("\(error)") }
    }
}

extension JSON {
    /// The value, or null: compiled files say what is absent.
    static func orNull(_ value: (some SchemaValue)?) -> JSON { value?.json ?? .null }
}

extension CheckedSpec {
    /// A specification that an API server with our definitions would not have taken is not compiled.
    func requireSound() throws(CompileFault) {
        let faults = faults()
        guard faults.isEmpty else { throw .invalid(faults.prefix(8).map(\.description).joined(separator: "; ")) }
    }
}
