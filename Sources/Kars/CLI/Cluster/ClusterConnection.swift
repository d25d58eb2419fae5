import KarsCore

/// One cluster as commands use it: its API, the namespace they work in, and failures in words for people.
struct ClusterConnection: Sendable {
    /// Where the controller looks for sandboxes and policies.
    static let defaultNamespace = "kars-system"
    /// Owner of the fields that commands write.
    static let fieldManager = "kars-cli"

    let api: any KubernetesAPI
    /// For what is more than questions and answers: exec, logs, ports. Nil for a cluster in memory.
    let client: KubernetesClient?
    let namespace: String
    /// For messages: `the embedded cluster`, `context prod`.
    let label: String

    init(
        api: any KubernetesAPI, client: KubernetesClient? = nil, namespace: String = defaultNamespace,
        label: String = "the cluster"
    ) {
        self.api = api
        self.client = client
        self.namespace = namespace
        self.label = label
    }

    /// The same cluster over the network, with streams.
    func streams() throws(CommandFailure) -> KubernetesClient {
        guard let client else { throw CommandFailure(.failed, "\(label) has no streams") }
        return client
    }

    // MARK: - Asking

    /// Runs `body` against the API; what the server refuses is told as a failure of `doing`: `reading sandbox 'x'`.
    func ask<Answer>(_ doing: String, _ body: (any KubernetesAPI) async throws -> Answer) async throws -> Answer {
        do { return try await body(api) } catch let status as APIStatus {
            throw failure(status, doing)
        }
    }

    /// Nil when there is none of that name.
    func find<Kind: KarsResource>(_ type: Kind.Type, _ name: String) async throws -> JSONObject? {
        try await ask("reading \(type.title(name))") { api in
            try await api.objectIfPresent(.get(type.kind.resource, namespace: place(of: type), name: name))
        }
    }

    func existing<Kind: KarsResource>(_ type: Kind.Type, _ name: String) async throws -> JSONObject {
        guard let object = try await find(type, name) else { throw missing(type, name) }
        return object
    }

    func list<Kind: KarsResource>(_ type: Kind.Type) async throws -> [JSONObject] {
        try await ask("listing \(type.definition.plural)") { api in
            try await api.list(type.kind.resource, namespace: place(of: type)).items
        }
    }

    /// Server-side apply. Fields that somebody else owns are taken from them only when `forces`; fields that the server does not know
    /// are an error, not a silence.
    @discardableResult
    func apply(_ resource: GroupVersionResource, _ object: JSONObject, forces: Bool = false) async throws -> JSONObject {
        var request = KubernetesRequest.apply(resource, object, fieldManager: Self.fieldManager, forces: forces)
        request["fieldValidation"] = WriteOptions.FieldValidation.strict.rawValue
        return try await ask("applying \(resource.resource) '\(object.name)'") { try await $0.object(request) }
    }

    /// A merge patch of an object that exists.
    @discardableResult
    func merge<Kind: KarsResource>(_ type: Kind.Type, _ name: String, _ patch: JSON) async throws -> JSONObject {
        let options = WriteOptions(fieldManager: Self.fieldManager, fieldValidation: .strict)
        let answer = try await ask("changing \(type.title(name))") { api -> JSONObject? in
            do throws(APIStatus) {
                return try await api.object(
                    .patch(.merge, type.kind.resource, namespace: place(of: type), name: name, patch, options))
            } catch {
                guard error.reason == .notFound, error.name != nil else { throw error }
                return nil
            }
        }
        guard let answer else { throw missing(type, name) }
        return answer
    }

    /// False when there was none.
    func delete<Kind: KarsResource>(_ type: Kind.Type, _ name: String) async throws -> Bool {
        try await ask("deleting \(type.title(name))") { api in
            do throws(APIStatus) {
                _ = try await api.send(.delete(type.kind.resource, namespace: place(of: type), name: name))
                return true
            } catch {
                guard error.reason == .notFound, error.name != nil else { throw error }
                return false
            }
        }
    }

    private func place<Kind: KarsResource>(of type: Kind.Type) -> String? {
        type.definition.scope == .namespaced ? namespace : nil
    }

    // MARK: - Failures

    func missing<Kind: KarsResource>(_ type: Kind.Type, _ name: String) -> CommandFailure {
        CommandFailure(
            .notFound, "there is no \(type.title(name)) in \(namespace) of \(label)",
            advice: "-n names another namespace, --context another cluster.")
    }

    func failure(_ status: APIStatus, _ doing: String) -> CommandFailure {
        let text = "\(doing) in \(label): \(Terminal.safeLine(status.message))"
        switch status.reason {
        case .unreachable, .malformedAnswer:
            return CommandFailure(.failed, text, advice: "Does it run? `kars local status` tells it of the embedded cluster.")
        case .noCredentials, .unauthorized:
            return CommandFailure(.usage, text, advice: "The kubeconfig's credentials are missing or no longer good.")
        case .forbidden:
            return CommandFailure(
                .refusedByPolicy, text,
                advice: "Your role, or an admission policy, does not allow it; `kubectl auth whoami` says who you are.")
        case .notFound where status.name == nil:
            return CommandFailure(.usage, text, advice: "kars is not installed there: `kars install` adds its kinds.")
        case .notFound: return CommandFailure(.notFound, text)
        case .invalid, .badRequest: return CommandFailure(.usage, text)
        case .conflict:
            return CommandFailure(.failed, text, advice: "Somebody else owns these fields; --force-conflicts takes them over.")
        default: return CommandFailure(.failed, text)
        }
    }
}

extension KarsResource {
    /// For messages: `ToolPolicy 'x'`.
    static func title(_ name: String) -> String { "\(definition.kind) '\(name)'" }
}
