import KarsCore

/// Whether a pod may run on a node, and what people are told when it may run on none (kube-scheduler's default filters, as far as one
/// node needs them). Pure.
struct Placement: Sendable {
    enum Verdict: Equatable {
        case bind(node: String)
        case unschedulable(message: String)
    }

    /// Why not on this node.
    private struct Refusal: Hashable {
        var text: String
        /// Whether the node would do were other pods gone.
        var isForLackOfRoom = false
    }

    let pod: JSONObject
    /// With the pods that run on each.
    let nodes: [(node: JSONObject, pods: [ControlledPod])]

    private var spec: JSON { pod["spec"] ?? [:] }

    var verdict: Verdict {
        guard !nodes.isEmpty else { return .unschedulable(message: "no nodes available to schedule pods") }
        var counts: [String: Int] = [:]
        var hopeless = 0
        for (node, pods) in nodes.sorted(by: { $0.node.name < $1.node.name }) {
            let refusals = refusals(of: node, pods)
            if refusals.isEmpty { return .bind(node: node.name) }
            for refusal in refusals { counts[refusal.text, default: 0] += 1 }
            if refusals.contains(where: { !$0.isForLackOfRoom }) { hopeless += 1 }
        }
        let reasons = counts.map { "\($0.value) \($0.key)" }.sorted().joined(separator: ", ")
        var preemption: [String] = []
        if nodes.count > hopeless { preemption.append("\(nodes.count - hopeless) No preemption victims found for incoming pod") }
        if hopeless > 0 { preemption.append("\(hopeless) Preemption is not helpful for scheduling") }
        let summary = "0/\(nodes.count) nodes are available"
        return .unschedulable(
            message: "\(summary): \(reasons). no new claims to deallocate, preemption: \(summary): "
                + "\(preemption.joined(separator: ", ")).")
    }

    /// The first filter that refuses decides; the last may have several reasons.
    private func refusals(of node: JSONObject, _ pods: [ControlledPod]) -> [Refusal] {
        if node["spec"]?["unschedulable"] == true, !tolerates("node.kubernetes.io/unschedulable", "", "NoSchedule") {
            return [Refusal(text: "node(s) were unschedulable")]
        }
        if node["spec"]?["taints"]?.arrayValue?.contains(where: { !tolerates($0) }) == true {
            return [Refusal(text: "node(s) had untolerated taint(s)")]
        }
        if !selects(node) { return [Refusal(text: "node(s) didn't match Pod's node affinity/selector")] }
        if hasPortConflict(pods) {
            return [Refusal(text: "node(s) didn't have free ports for the requested pod ports", isForLackOfRoom: true)]
        }
        return lacks(of: node, pods)
    }

    // MARK: - Taints

    private func tolerates(_ taint: JSON) -> Bool {
        let effect = taint["effect"]?.stringValue ?? ""
        guard effect == "NoSchedule" || effect == "NoExecute" else { return true }
        return tolerates(taint["key"]?.stringValue ?? "", taint["value"]?.stringValue ?? "", effect)
    }

    private func tolerates(_ key: String, _ value: String, _ effect: String) -> Bool {
        (spec["tolerations"]?.arrayValue ?? []).contains { toleration in
            let effects = toleration["effect"]?.stringValue ?? ""
            guard effects.isEmpty || effects == effect else { return false }
            let keys = toleration["key"]?.stringValue ?? ""
            let anyValue = toleration["operator"] == "Exists"
            if keys.isEmpty { return anyValue }
            return keys == key && (anyValue || toleration["value"]?.stringValue ?? "" == value)
        }
    }

    // MARK: - Selection

