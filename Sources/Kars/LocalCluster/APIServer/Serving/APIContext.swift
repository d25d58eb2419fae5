import KarsCore

/// What every operation of the server needs; one value for its life.
struct APIContext: Sendable {
    let store: ObjectStore
    let registry: ResourceRegistry
    let authorizer: any Authorizer
    let admission: [any AdmissionStep]
    let turns = WriteTurns()
    let log: Log
    /// The wall clock.
    let clock: @Sendable () -> UTCTime

    var reader: StoreReader { StoreReader(store: store) }

    /// Runs the steps of one phase; returns their warnings.
    func admit(
        _ object: inout JSONObject, old: JSONObject?, _ info: RequestInfo, _ phase: AdmissionPhase
    ) async throws(APIStatus) -> [String] {
        var warnings: [String] = []
        for step in admission where step.phase == phase {
            warnings += try await step.admit(&object, old: old, info, reader: reader)
        }
        return warnings
    }

    /// Runs a write from its admission to its commit, alone when a step asks for it.
    func write<Result>(
        _ resource: ServedResource, _ info: RequestInfo, _ body: () async throws(APIStatus) -> Result
    ) async throws(APIStatus) -> Result {
        guard admission.contains(where: { $0.needsTurn(info, reader: reader) }) else { return try await body() }
        return try await turns.take(of: resource.collection, body)
    }

    /// Makes changes durable. Conflicts are the caller's business; everything else becomes a `Status`.
    func commit(_ mutations: [Mutation]) async throws(APIStatus) -> CommitOutcome {
        do throws(StoreError) { return .done(try await store.commit(mutations)) } catch {
            switch error {
            case .conflict(_, let current): return .conflict(current: current)
            case .full(let text): throw .internalError("the state of the local cluster cannot grow: \(text)")
            case .unwritable(let text): throw .internalError("the state of the local cluster cannot be written: \(text)")
            case .busy:
                var status = APIStatus(
                    code: 429, reason: .tooManyRequests, message: "too many writes are waiting, please try again later")
                status.retryAfterSeconds = 1
                throw status
            case .closed:
                throw APIStatus(code: 503, reason: .serviceUnavailable, message: "the local cluster is shutting down")
            }
        }
    }
}

enum CommitOutcome: Sendable {
    case done([StoredObject])
    case conflict(current: StoredObject?)
}

/// One request for a resource, past authentication and authorization.
struct ObjectRequest: Sendable {
    let context: APIContext
    let resource: ServedResource
    let info: RequestInfo
    let query: QueryItems
    let userAgent: String?

    var name: GroupVersionResource { resource.description.resource }

    /// The key of the object in the path.
    func key() throws(APIStatus) -> StoreKey {
        guard let name = info.name else { throw .badRequest("name must be provided") }
        return resource.key(namespace: info.namespace, name: name)
    }
}
