import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The pod's place in the cluster's network: asked for before containers start, held by an open connection for the pod's life,
/// and asked for again when the node's network has ended and come back.
extension PodSupervisor {
    private static let joinDeadline = Duration.seconds(20)
    private static let joinPause = Duration.milliseconds(200)

    /// Containers start when the pod has its address.
    func joinCluster(_ attachment: ClusterNetworkAttachment) {
        let deadline = loop.after(Self.joinDeadline) { [self] in
            fail("NetworkFailed", "the cluster's network did not take the pod in within \(Self.joinDeadline)")
        }
        var isFirst = true
        askToJoin(attachment) { [self] in
            loop.cancel(deadline)
            guard isFirst, !isStopping else { return }
            isFirst = false
            startContainers()
        }
    }

    private func askToJoin(_ attachment: ClusterNetworkAttachment, _ joined: @escaping () -> Void) {
        guard !isStopping else { return }
        let again = { [self] in
            _ = loop.after(Self.joinPause) { [self] in askToJoin(attachment, joined) }
        }
        guard case let socket = kars_connect_unix(attachment.socket), socket >= 0 else { return again() }
        let request: JSON = ["verb": "join", "pod": .string(attachment.podUID)]
        let line = request.encoded() + [UInt8(ascii: "\n")]
        guard kars_send_descriptors(socket, line, line.count, [namespaces.network], 1) == line.count else {
            close(socket)
            return again()
        }
        _ = fcntl(socket, F_SETFL, O_NONBLOCK)
        let connection = ControlConnection(socket)
        loop.watch(socket) { [self] in
            switch connection.readSome() {
            case .needMore: return
            case .request(let answer) where answer["ok"]?.boolValue == true: return joined()
            case .request(let answer):
                // A pod that runs already waits for better times; one that has just been made is told what is wrong.
                Descriptors.writeAll("cluster network: \(answer.description)\n".utf8, to: 2)
            case .ended: break
            }
            loop.unwatch(socket)
            connection.close()
            again()
        }
    }
}
