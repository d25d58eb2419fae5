import KarsCore

/// A2AAgent: the card that the world sees, and the anchors that routers check callers with.
extension A2AAgent: CompiledKind {
    static var artifact: CompiledArtifact { .agentCard }
    static var writeFailure: String { "CardWriteFailed" }

    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles {
        try spec.compiled(name: name, namespace: namespace)
    }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        status.phase = state.standing == .ready ? .ready : .degraded
        status.observedGeneration = state.generation
        status.versionHash = state.versionHash
        status.lastCompiledAt = state.changed(previous.lastCompiledAt, from: previous.versionHash, to: state.versionHash)
        status.agentCardConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}
