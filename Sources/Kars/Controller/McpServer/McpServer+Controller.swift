import KarsCore

/// McpServer: where a server of tools is, and the keys of who issues tokens for it.
///
/// There is no signing key among what is made: no router signs anything for a server of tools, and a Secret in the namespace of whoever
/// wrote the McpServer would need rights over all Secrets there.
extension McpServer: CompiledKind {
    static var artifact: CompiledArtifact { .mcpServer }
    var keyIssuer: String? { spec.bundleRef == nil ? spec.keyIssuer : nil }

    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles {
        try spec.compiled(keys: try context.keys?.get() ?? .empty)
    }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        status.phase = state.standing == .ready ? .ready : .degraded
        status.observedGeneration = state.generation
        status.versionHash = state.versionHash
        status.lastProbedAt = state.changed(previous.lastProbedAt, from: previous.versionHash, to: state.versionHash)
        status.jwksConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}
