import KarsCore
import Synchronization

/// The pods that this node has workers for.
final class NodePods: Sendable {
    private let api: any KubernetesAPI
    private let workers = Mutex<[String: PodWorker]>([:])

    init(api: any KubernetesAPI) { self.api = api }

    subscript(uid: String) -> PodWorker? { workers.withLock { $0[uid] } }
    var all: [PodWorker] { workers.withLock { Array($0.values) } }

    /// Makes the worker of a pod; nil when there is one.
    func add(_ object: JSONObject, context: NodeContext) -> PodWorker? {
        guard let uid = object.uid else { return nil }
        return workers.withLock { workers in
            guard workers[uid] == nil else { return nil }
            let worker = PodWorker(object, context: context)
            workers[uid] = worker
            return worker
        }
    }

    func remove(_ uid: String) { workers.withLock { _ = $0.removeValue(forKey: uid) } }

    /// The pod that a request is about, with its worker once it has been given to this node.
    func find(_ info: RequestInfo) async throws(APIStatus) -> (pod: NodePod, worker: PodWorker?) {
        let name = info.name ?? ""
        let pod = NodePod(try await api.object(.get(.pods, namespace: info.namespace, name: name)))
        if let worker = self[pod.uid] { return (pod, worker) }
        guard (pod.spec["nodeName"]?.stringValue ?? "").isEmpty else {
            throw APIStatus(code: 500, reason: .internalError, message: "the node of pod \(name) does not know it yet")
        }
        return (pod, nil)
    }

    /// The worker of the pod that a request is about; what a real API server answers when there is none.
    func worker(_ info: RequestInfo) async throws(APIStatus) -> PodWorker {
        let (pod, worker) = try await find(info)
        guard let worker else { throw .badRequest("pod \(pod.name) does not have a host assigned") }
        return worker
    }
}
