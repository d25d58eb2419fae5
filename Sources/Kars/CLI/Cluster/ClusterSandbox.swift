import KarsCore

/// A KarsSandbox as commands see it: what the controller says of it, its pod, and the ways into that.
///
/// It knows the objects that the controller makes by their names (spec/controller 2); it never makes or changes one of them.
struct ClusterSandbox: Sendable {
    let cluster: ClusterConnection
    let name: String
    /// As the server has it.
    let object: JSONObject
    let sandbox: KarsSandbox

    init(_ object: JSONObject, in cluster: ClusterConnection) throws(CommandFailure) {
        self.cluster = cluster
        self.object = object
        name = object.name
        do throws(ResourceError) { sandbox = try KarsSandbox(reading: object) } catch {
            throw CommandFailure(.failed, "KarsSandbox '\(object.name)' of \(cluster.label) cannot be read: \(error)")
        }
    }

    static func existing(_ name: String, in cluster: ClusterConnection) async throws -> ClusterSandbox {
        try ClusterSandbox(try await cluster.existing(KarsSandbox.self, name), in: cluster)
    }

    /// The one that a command's name and flags mean.
    static func named(
        _ name: String, _ options: NamespacedOptions, _ environment: [String: String] = EnvironmentReader.ofProcess().values
    ) async throws -> ClusterSandbox {
        guard KarsSandbox.fault(inName: name) == nil else { throw CommandFailure.noSandbox(name) }
        let cluster: ClusterConnection
        do { cluster = try options.connect(environment: environment) } catch let failure as CommandFailure
            where !options.namesCluster
        {
            // Nowhere to look is no reason to hide what was looked for.
            throw CommandFailure(.notFound, "there is no sandbox named '\(name)': \(failure.message)", advice: failure.advice)
        }
        return try await existing(name, in: cluster)
    }

    /// Where the controller puts everything of this sandbox.
    var namespace: String { sandbox.status.namespace ?? "kars-\(name)" }

    /// `Pending` before the controller has looked at it.
    var phase: String { sandbox.isBeingDeleted ? "Terminating" : sandbox.status.phase?.rawValue ?? "Pending" }

    /// Why it is as it is: the message of the condition that speaks of trouble, else of `Ready`.
    var explanation: String? {
        let conditions = sandbox.status.conditions
        let telling = conditions.first { $0.type == "Degraded" && $0.status == .true } ?? conditions["Ready"]
        return telling.map { $0.message.isEmpty ? $0.reason : "\($0.reason): \($0.message)" }
    }

    var agentContainer: String { sandbox.spec.runtime.kind == .openClaw ? "openclaw" : "agent" }

    // MARK: - The pod

    /// The pod that runs, or that is nearest to it.
    func pod() async throws -> JSONObject {
        let selector = KarsCore.ListOptions(
            labelSelector: "kars.azure.com/sandbox=\(name),kars.azure.com/component=sandbox", limit: 100)
        let pods = try await cluster.ask("looking for the pod of '\(name)'") { api in
            try await api.list(.pods, namespace: namespace, selector).items
        }
        guard let pod = Self.best(of: pods) else {
            throw CommandFailure(
                .failed, "sandbox '\(name)' has no pod: it is \(phase)\(explanation.map { " (\($0))" } ?? "")",
                advice: "`kars status \(name)` says more.")
        }
        return pod
    }

    /// One that runs before one that does not, one that stays before one that is being deleted, a newer before an older one.
    static func best(of pods: [JSONObject]) -> JSONObject? {
        func rank(_ pod: JSONObject) -> (Int, Int, String) {
            (
                pod.isBeingDeleted ? 0 : 1, pod["status"]?["phase"]?.stringValue == "Running" ? 1 : 0,
                pod.metadata["creationTimestamp"]?.stringValue ?? ""
            )
        }
        return pods.max { rank($0) < rank($1) }
    }

    private func runningPod() async throws -> String {
        let pod = try await pod()
        let phase = pod["status"]?["phase"]?.stringValue ?? "Unknown"
        guard phase == "Running" else {
            throw CommandFailure(
                .failed, "sandbox '\(name)' is not running: its pod is \(phase)", advice: "`kars status \(name)` says why.")
        }
        return pod.name
    }
}

extension KarsSandbox {
    var isBeingDeleted: Bool { metadata["deletionTimestamp"]?.stringValue != nil }
}

// MARK: - Ways in

extension ClusterSandbox: ReachableSandbox {
    func dial(port: UInt16) async throws -> CInt {
        let pod = try await runningPod()
        let client = try cluster.streams()
        return try await cluster.ask("connecting to port \(port) of '\(name)'") { _ in
            try await client.dial(namespace: namespace, pod: pod, port: port)
        }
    }

    func exec(_ command: [String]) async throws -> Int32 { try await exec(command, container: agentContainer) }

    func exec(_ command: [String], container: String) async throws -> Int32 {
        let pod = try await runningPod()
        let run = RemoteExec(client: try cluster.streams(), namespace: namespace, pod: pod, container: container)
        return try await cluster.ask("running a command in '\(name)'") { _ in try await run(command) }
    }

    /// Token and certificate lie in a Secret that only the router container mounts; who may read it, may ask the router.
    func operatorAccess() async throws -> OperatorAccess {
        let name = SandboxObjectNames(sandbox: name).routerSecret
        let secret = try await cluster.ask("reading the router's Secret of '\(self.name)'") { api in
            try await api.objectIfPresent(.get(.secrets, namespace: namespace, name: name))
        }
        guard let secret else {
            throw CommandFailure(
                .failed, "sandbox '\(self.name)' has no router yet: there is no Secret \(namespace)/\(name)",
                advice: "`kars status \(self.name)` says what it waits for.")
        }
        let value = { (key: String) in secret["data"]?[key]?.stringValue.flatMap { Base64.decode($0) } }
        guard let token = value("admin-token"), let certificate = value("tls.crt"),
            let text = String(validating: token, as: UTF8.self)
        else {
            throw CommandFailure(.failed, "the Secret \(namespace)/\(name) holds no admin-token and tls.crt")
        }
        return OperatorAccess(token: Secret(text), certificatePEM: certificate)
    }
}
