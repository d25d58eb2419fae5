extension KarsMemory.Spec {
    /// `binding.json`, canonical.
    package func compiled() throws(CompileFault) -> CompiledPolicy {
        try requireSound()
        if bundleRef != nil { throw .unverifiable("spec.bundleRef") }
        let binding = MemoryBinding(
            store: storeName ?? "", sandbox: sandboxRef.name, scope: scope ?? "", retentionDays: retentionDays,
            deletesWithSandbox: deleteOnSandboxDelete ?? true, displayName: displayName)
        let bytes = try CompiledPolicy.canonical(binding.json)
        let name = PolicyDigest.Name.memory
        do throws(PolicyFileError) {
            guard try MemoryBinding(parsing: bytes) == binding else {
                throw PolicyFileError(file: name, reason: "reads back differently")
            }
        } catch {
            throw .invalid("\(error)")
        }
        return CompiledPolicy(
            files: [name: String(decoding: bytes, as: UTF8.self)], digest: PolicyDigest(name: name, body: bytes),
            versionHash: try CompiledPolicy.versionHash(of: binding.json))
    }
}
