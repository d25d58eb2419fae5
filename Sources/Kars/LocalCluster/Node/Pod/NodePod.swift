import KarsCore

/// A pod as its node reads it. What the API server let through is well-formed; what a node cannot do is refused when it starts.
struct NodePod: Sendable {
    enum RestartPolicy: String, Sendable {
        case always = "Always"
        case onFailure = "OnFailure"
        case never = "Never"
    }

    let object: JSONObject
    let initContainers: [NodeContainer]
    let containers: [NodeContainer]

    init(_ object: JSONObject) {
        self.object = object
        initContainers = (object["spec"]?["initContainers"]?.arrayValue ?? []).map {
            NodeContainer($0, role: $0["restartPolicy"]?.stringValue == "Always" ? .sidecar : .initial)
        }
        containers = (object["spec"]?["containers"]?.arrayValue ?? []).map { NodeContainer($0, role: .main) }
    }

    var name: String { object.name }
    var namespace: String { object.namespace ?? "default" }
    var uid: String { object.uid ?? "" }
    var key: ObjectKey { ObjectKey(object) }
    var spec: JSON { object["spec"] ?? [:] }
    /// As messages name it: `crash_default(f2823eae-…)`.
    var fullName: String { "\(name)_\(namespace)(\(uid))" }
    var hostname: String { spec["hostname"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } ?? String(name.prefix(63)) }

    var allContainers: [NodeContainer] { initContainers + containers }
    func container(_ name: String) -> NodeContainer? { allContainers.first { $0.name == name } }

    var restartPolicy: RestartPolicy { spec["restartPolicy"]?.stringValue.flatMap(RestartPolicy.init(rawValue:)) ?? .always }
    var grace: Duration { .seconds(spec["terminationGracePeriodSeconds"]?.intValue ?? 30) }
    var activeDeadline: Duration? { spec["activeDeadlineSeconds"]?.intValue.map { .seconds($0) } }
    var readinessGates: [String] { (spec["readinessGates"]?.arrayValue ?? []).compactMap { $0["conditionType"]?.stringValue } }

    /// ConfigMaps and Secrets that volumes show, by name.
    var volumeSources: Set<String> {
        var names: Set<String> = []
        func add(_ source: JSON) {
            for name in [source["configMap"]?["name"], source["secret"]?["secretName"], source["secret"]?["name"]] {
                if let name = name?.stringValue { names.insert(name) }
            }
        }
        for volume in spec["volumes"]?.arrayValue ?? [] {
            add(volume)
            for source in volume["projected"]?["sources"]?.arrayValue ?? [] { add(source) }
        }
        return names
    }

    /// Of a deletion that has been asked for; nil otherwise.
    var deletionGrace: Duration? {
        object.isBeingDeleted ? .seconds(object.metadata["deletionGracePeriodSeconds"]?.intValue ?? 0) : nil
    }

    /// Why this node never runs such a pod; nil when it may.
    var refusal: String? {
        for (field, meaning) in [
            ("hostNetwork", "the machine's network"), ("hostPID", "the machine's processes"), ("hostIPC", "the machine's IPC"),
            ("shareProcessNamespace", "one process namespace for all containers"),
        ] where spec[field]?.boolValue == true {
            return "spec.\(field): this node does not give pods \(meaning)"
        }
        for container in allContainers where container.json["securityContext"]?["privileged"]?.boolValue == true {
            return "container \(container.name) is privileged, which this node does not allow"
        }
        return nil
    }
}

/// A container of a pod as its node reads it.
struct NodeContainer: Sendable {
    enum Role: Sendable {
        /// Runs once, to exit 0, before those after it.
        case initial
        /// An init container that stays (KEP-753).
        case sidecar
        case main
    }

    enum PullPolicy: String, Sendable {
        case always = "Always"
        case ifNotPresent = "IfNotPresent"
        case never = "Never"
    }

    let json: JSON
    let role: Role
    let startup: NodeProbe?
    let readiness: NodeProbe?
    let liveness: NodeProbe?

    init(_ json: JSON, role: Role) {
        self.json = json
        self.role = role
        let ports = json["ports"]?.arrayValue ?? []
        startup = role == .initial ? nil : json["startupProbe"].map { NodeProbe($0, ports: ports) }
        readiness = role == .initial ? nil : json["readinessProbe"].map { NodeProbe($0, ports: ports) }
        liveness = role == .initial ? nil : json["livenessProbe"].map { NodeProbe($0, ports: ports) }
    }

    var name: String { json["name"]?.stringValue ?? "" }
    var image: String { json["image"]?.stringValue ?? "" }
    var pullPolicy: PullPolicy { json["imagePullPolicy"]?.stringValue.flatMap(PullPolicy.init(rawValue:)) ?? .ifNotPresent }
    var postStart: JSON? { json["lifecycle"]?["postStart"] }
    var preStop: JSON? { json["lifecycle"]?["preStop"] }
    var memoryLimit: Int? { json["resources"]?["limits"]?.resourceList["memory"]?.units }
    /// Where in the pod it stands, for Events.
    var fieldPath: String { role == .main ? "spec.containers{\(name)}" : "spec.initContainers{\(name)}" }
}

/// A probe with its port as a number, ready for the supervisor.
struct NodeProbe: Sendable, Equatable {
    enum Kind: String, CaseIterable, Sendable {
        case startup = "Startup"
        case readiness = "Readiness"
        case liveness = "Liveness"
    }

    /// `exec`, `httpGet` or `tcpSocket` alone.
    let target: JSON
    let initialDelay: Duration
    let period: Duration
    let timeoutSeconds: Int
    let successThreshold: Int
    let failureThreshold: Int
    /// Before a container that failed it is killed; nil: the pod's.
    let grace: Duration?

    init(_ json: JSON, ports: [JSON]) {
        var target = JSONObject()
        target["exec"] = json["exec"]
        for kind in ["httpGet", "tcpSocket"] {
            guard var check = json[kind]?.objectValue else { continue }
            check["port"] = Self.number(check["port"], ports).map { .int($0) }
            target[kind] = .object(check)
        }
        self.target = .object(target)
        func number(_ key: String, or fallback: Int) -> Int { json[key]?.intValue ?? fallback }
        initialDelay = .seconds(number("initialDelaySeconds", or: 0))
        period = .seconds(max(1, number("periodSeconds", or: 10)))
        timeoutSeconds = max(1, number("timeoutSeconds", or: 1))
        successThreshold = max(1, number("successThreshold", or: 1))
        failureThreshold = max(1, number("failureThreshold", or: 3))
        grace = json["terminationGracePeriodSeconds"]?.intValue.map { .seconds($0) }
    }

    /// A name stands for the container's port of that name; nil when there is none.
    private static func number(_ port: JSON?, _ ports: [JSON]) -> Int? {
        if let number = port?.intValue { return number }
        guard let name = port?.stringValue else { return nil }
        return ports.first { $0["name"]?.stringValue == name }?["containerPort"]?.intValue ?? Int(name)
    }
}
