import KarsCore

/// KarsMemory: the store and the scope that an agent remembers in.
extension KarsMemory: CompiledKind {
    static var artifact: CompiledArtifact { .memory }
    static var reported: RouterReport.Kind? { .memory }
    static var writeFailure: String { "BindingWriteFailed" }
    static func name(in sandbox: SandboxView) -> String? { sandbox.memory }
    /// Another sandbox that names it does not get it, and cannot hold it up.
    func isMeant(for sandbox: SandboxView) -> Bool { spec.sandboxRef.name == sandbox.key.name }

    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles { try spec.compiled() }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        let phase = PolicyPhase(state.standing)
        status.phase = phase == .degraded ? .failed : phase
        status.observedGeneration = state.generation
        status.compiledDigest = state.digest
        status.loadedDigest = state.loadedDigest
        status.versionHash = state.versionHash
        status.lastReconciledAt = state.changed(previous.lastReconciledAt, from: previous.compiledDigest, to: state.digest)
        status.bindingConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}
