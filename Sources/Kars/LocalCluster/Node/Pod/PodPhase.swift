import KarsCore

/// Where a pod is in its life (kubelet `getPhase`).
enum PodPhase: String, Sendable {
    case pending = "Pending"
    case running = "Running"
    case succeeded = "Succeeded"
    case failed = "Failed"

    var isTerminal: Bool { self == .succeeded || self == .failed }
}

extension PodMachine {
    /// By what the containers show.
    var phaseOfContainers: PodPhase {
        if reason != nil { return .failed }
        if hasFailedInit { return .failed }
        if isDownForGood { return hasOnlySuccesses ? .succeeded : .failed }
        let mains = pod.containers.compactMap { lives[$0.name] }
        if !isInitialized, !mains.contains(where: \.hasRun) { return .pending }
        if mains.contains(where: { $0.termination == nil && !$0.isShownRunning }) { return .pending }
        if mains.contains(where: \.isShownRunning) { return .running }
        if pod.initContainers.contains(where: { $0.role == .sidecar && lives[$0.name]?.isShownRunning == true }) {
            return .running
        }
        switch pod.restartPolicy {
        case .always: return .running
        case .onFailure: return hasOnlySuccesses ? .succeeded : .running
        case .never: return hasOnlySuccesses ? .succeeded : .failed
        }
    }

    /// What `status.phase` says: terminal only when nothing of the pod runs any more.
    var phase: PodPhase {
        let phase = phaseOfContainers
        guard phase.isTerminal, stage != .down else { return phase }
        return pod.containers.contains { lives[$0.name]?.hasRun == true } ? .running : .pending
    }

    /// All init containers have done their work, and sidecars are up.
    var isInitialized: Bool { incompleteInits.isEmpty }

    var incompleteInits: [String] {
        pod.initContainers.filter { container in
            guard let life = lives[container.name] else { return true }
            return container.role == .sidecar ? !life.hasBeenUp : !life.hasSucceeded
        }.map(\.name)
    }

    private var isDownForGood: Bool { stage == .down && ending != nil }

    private var hasOnlySuccesses: Bool { pod.containers.allSatisfy { lives[$0.name]?.termination?.exitCode == 0 } }
}

extension ContainerLife {
    var isShownRunning: Bool { if case .running = shown { true } else { false } }
}
