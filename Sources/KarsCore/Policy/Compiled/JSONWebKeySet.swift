/// Public keys of an issuer of tokens (RFC 7517): what is needed to check a signature and nothing else.
package struct JSONWebKeySet: Equatable, Sendable {
    /// More keys than this are an attack or a mistake.
    package static let maxKeys = 64
    package static let maxBytes = 256 * 1024

    package let keys: [JSON]

    /// No key: no token is accepted by it.
    package static let empty = JSONWebKeySet(keys: [])

    private init(keys: [JSON]) { self.keys = keys }

    /// Reads a set, and keeps of each key the members that its type has (RFC 7518 §6, RFC 8037 §2). Keys of other types, among them
    /// secrets (`oct`), and keys for encryption are left out; private members never come through.
    package init(parsing bytes: [UInt8]) throws(CompileFault) {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: bytes, limits: JSONLimits(maxBytes: Self.maxBytes, maxDepth: 16)) } catch
        {
            throw CompileFault("JwksFetchFailed", "invalid_jwks_format: \(error)")
        }
        guard let entries = json["keys"]?.arrayValue, entries.count <= Self.maxKeys else {
            throw CompileFault(
                "JwksFetchFailed", "invalid_jwks_format: expected a member keys, a list of at most \(Self.maxKeys)")
        }
        keys = entries.compactMap(Self.publicKey)
        guard !keys.isEmpty else {
            throw CompileFault("JwksFetchFailed", "invalid_jwks_format: there is no public signature key in it")
        }
    }

    package var json: JSON { ["keys": .array(keys)] }

    private static let members: [String: [String]] = ["RSA": ["n", "e"], "EC": ["crv", "x", "y"], "OKP": ["crv", "x"]]

    private static func publicKey(_ json: JSON) -> JSON? {
        guard let type = json["kty"]?.stringValue, let needed = members[type], (json["use"]?.stringValue ?? "sig") == "sig" else {
            return nil
        }
        var key: JSONObject = ["kty": .string(type)]
        for name in needed {
            guard let value = json[name]?.stringValue, !value.isEmpty else { return nil }
            key[name] = .string(value)
        }
        for name in ["kid", "alg", "use"] { key[name] = json[name]?.stringValue.map(JSON.string) }
        return .object(key)
    }
}
