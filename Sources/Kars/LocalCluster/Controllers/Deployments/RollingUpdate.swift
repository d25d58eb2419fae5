import KarsCore

/// How many pods a Deployment may have too many and too few, and what follows for its ReplicaSets' sizes (deployment_util). Numbers
/// only.
struct RollingUpdate: Sendable, Equatable {
    let desired: Int
    let maxSurge: Int
    let maxUnavailable: Int

    /// Per cents of `replicas`, surge rounded up and unavailable down; both zero would stand still, so one may be missing then.
    init(_ deployment: JSONObject) {
        let spec = deployment["spec"] ?? [:]
        desired = spec["replicas"]?.intValue ?? 1
        guard spec["strategy"]?["type"] != "Recreate" else {
            (maxSurge, maxUnavailable) = (0, 0)
            return
        }
        let limits = spec["strategy"]?["rollingUpdate"] ?? [:]
        let surge = Self.count(limits["maxSurge"] ?? "25%", of: desired, roundsUp: true)
        let unavailable = Self.count(limits["maxUnavailable"] ?? "25%", of: desired, roundsUp: false)
        maxSurge = surge
        maxUnavailable = min(surge == 0 && unavailable == 0 ? 1 : unavailable, desired)
    }

    init(desired: Int, maxSurge: Int, maxUnavailable: Int) {
        self.desired = desired
        self.maxSurge = maxSurge
        self.maxUnavailable = maxUnavailable
    }

    private static func count(_ value: JSON, of total: Int, roundsUp: Bool) -> Int {
        if let count = value.intValue { return count }
        guard let text = value.stringValue, text.hasSuffix("%"), let percent = Int(text.dropLast()) else { return 0 }
        return (total * percent + (roundsUp ? 99 : 0)) / 100
    }

    /// Pods that all ReplicaSets together may have.
    var largest: Int { desired + maxSurge }
    /// Pods that must be available.
    var least: Int { desired - maxUnavailable }

    // MARK: - Rolling

    /// The size of the newest ReplicaSet: as large as `largest` leaves room for. `total` counts all of them.
    func newestSize(now size: Int, total: Int) -> Int {
        if size >= desired { return desired }
        guard total < largest else { return size }
        return size + min(largest - total, desired - size)
    }

    /// Sizes of the old ReplicaSets, the oldest first: as small as leaves enough pods available. Those that are not available go
    /// first, for they are of no use to anybody.
    func oldSizes(_ old: [OwnedReplicaSet], newest: OwnedReplicaSet?) -> [Int] {
        var sizes = old.map(\.replicas)
        let total = sizes.reduce(0, +) + (newest?.replicas ?? 0)
        let newestMissing = newest.map { $0.replicas - $0.available } ?? 0
        let maxRemoved = total - least - newestMissing
        guard sizes.contains(where: { $0 > 0 }), maxRemoved > 0 else { return sizes }
        var removed = 0
        for (index, set) in old.enumerated() where removed < maxRemoved {
            let unhealthy = max(0, sizes[index] - set.available)
            let count = min(maxRemoved - removed, unhealthy)
            sizes[index] -= count
            removed += count
        }
        var spare = old.reduce(newest?.available ?? 0) { $0 + $1.available } - least
        for index in sizes.indices where spare > 0 {
            let count = min(sizes[index], spare)
            sizes[index] -= count
            spare -= count
        }
        return sizes
    }

    // MARK: - Scaling in the middle of an update

    /// Sizes of all active ReplicaSets after `desired` has changed: each gets its share of the difference, by its size, and the
    /// largest what is left (proportional scaling).
    func scaledSizes(_ sets: [OwnedReplicaSet], deploymentReplicas: Int) -> [OwnedReplicaSet] {
        let allowed = desired > 0 ? largest : 0
        let total = sets.reduce(0) { $0 + $1.replicas }
        let difference = allowed - total
        // The larger first; of equals the newer when growing, the older when shrinking.
        var sorted = sets.sorted {
            if $0.replicas != $1.replicas { return $0.replicas > $1.replicas }
            return difference > 0 ? OwnedReplicaSet.isOlder($1, $0) : OwnedReplicaSet.isOlder($0, $1)
        }
        var added = 0
        for index in sorted.indices {
            let share = share(of: sorted[index], difference: difference, added: added, deploymentReplicas: deploymentReplicas)
            sorted[index].replicas += share
            added += share
        }
        if !sorted.isEmpty { sorted[0].replicas = max(0, sorted[0].replicas + difference - added) }
        return sorted
    }

    private func share(of set: OwnedReplicaSet, difference: Int, added: Int, deploymentReplicas: Int) -> Int {
        guard set.replicas > 0, difference != 0, difference != added else { return 0 }
        let fraction: Int
        if desired == 0 {
            fraction = -set.replicas
        } else {
            var before = set.maxWhenScaled ?? 0
            if before == 0 { before = deploymentReplicas }
            let scaled = before == 0 ? set.replicas : Int((Double(set.replicas * largest) / Double(before)).rounded())
            fraction = scaled - set.replicas
        }
        let left = difference - added
        return difference > 0 ? min(fraction, left) : max(fraction, left)
    }
}