    private func selects(_ node: JSONObject) -> Bool {
        let labels = node.labels
        for (key, value) in spec["nodeSelector"]?.objectValue ?? JSONObject() where labels[key] != value.stringValue {
            return false
        }
        let required = spec["affinity"]?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]
        guard let terms = required?["nodeSelectorTerms"]?.arrayValue else { return true }
        return terms.contains { term in
            let expressions = term["matchExpressions"]?.arrayValue ?? []
            let fields = term["matchFields"]?.arrayValue ?? []
            // A term without any requirement matches nothing.
            guard !(expressions.isEmpty && fields.isEmpty) else { return false }
            return expressions.allSatisfy { Self.holds($0, labels) }
                && fields.allSatisfy { Self.holds($0, ["metadata.name": node.name]) }
        }
    }

    private static func holds(_ requirement: JSON, _ values: [String: String]) -> Bool {
        guard let key = requirement["key"]?.stringValue else { return false }
        let listed = requirement["values"]?.arrayValue?.compactMap(\.stringValue) ?? []
        let value = values[key]
        return switch requirement["operator"]?.stringValue {
        case "In": value.map(listed.contains) ?? false
        case "NotIn": value.map { !listed.contains($0) } ?? true
        case "Exists": value != nil
        case "DoesNotExist": value == nil
        case "Gt": number(value).flatMap { value in number(listed.first).map { value > $0 } } ?? false
        case "Lt": number(value).flatMap { value in number(listed.first).map { value < $0 } } ?? false
        default: false
        }
    }

    private static func number(_ text: String?) -> Int? { text.flatMap { Int($0) } }

    // MARK: - Room

    private func hasPortConflict(_ pods: [ControlledPod]) -> Bool {
        let wanted = Self.hostPorts(spec)
        return !wanted.isEmpty && pods.contains { !Self.hostPorts($0.object["spec"] ?? [:]).isDisjoint(with: wanted) }
    }

    private static func hostPorts(_ spec: JSON) -> Set<String> {
        let ports = (spec["containers"]?.arrayValue ?? []).flatMap { $0["ports"]?.arrayValue ?? [] }
        return Set(
            ports.compactMap { port in
                port["hostPort"]?.intValue.flatMap { $0 > 0 ? "\(port["protocol"]?.stringValue ?? "TCP")/\($0)" : nil }
            })
    }

    private func lacks(of node: JSONObject, _ pods: [ControlledPod]) -> [Refusal] {
        let room = node["status"]?["allocatable"]?.resourceList ?? [:]
        var lacks: [Refusal] = []
        if let most = room["pods"]?.units, pods.count + 1 > most {
            lacks.append(Refusal(text: "Too many pods", isForLackOfRoom: true))
        }
        let asked = PodRequests.of(spec)
        for (name, amount) in asked.sorted(by: { $0.key < $1.key }) where !amount.isZero {
            let whole = room[name] ?? .zero
            let used = pods.reduce(Quantity.zero) { $0 + (PodRequests.of($1.object["spec"] ?? [:])[name] ?? .zero) }
            if used + amount > whole { lacks.append(Refusal(text: "Insufficient \(name)", isForLackOfRoom: amount <= whole)) }
        }
        return lacks
    }
}

/// What a pod asks of its node (component-helpers `PodRequests`): what its containers and sidecars need together, or the largest of its
/// init containers with the sidecars that run before it.
enum PodRequests {
    static func of(_ spec: JSON) -> ResourceList {
        func requests(_ container: JSON) -> ResourceList { container["resources"]?["requests"]?.resourceList ?? [:] }
        var together: ResourceList = [:]
        for container in spec["containers"]?.arrayValue ?? [] { together.merge(requests(container), uniquingKeysWith: +) }
        var sidecars: ResourceList = [:]
        var largest: ResourceList = [:]
        for container in spec["initContainers"]?.arrayValue ?? [] {
            var needed = requests(container)
            if container["restartPolicy"] == "Always" {
                together.merge(needed, uniquingKeysWith: +)
                sidecars.merge(needed, uniquingKeysWith: +)
                needed = sidecars
            } else {
                needed.merge(sidecars, uniquingKeysWith: +)
            }
            largest.merge(needed) { max($0, $1) }
        }
        together.merge(largest) { max($0, $1) }
        return together
    }
}
