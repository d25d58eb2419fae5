/// Who leads, by a Lease (coordination.k8s.io/v1): what to do with the lease we just read, and how long what we wrote counts.
///
/// **Guarantee.** Two processes never both believe to lead, as long as their clocks run at about the same *rate*; what the clocks show
/// does not matter. A leader stops `renewDeadline` after it *began* the last write that succeeded. A follower takes over when the lease
/// has not *changed* for its whole duration by the follower's own clock, which began after that write. `renewDeadline` is shorter than
/// the duration, and the difference is what the leader has to end what it does.
///
/// **Assumptions.** The server serialises writes by `resourceVersion`. `identity` is used by one process at a time: whoever finds its
/// own name in the lease continues. Nobody deletes the lease while somebody leads.
package struct LeaderElectionMachine: Sendable {
    package struct Config: Sendable, Equatable {
        package var namespace: String
        package var name: String
        package var identity: String
        /// How long others wait after the last change before they take over; whole seconds.
        package var leaseDuration: Duration
        /// How long we lead without a renewal that succeeded.
        package var renewDeadline: Duration
        /// Between two looks at the lease.
        package var retryPeriod: Duration

        package init(
            namespace: String, name: String, identity: String, leaseDuration: Duration = .seconds(15),
            renewDeadline: Duration = .seconds(10), retryPeriod: Duration = .seconds(2)
        ) {
            precondition(leaseDuration > renewDeadline && renewDeadline > retryPeriod && retryPeriod > .zero)
            precondition(!identity.isEmpty, "a leader has a name")
            self.namespace = namespace
            self.name = name
            self.identity = identity
            self.leaseDuration = leaseDuration
            self.renewDeadline = renewDeadline
            self.retryPeriod = retryPeriod
        }
    }

    package enum Action: Sendable, Equatable {
        /// Send this; then call `wrote` or `refused`.
        case write(KubernetesRequest)
        /// Somebody else leads. Look again after `retryPeriod`.
        case follow(holder: String)
    }

    package let config: Config
    /// Until when we lead; nil or past: we do not.
    package private(set) var leadsUntil: Instant?
    /// What the lease said when it last changed, and when we saw that.
    private var seen: (version: String, at: Instant)?

    package init(_ config: Config) { self.config = config }

    package func isLeading(at now: Instant) -> Bool { leadsUntil.map { now < $0 } ?? false }

    // MARK: - A round

    package var read: KubernetesRequest { .get(.leases, namespace: config.namespace, name: config.name) }

    /// The lease as it was read; nil when there is none.
    package mutating func saw(_ lease: JSONObject?, at now: Instant, utc: UTCTime) -> Action {
        guard let lease else {
            seen = nil
            return .write(.create(.leases, object(of: nil, utc: utc)))
        }
        let version = lease.resourceVersion ?? ""
        if seen?.version != version { seen = (version, now) }
        let spec = lease["spec"]
        let holder = spec?["holderIdentity"]?.stringValue ?? ""
        if !holder.isEmpty, holder != config.identity {
            // What the holder promised counts, not what we would have promised.
            let duration = spec?["leaseDurationSeconds"]?.intValue.map { Duration.seconds($0) } ?? config.leaseDuration
            guard let seen, now.duration(since: seen.at) >= duration else { return .follow(holder: holder) }
        }
        return .write(.update(.leases, object(of: lease, utc: utc)))
    }

    /// The write that was begun at `start` succeeded with this result.
    ///
    /// One that changed nothing (our wall clock stands still) does not count: others see no sign of life in it.
    package mutating func wrote(_ lease: JSONObject, begunAt start: Instant, at now: Instant) {
        let version = lease.resourceVersion ?? ""
        guard seen?.version != version else { return }
        seen = (version, now)
        leadsUntil = start.advanced(by: config.renewDeadline)
    }

    /// The write was refused, or nobody knows. Conflict: somebody else was faster, so what we knew is old.
    package mutating func refused(_ status: APIStatus) {
        if status.reason == .conflict || status.reason == .alreadyExists { seen = nil }
    }

    /// We lead no more.
    package mutating func stepDown() { leadsUntil = nil }

    /// What to send so that others need not wait for the lease to lapse; nil when it is not ours. Only after `stepDown`, and after
    /// everything that leadership allowed has ended.
    package func release(_ lease: JSONObject, utc: UTCTime) -> KubernetesRequest? {
        guard lease["spec"]?["holderIdentity"]?.stringValue == config.identity else { return nil }
        var released = object(of: lease, utc: utc)
        var spec = released["spec"]?.objectValue ?? JSONObject()
        spec["holderIdentity"] = ""
        spec["leaseDurationSeconds"] = 1
        released["spec"] = .object(spec)
        return .update(.leases, released)
    }

    /// The lease as it is to be written, with the `resourceVersion` of `lease`, so that of two who try only one succeeds.
    private func object(of lease: JSONObject?, utc: UTCTime) -> JSONObject {
        let old = lease?["spec"]
        let holder = old?["holderIdentity"]?.stringValue
        let transitions = old?["leaseTransitions"]?.intValue ?? 0
        var spec = old?.objectValue ?? JSONObject()
        spec["holderIdentity"] = .string(config.identity)
        spec["leaseDurationSeconds"] = .int(Int(config.leaseDuration.components.seconds))
        spec["renewTime"] = .string(utc.rfc3339Microseconds)
        if holder != config.identity {
            spec["acquireTime"] = .string(utc.rfc3339Microseconds)
            spec["leaseTransitions"] = .int(lease == nil ? 0 : transitions + 1)
        }
        var object: JSONObject =
            lease ?? [
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                "metadata": ["name": .string(config.name), "namespace": .string(config.namespace)],
            ]
        object["spec"] = .object(spec)
        return object
    }
}
