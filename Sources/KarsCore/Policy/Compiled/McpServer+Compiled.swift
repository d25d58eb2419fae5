extension McpServer.Spec {
    package static let keysFile = "jwks.json"
    package static let metaFile = "meta.json"

    /// `meta.json` with what routers have to know of the server, and `jwks.json` with the issuer's keys; an empty set when callers need
    /// no token.
    package func compiled(keys: JSONWebKeySet) throws(CompileFault) -> CompiledFiles {
        try requireSound()
        if bundleRef != nil { throw .unverifiable("spec.bundleRef") }
        let meta = try CompiledFiles.canonical(meta)
        let set = try CompiledFiles.canonical(keys.json)
        var compiled = CompiledFiles(
            files: [
                Self.metaFile: String(decoding: meta, as: UTF8.self), Self.keysFile: String(decoding: set, as: UTF8.self),
            ], digest: nil, versionHash: try CompiledFiles.versionHash(of: ["keys": keys.json, "meta": self.meta]))
        compiled.dependsOnKeys = keyIssuer != nil
        return compiled
    }

    /// Where the keys of callers' tokens are to be found; nil when no token is asked for.
    package var keyIssuer: String? { productionMode == true ? oauth?.issuer : nil }

    /// Fields without a value are left out, as the router's reader expects it (spec/controller 4.1).
    private var meta: JSON {
        var object: JSONObject = ["issuer": .string(oauth?.issuer ?? "")]
        object["audience"] = oauth?.audience?.json
        object["resource"] = oauth?.resource?.json
        if let scopes, !scopes.isEmpty { object["scopes"] = scopes.json }
        object["url"] = url?.json
        if let allowedTools, !allowedTools.isEmpty { object["allowedTools"] = allowedTools.json }
        object["bearerFromEnv"] = bearerFromEnv?.json
        return .object(object)
    }
}
