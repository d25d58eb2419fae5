/// Something worth telling about an object (events.k8s.io/v1).
package struct EventNote: Sendable, Equatable {
    package enum Kind: String, Sendable { case normal = "Normal", warning = "Warning" }

    /// `apiVersion`, `kind`, `name`, `namespace`, `uid` of the object.
    package var regarding: JSONObject
    package var kind: Kind
    /// One word in CamelCase that programs look for.
    package var reason: String
    /// What was done or tried, one word in CamelCase.
    package var action: String
    /// For people.
    package var note: String

    package init(_ kind: Kind, about object: JSONObject, reason: String, action: String, _ note: String) {
        var regarding = JSONObject()
        regarding["apiVersion"] = object["apiVersion"]
        regarding["kind"] = object["kind"]
        for key in ["name", "namespace", "uid", "resourceVersion"] { regarding[key] = object.metadata[key] }
        self.regarding = regarding
        self.kind = kind
        self.reason = reason.cut(toBytes: 128)
        self.action = action.cut(toBytes: 128)
        self.note = note.cut(toBytes: 1024)
    }

    /// Cluster-wide objects have their events in `default`.
    var namespace: String { regarding["namespace"]?.stringValue ?? "default" }
}

extension String {
    /// Cut between characters, with `…` in place of what is missing.
    package func cut(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var text = self[...]
        while text.utf8.count > limit - 3 { text = text.dropLast() }
        return text + "…"
    }
}

