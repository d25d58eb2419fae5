import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Executions of kars that nobody types: they make and watch over containers, in one thread, before anything of Swift's
/// concurrency has started.
enum HiddenStage: String {
    /// `kars pod-supervisor DIRECTORY`, with the launch on descriptor 3 and a pipe for the outcome on 4.
    case supervisor = "pod-supervisor"
    /// `kars pod-stage`, see `ContainerStage`.
    case container = "pod-stage"
    /// `kars pod-relay USER PORT…`, see `LoopbackRelay`; the one stage with more than one thread.
    case relay = "pod-relay"
    /// `kars pod-remove DIRECTORY`, see `PodDirectory`.
    case removal = "pod-remove"
    /// `kars node-network DIRECTORY PODS SERVICES`, see `NodeNetworkStage`.
    case nodeNetwork = "node-network"

    /// Call first thing in `main`. Returns when this is an ordinary execution.
    static func runIfAsked(_ arguments: [String]) {
        guard arguments.count > 1, let stage = HiddenStage(rawValue: arguments[1]) else { return }
        switch stage {
        case .supervisor: runSupervisor()
        case .container: ContainerStage.run()
        case .relay: LoopbackRelay.serve(Array(arguments.dropFirst(2)))
        case .nodeNetwork: NodeNetworkStage.run(Array(arguments.dropFirst(2)))
        case .removal: PodDirectory.runRemoval(arguments.count > 2 ? arguments[2] : "")
        }
    }

    private static let launchDescriptor: Int32 = 3
    private static let readyDescriptor: Int32 = 4
    /// See `SupervisorLock`.
    private static let lockDescriptor: Int32 = 5

    /// Detaches from whoever started it: the second child of a session leader has no way back to a terminal.
    private static func runSupervisor() -> Never {
        kars_close_on_exec_from(3)
        signal(SIGPIPE, SIG_IGN)
        kars_set_dumpable(0)
        setsid()
        let child = kars_fork()
        if child != 0 { _exit(child > 0 ? 0 : 1) }
        umask(0o077)
        chdir("/")
        let bytes = Descriptors.readAll(launchDescriptor, upTo: 64 << 20)
        close(launchDescriptor)
        do {
            let launch = try PodLaunch(json: try JSON(parsing: bytes))
            let supervisor = try PodSupervisor(
                launch: launch, ready: readyDescriptor, executable: Self.executable(), lock: lockDescriptor)
            supervisor.run()
            exit(0)
        } catch {
            let code = error as? LocalPodError
            let answer: JSON = [
                "ok": false,
                "error": ["code": .string(code?.code.rawValue ?? "Failed"), "message": .string(code?.message ?? "\(error)")],
            ]
            Descriptors.writeAll(answer.encoded() + [UInt8(ascii: "\n")], to: readyDescriptor)
            exit(1)
        }
    }

    static func executable() -> String {
        var path = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        guard count > 0 else { return "/proc/self/exe" }
        let text = String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        // A binary that was built anew since: the new one stands at the old place.
        return text.hasSuffix(" (deleted)") ? String(text.dropLast(10)) : text
    }
}
