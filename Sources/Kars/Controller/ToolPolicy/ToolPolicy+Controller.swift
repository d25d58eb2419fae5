import KarsCore

/// ToolPolicy: the AGT profile that routers enforce.
extension ToolPolicy: CompiledKind {
    static var artifact: CompiledArtifact { .toolPolicy }
    static var reported: RouterReport.Kind? { .profile }
    static func name(in sandbox: SandboxView) -> String? { sandbox.toolPolicy }

    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles { try spec.compiled() }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        status.phase = PolicyPhase(state.standing)
        status.observedGeneration = state.generation
        status.agtProfileDigest = state.digest
        status.loadedDigest = state.loadedDigest
        status.lastCompiledAt = state.changed(previous.lastCompiledAt, from: previous.agtProfileDigest, to: state.digest)
        status.profileConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}

extension PolicyPhase {
    init(_ standing: CompiledState.Standing) {
        self =
            switch standing {
            case .ready: .ready
            case .compiled: .compiled
            case .degraded, .hindered: .degraded
            }
    }
}