/// Decides which notes become Events, so that one that repeats itself becomes a count, many that are alike become one, and an object
/// that never stops talking is not listened to any more. Knows no network.
///
/// - The same note about the same object within `seriesGap` of the last: the Event becomes a series whose count goes up, told at most
///   every `refreshInterval`.
/// - More than `maxAlike` different notes with the same reason about the same object within `seriesGap`: the further ones are one Event.
/// - New Events about one object: `burst` at once, then one per `refill`.
package struct EventAggregator: Sendable {
    package struct Config: Sendable {
        package var seriesGap = Duration.seconds(360)
        package var refreshInterval = Duration.seconds(30)
        package var maxAlike = 10
        package var burst = 25
        package var refill = Duration.seconds(300)
        /// Series, groups and objects that are remembered; the oldest are forgotten.
        package var maxRemembered = 4096

        package var form = Form.series

        package init() {}
    }

    /// How Events are written; each is served in both groups.
    package enum Form: Sendable {
        /// events.k8s.io/v1: repetitions are a series.
        case series
        /// The older form of the core group, which Kubernetes' own controllers still write: repetitions are a count.
        case counted
    }

    package enum Decision: Sendable, Equatable {
        case create(JSONObject)
        /// Counts on in the Event of this name.
        case count(namespace: String, name: String, patch: JSON)
        /// Nothing is sent: counted for later, or too much.
        case nothing
    }

    private struct Subject: Hashable {
        var uid: String
        var kind: String
        var key: ObjectKey
    }

    private struct Alike: Hashable {
        var subject: Subject
        var kind: EventNote.Kind
        var reason: String
        var action: String
    }

    private struct Same: Hashable {
        var alike: Alike
        /// Of the object, for instance one container of a pod.
        var part: String
        var note: String
    }

    private struct Series {
        var namespace: String
        var name: String
        var count = 1
        var last: Instant
        var told: Instant
    }

    private struct Group {
        var notes: Set<String> = []
        var last: Instant
    }

    private struct Bucket {
        var left: Double
        var last: Instant
    }

    private let config: Config
    private let controller: String
    private let instance: String
    private var series: [Same: Series] = [:]
    private var groups: [Alike: Group] = [:]
    private var buckets: [Subject: Bucket] = [:]
    /// Notes that became no Event because there were too many.
    package private(set) var suppressed = 0

    /// `controller` and `instance` are who reports: a name with a domain, and the pod.
    package init(controller: String, instance: String, config: Config = Config()) {
        self.controller = controller
        self.instance = instance
        self.config = config
    }

    package mutating func take(_ note: EventNote, at now: Instant, utc: UTCTime) -> Decision {
        let subject = Subject(
            uid: note.regarding["uid"]?.stringValue ?? "", kind: note.regarding["kind"]?.stringValue ?? "",
            key: ObjectKey(
                namespace: note.regarding["namespace"]?.stringValue, name: note.regarding["name"]?.stringValue ?? ""))
        let alike = Alike(subject: subject, kind: note.kind, reason: note.reason, action: note.action)
        var note = note
        var group = groups[alike].flatMap { now.duration(since: $0.last) < config.seriesGap ? $0 : nil } ?? Group(last: now)
        group.last = now
        if group.notes.count >= config.maxAlike, !group.notes.contains(note.note) {
            note.note = "(combined from similar events): \(note.note)".cut(toBytes: 1024)
        } else {
            group.notes.insert(note.note)
        }
        groups[alike] = group
        forgetOldest()
        // Combined ones are one series whatever they say.
        let part = note.regarding["fieldPath"]?.stringValue ?? ""
        let same = Same(alike: alike, part: part, note: group.notes.contains(note.note) ? note.note : "")
        if var known = series[same], now.duration(since: known.last) < config.seriesGap {
            known.count += 1
            known.last = now
            let isDue = known.count == 2 || now.duration(since: known.told) >= config.refreshInterval
            if isDue { known.told = now }
            series[same] = known
            guard isDue else { return .nothing }
            return .count(namespace: known.namespace, name: known.name, patch: repetition(known.count, utc))
        }
        guard takeFromBucket(of: subject, at: now) else {
            suppressed += 1
            return .nothing
        }
        let name = eventName(note, utc)
        series[same] = Series(namespace: note.namespace, name: name, last: now, told: now)
        return .create(event(note, named: name, utc: utc))
    }

    /// The Event of a series is gone, for instance because it grew old: the next note begins a new one.
    package mutating func forget(namespace: String, name: String) {
        for (key, known) in series where known.name == name && known.namespace == namespace { series[key] = nil }
    }

    private mutating func takeFromBucket(of subject: Subject, at now: Instant) -> Bool {
        var bucket = buckets[subject] ?? Bucket(left: Double(config.burst), last: now)
        let refilled = now.duration(since: bucket.last).inSeconds / config.refill.inSeconds
        bucket.left = min(Double(config.burst), bucket.left + refilled)
        bucket.last = now
        let isAllowed = bucket.left >= 1
        if isAllowed { bucket.left -= 1 }
        buckets[subject] = bucket
        return isAllowed
    }

    /// A quarter at a time, so that the search for the oldest is rare.
    private mutating func forgetOldest() {
        let keep = config.maxRemembered * 3 / 4
        if series.count > config.maxRemembered {
            for (key, _) in series.sorted(by: { $0.value.last < $1.value.last }).dropLast(keep) { series[key] = nil }
        }
        if groups.count > config.maxRemembered {
            for (key, _) in groups.sorted(by: { $0.value.last < $1.value.last }).dropLast(keep) { groups[key] = nil }
        }
        if buckets.count > config.maxRemembered {
            for (key, _) in buckets.sorted(by: { $0.value.last < $1.value.last }).dropLast(keep) { buckets[key] = nil }
        }
    }

    /// Unique enough: the name of the object and the time in nanoseconds, as client-go does.
    private func eventName(_ note: EventNote, _ utc: UTCTime) -> String {
        let object = note.regarding["name"]?.stringValue ?? ""
        return "\(object.prefix(200)).\(String(utc.seconds * 1_000_000_000 + Int64(utc.nanoseconds), radix: 16))"
    }

    private func repetition(_ count: Int, _ utc: UTCTime) -> JSON {
        switch config.form {
        case .series: ["series": ["count": .int(count), "lastObservedTime": .string(utc.rfc3339Microseconds)]]
        case .counted: ["count": .int(count), "lastTimestamp": .string(utc.rfc3339)]
        }
    }

    private func event(_ note: EventNote, named name: String, utc: UTCTime) -> JSONObject {
        let metadata: JSON = ["name": .string(name), "namespace": .string(note.namespace)]
        switch config.form {
        case .series:
            return [
                "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": metadata,
                "eventTime": .string(utc.rfc3339Microseconds), "type": .string(note.kind.rawValue),
                "reason": .string(note.reason), "action": .string(note.action), "note": .string(note.note),
                "regarding": .object(note.regarding), "reportingController": .string(controller),
                "reportingInstance": .string(instance),
            ]
        case .counted:
            return [
                "apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": .object(note.regarding),
                "reason": .string(note.reason), "message": .string(note.note), "source": ["component": .string(controller)],
                "firstTimestamp": .string(utc.rfc3339), "lastTimestamp": .string(utc.rfc3339), "count": 1,
                "type": .string(note.kind.rawValue), "reportingComponent": .string(controller), "reportingInstance": "",
            ]
        }
    }
}
