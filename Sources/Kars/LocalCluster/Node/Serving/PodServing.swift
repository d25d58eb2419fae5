import KarsCore

/// What the API server asks of the node about pods: `pods/log`, `pods/exec`, `pods/attach`, `pods/portforward`.
///
/// A cluster without a node has it too, over no pods: it then tells what a pod that runs nowhere has to say.
struct PodServing: Sendable {
    let pods: NodePods
    let group: EventLoopGroup
    let time: any TimeSource
    /// Threads that read what commands write.
    private let sessions = BlockingQueue(maxThreads: 128, maxWaiting: 32)

    var subresources: [SubresourceName: any SubresourceHandler] {
        func name(_ subresource: String) -> SubresourceName {
            SubresourceName(group: "", resource: "pods", subresource: subresource)
        }
        return [
            name("log"): PodLogs(pods: pods, time: time),
            name("exec"): PodExec(pods: pods, group: group, threads: sessions),
            name("attach"): PodAttach(pods: pods, time: time),
            name("portforward"): PodPortForward(pods: pods, group: group),
        ]
    }
}
