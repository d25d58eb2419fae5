import KarsCore

/// TrustGraph: what holds of it now. Edges that end or begin to hold bring it up again at that time.
extension TrustGraph: CompiledKind {
    static var artifact: CompiledArtifact { .trustGraph }
    static var writeFailure: String { "ProjectionWriteFailed" }

    func compiled(given context: CompileContext) throws(CompileFault) -> CompiledFiles {
        // Edges are judged one by one; only what concerns the graph as a whole is a fault of the specification.
        if spec.vertices.isEmpty { throw .invalid("spec.vertices: expected at least one") }
        return try spec.judged(at: Int(context.now.seconds)).policy(inputEdges: spec.edges.count)
    }

    static func status(_ state: CompiledState, after previous: Status) -> Status {
        var status = Status()
        status.phase = state.standing == .ready ? .ready : .degraded
        status.observedGeneration = state.generation
        status.validVertices = state.counts["vertices"] ?? previous.validVertices
        status.validEdges = state.counts["edges"] ?? previous.validEdges
        status.invalidEdges = state.counts["rejected"] ?? previous.invalidEdges
        status.versionHash = state.versionHash
        status.lastReconciledAt = state.changed(previous.lastReconciledAt, from: previous.versionHash, to: state.versionHash)
        status.projectionConfigMapRef = state.configMap.map(ObjectReference.init)
        status.conditions = state.conditions(after: previous.conditions)
        return status
    }
}
