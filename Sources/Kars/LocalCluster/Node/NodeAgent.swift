import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The node of the local cluster: registers this machine, runs the pods that are bound to it, and serves their logs, commands and
/// ports to the API server of the same process.
///
/// Pods outlive it: each has a supervisor of its own. A node that starts again finds them, goes on with those that are wanted and ends
/// the others. What a pod is to do is decided by `PodMachine`; how its containers are confined, by the pod runner.
final class NodeAgent: Sendable {
    private let context: NodeContext
    private let informers: SharedInformers
    private let watched: NodeInformers
    private let pods: NodePods
    private let registration: NodeRegistration
    /// For the API server.
    let serving: PodServing

    /// `directory` is the node's own, `executable` the kars that supervises pods and that the image `kars` stands for. Without
    /// `network`, each pod is alone. `address` is the node's, unless the network has one.
    init(
        client: any KubernetesAPI, group: EventLoopGroup, nodeName: String, directory: String, executable: String,
        network: (any ClusterNetwork)? = nil, address: String = "127.0.0.1", machine: PodMachine.Config = PodMachine.Config(),
        log: Log
    ) throws {
        let time = LoopTime(group.next())
        try Files.createDirectories("\(directory)/pods", mode: 0o700)
        try Files.createDirectories("\(directory)/images", mode: 0o755)
        informers = SharedInformers(of: client, time: time, log: log)
        watched = NodeInformers(of: informers, nodeName: nodeName)
        pods = NodePods(api: client)
        let facts = MachineFacts.here(directory: directory)
        context = NodeContext(
            api: client, group: group, time: time, nodeName: nodeName, directory: directory,
            memory: try NodeMemory.open(for: directory), executable: executable,
            images: ImageStore(directory: "\(directory)/images"), objects: watched, network: network, hostAddress: address,
            allocatable: facts.capacity.resourceList,
            events: EventRecorder(through: client, controller: "kubelet", instance: nodeName, time: time, log: log),
            machine: machine, log: log)
        registration = NodeRegistration(
            api: client, time: time, nodeName: nodeName, address: address, machine: facts, log: log)
        serving = PodServing(pods: pods, group: group, time: time)
    }

    // MARK: - Running

    /// Until the task is cancelled; pods go on.
    func run() async throws {
        let (changes, mailbox) = AsyncStream<ObjectCache.Change>.makeStream()
        watched.pods.addHandler { mailbox.yield($0) }
        for informer in [watched.configMaps, watched.secrets] {
            informer.addHandler { [pods] change in Self.changed(change.object, pods) }
        }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.informers.run() }
            group.addTask { await self.context.events.run() }
            group.addTask { await self.registration.run() }
            guard (try? await informers.waitUntilSynced()) != nil else { return }
            group.addTask { await self.endOrphans() }
            for await change in changes {
                if Task.isCancelled { break }
                for worker in take(change) {
                    group.addTask {
                        await worker.run()
                        self.pods.remove(worker.uid)
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// Passes a change on; workers that begin with it.
    private func take(_ change: ObjectCache.Change) -> [PodWorker] {
        switch change {
        case .added(let object): return begin(object)
        case .updated(let old, let new):
            guard old.uid == new.uid else {
                // Deleted and created again while nobody looked.
                old.uid.flatMap { pods[$0] }?.post(.objectGone)
                return begin(new)
            }
            guard let worker = new.uid.flatMap({ pods[$0] }) else { return begin(new) }
            worker.post(.object(new))
        case .deleted(let object): object.uid.flatMap { pods[$0] }?.post(.objectGone)
        }
        return []
    }

    private func begin(_ object: JSONObject) -> [PodWorker] { pods.add(object, context: context).map { [$0] } ?? [] }

    /// A ConfigMap or Secret has changed: pods that show it bring their volumes up to date.
    private static func changed(_ object: JSONObject, _ pods: NodePods) {
        for worker in pods.all where worker.namespace == object.namespace && worker.volumeSources.contains(object.name) {
            worker.post(.objectsChanged)
        }
    }

    /// Ends what runs here of pods that are not there any more.
    private func endOrphans() async {
        do {
            let here = try Files.entries(of: "\(context.directory)/pods"), inMemory = try Files.entries(of: context.memory)
            let wanted = Set(watched.pods.all.compactMap(\.uid))
            for uid in Set(here + inMemory).subtracting(wanted).sorted() {
                context.log.info("pod.orphan.ended", ["pod": .string(uid)])
                do {
                    try await context.link(uid).end()
                    await context.network?.detach(podUID: uid)
                    try await context.removeMemory(uid)
                    try await context.localPod(uid).remove()
                } catch {
                    context.log.warn("pod.leftovers", ["pod": .string(uid), "reason": .error(error)])
                }
            }
        } catch {
            context.log.warn("node.pods.unreadable", ["reason": .error(error)])
        }
    }
}
