import KarsCore

/// InferencePolicy: models, budgets and content safety.
extension InferencePolicy: CompiledKind {
    static var artifact: CompiledArtifact { .inferencePolicy }
    static var reported: RouterReport.Kind? { .inference }
    static func name(in sandbox: SandboxView) -> String? { sandbox.inferencePolicy }

    /// Development may go below the floor; admission says who labels what so.
    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles {
        let isForDevelopment = object.labels[SandboxOwnership.developmentLabel] == "true"
        return try spec.compiled(floor: isForDevelopment ? nil : context.safetyFloor)
    }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        status.phase = PolicyPhase(state.standing)
        status.observedGeneration = state.generation
        status.compiledDigest = state.digest
        status.loadedDigest = state.loadedDigest
        status.versionHash = state.versionHash
        status.lastCompiledAt = state.changed(previous.lastCompiledAt, from: previous.compiledDigest, to: state.digest)
        status.profileConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}
