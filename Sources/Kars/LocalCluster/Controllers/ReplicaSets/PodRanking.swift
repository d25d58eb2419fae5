import KarsCore

/// Which pods go first when there are too many (controller_utils `ActivePodsWithRanks`): those that cost least to lose.
struct PodRanking: Sendable {
    private struct Entry {
        let pod: ControlledPod
        /// How many pods of the same owner stand on its node: the fullest node is relieved first.
        let neighbours: Int
        let deletionCost: Int
    }

    private let now: UTCTime
    private static let costAnnotation = "controller.kubernetes.io/pod-deletion-cost"

    init(now: UTCTime) { self.now = now }

    /// The first `count` to go. `related` are all active pods of the owner's kin: of every ReplicaSet of one Deployment.
    func first(_ count: Int, of pods: [ControlledPod], related: [ControlledPod]) -> [ControlledPod] {
        guard count < pods.count else { return pods }
        var perNode: [String: Int] = [:]
        for pod in related { perNode[pod.nodeName, default: 0] += 1 }
        let entries = pods.map {
            Entry(
                pod: $0, neighbours: $0.nodeName.isEmpty ? 0 : perNode[$0.nodeName] ?? 0,
                deletionCost: $0.object.annotations[Self.costAnnotation].flatMap { Int($0) } ?? 0)
        }
        return entries.sorted(by: goesBefore).prefix(count).map(\.pod)
    }

    private func goesBefore(_ a: Entry, _ b: Entry) -> Bool {
        if a.pod.nodeName.isEmpty != b.pod.nodeName.isEmpty { return a.pod.nodeName.isEmpty }
        let (phaseA, phaseB) = (Self.phaseRank(a.pod), Self.phaseRank(b.pod))
        if phaseA != phaseB { return phaseA < phaseB }
        if a.pod.isReady != b.pod.isReady { return !a.pod.isReady }
        if a.deletionCost != b.deletionCost { return a.deletionCost < b.deletionCost }
        if a.neighbours != b.neighbours { return a.neighbours > b.neighbours }
        if let younger = isYounger(a.pod.readySince, b.pod.readySince) { return younger }
        if a.pod.restarts != b.pod.restarts { return a.pod.restarts > b.pod.restarts }
        if let younger = isYounger(a.pod.created, b.pod.created) { return younger }
        return (a.pod.object.uid ?? "") < (b.pod.object.uid ?? "")
    }

    private static func phaseRank(_ pod: ControlledPod) -> Int {
        switch pod.phase {
        case "Running": 2
        case "Unknown": 1
        default: 0
        }
    }

    /// The younger goes first, in powers of two of its age: pods that are about as old go in no particular order (KEP-2185). Nil when
    /// age does not tell them apart.
    private func isYounger(_ a: UTCTime?, _ b: UTCTime?) -> Bool? {
        let (ageA, ageB) = (magnitude(a), magnitude(b))
        return ageA == ageB ? nil : ageA < ageB
    }

    /// Without a time it counts as just now.
    private func magnitude(_ time: UTCTime?) -> Int {
        guard let time else { return -1 }
        let seconds = max(0, now.duration(since: time).components.seconds)
        return seconds == 0 ? 0 : Int64.bitWidth - seconds.leadingZeroBitCount
    }
}
