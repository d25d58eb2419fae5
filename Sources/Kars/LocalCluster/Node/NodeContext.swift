import KarsCore

/// What the workers of a node's pods share.
struct NodeContext: Sendable {
    let api: any KubernetesAPI
    let group: EventLoopGroup
    let time: any TimeSource
    let nodeName: String
    /// Of the node; pods lie below.
    let directory: String
    /// In memory; secrets of pods lie below.
    let memory: String
    let executable: String
    let images: ImageStore
    let objects: any NodeObjects
    /// nil: each pod is alone.
    let network: (any ClusterNetwork)?
    let hostAddress: String
    let allocatable: ResourceList
    let events: EventRecorder
    let machine: PodMachine.Config
    let log: Log

    func podDirectory(_ uid: String) -> String { "\(directory)/pods/\(uid)" }
    func podMemory(_ uid: String) -> String { "\(memory)/\(uid)" }

    /// Files that belong to users of the pod included.
    func removeMemory(_ uid: String) async throws {
        let directory = PodDirectory(path: podMemory(uid), executable: executable)
        try await LocalPod.blocking { try directory.remove() }
    }

    func localPod(_ uid: String) -> LocalPod { LocalPod(directory: podDirectory(uid), executable: executable) }
    func link(_ uid: String) -> SandboxLink { SandboxLink(directory: podDirectory(uid), group: group) }
}

/// What of the cluster the node looks up, from informers.
struct NodeInformers: NodeObjects {
    let pods: Informer
    let configMaps: Informer
    let secrets: Informer
    let serviceInformer: Informer

    init(of informers: SharedInformers, nodeName: String) {
        var own = WatchMachine.Config()
        own.fieldSelector = "spec.nodeName=\(nodeName)"
        pods = informers.informer(.pods, config: own)
        configMaps = informers.informer(.configMaps)
        secrets = informers.informer(.secrets)
        serviceInformer = informers.informer(.services)
    }

    func configMap(namespace: String, name: String) -> JSONObject? { configMaps[ObjectKey(namespace: namespace, name: name)] }
    func secret(namespace: String, name: String) -> JSONObject? { secrets[ObjectKey(namespace: namespace, name: name)] }
    func services(namespace: String) -> [JSONObject] { serviceInformer.all.filter { $0.namespace == namespace } }
}
