extension KarsMemory.Spec {
    /// `binding.json`, canonical.
    package func compiled() throws(CompileFault) -> CompiledFiles {
        try requireSound()
        if bundleRef != nil { throw .unverifiable("spec.bundleRef") }
        let binding = MemoryBinding(
            store: storeName ?? "", sandbox: sandboxRef.name, scope: scope ?? "", retentionDays: retentionDays,
            deletesWithSandbox: deleteOnSandboxDelete ?? true, displayName: displayName)
        let bytes = try CompiledFiles.canonical(binding.json)
        let name = PolicyDigest.Name.memory
        do throws(PolicyFileError) {
            guard try MemoryBinding(parsing: bytes) == binding else {
                throw PolicyFileError(file: name, reason: "reads back differently")
            }
        } catch {
            throw .invalid("\(error)")
        }
        return CompiledFiles(
            files: [name: String(decoding: bytes, as: UTF8.self)], digest: PolicyDigest(name: name, body: bytes),
            versionHash: try CompiledFiles.versionHash(of: binding.json))
    }
}
