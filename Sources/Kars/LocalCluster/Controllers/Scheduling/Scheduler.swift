import KarsCore

/// Finds a node for each pod that has none.
struct Scheduler: Sendable {
    static let name = "default-scheduler"
    /// Who owns the fields that it writes.
    static let fieldManager = "kube-scheduler"

    private let loop: RoundLoop<ObjectKey>
    private let events: EventRecorder

    init(_ informers: SharedInformers, log: Log) {
        let events = EventRecorder(
            through: informers.api, controller: Self.name, instance: "\(Self.name)-local", fieldManager: Self.fieldManager,
            time: informers.time, log: log)
        self.events = events
        let rounds = SchedulerRounds(api: informers.api, time: informers.time, events: events)
        // One at a time: each sees where the one before was put.
        let loop = RoundLoop<ObjectKey>(workers: 1, time: informers.time, log: log.with(["controller": "scheduler"])) {
            (key) async throws(APIStatus) in
            try await rounds.round(key)
        }
        self.loop = loop
        var unbound = WatchMachine.Config()
        unbound.fieldSelector = "spec.nodeName="
        let waiting = informers.informer(.pods, view: .metadata, config: unbound)
        waiting.addHandler { change in
            if case .deleted = change { return }
            loop.add(change.key)
        }
        // Room may have come about: a node changed, a pod went.
        let reconsider: @Sendable () -> Void = { for pod in waiting.all { loop.add(ObjectKey(pod)) } }
        informers.informer(.nodes, view: .metadata).addHandler { _ in reconsider() }
        informers.informer(.pods, view: .metadata).addHandler { change in
            if case .deleted = change { reconsider() }
        }
    }

    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await loop.run() }
            group.addTask { await events.run() }
        }
    }
}

private struct SchedulerRounds: Sendable {
    let api: any KubernetesAPI
    let time: any TimeSource
    let events: EventRecorder

    func round(_ key: ObjectKey) async throws(APIStatus) -> Duration? {
        guard let pod = try await api.objectIfPresent(.get(.pods, namespace: key.namespace, name: key.name)), !pod.isBeingDeleted,
            ControlledPod(pod).nodeName.isEmpty, !ControlledPod(pod).isFinished,
            pod["spec"]?["schedulerName"]?.stringValue ?? Scheduler.name == Scheduler.name
        else { return nil }
        guard (pod["spec"]?["schedulingGates"]?.arrayValue ?? []).isEmpty else {
            return try await say(
                "SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", of: pod, withEvent: false)
        }
        let nodes = try await api.list(.nodes).items.filter { !$0.isBeingDeleted }
        let pods = nodes.isEmpty ? [] : try await api.list(.pods).items.map(ControlledPod.init).filter { !$0.isFinished }
        let byNode = Dictionary(grouping: pods, by: \.nodeName)
        switch Placement(pod: pod, nodes: nodes.map { ($0, byNode[$0.name] ?? []) }).verdict {
        case .bind(let node): try await bind(pod, to: node)
        case .unschedulable(let message): return try await say("Unschedulable", message, of: pod, withEvent: true)
        }
        return nil
    }

    private func bind(_ pod: JSONObject, to node: String) async throws(APIStatus) {
        let binding: JSONObject = [
            "apiVersion": "v1", "kind": "Binding",
            "metadata": ["name": .string(pod.name), "namespace": .string(pod.namespace ?? ""), "uid": .string(pod.uid ?? "")],
            "target": ["apiVersion": "v1", "kind": "Node", "name": .string(node)],
        ]
        let path = ObjectPath(.pods, namespace: pod.namespace, name: pod.name, subresource: "binding")
        _ = try await api.send(KubernetesRequest(.create, .object(path), body: .object(binding)))
        events.tell(
            EventNote(
                .normal, about: pod, reason: "Scheduled", action: "Binding",
                "Successfully assigned \(ObjectKey(pod)) to \(node)"))
    }

    /// Tells why the pod waits, once as long as it is the same.
    private func say(_ reason: String, _ message: String, of pod: JSONObject, withEvent: Bool) async throws(APIStatus)
        -> Duration?
    {
        let before = ControlledPod(pod).condition("PodScheduled")
        guard before?["reason"]?.stringValue != reason || before?["message"]?.stringValue != message else { return nil }
        let since = before?["status"] == "False" ? before?["lastTransitionTime"] : nil
        var condition: JSONObject = ["type": "PodScheduled"]
        condition["observedGeneration"] = pod.metadata["generation"]
        condition["status"] = "False"
        condition["lastTransitionTime"] = since ?? .string(time.utc().rfc3339)
        condition["reason"] = .string(reason)
        condition["message"] = .string(message)
        let patch: JSON = [
            "metadata": ["uid": .string(pod.uid ?? "")], "status": ["conditions": [.object(condition)]],
        ]
        _ = try await api.send(
            .patch(
                .strategicMerge, .pods, namespace: pod.namespace, name: pod.name, subresource: "status", patch,
                WriteOptions(fieldManager: Scheduler.fieldManager)))
        if withEvent {
            events.tell(EventNote(.warning, about: pod, reason: "FailedScheduling", action: "Scheduling", message))
        }
        return nil
    }
}
