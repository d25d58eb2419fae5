/// Makes one kind true, one object at a time: *observe* gathers, *plan* decides, the loop carries it out (GUIDE 3.6).
///
/// **Contract.** Level-based: the loop knows which object to look at and not what happened to it; the truth is read fresh each time.
/// `plan`, `cleanUp` and `status` are pure: equal inputs give equal answers, so each rule is a row in a table test. Requests in a plan
/// are idempotent (server-side apply, deletes with a `uid`, creates with a fixed name), because a plan may be carried out in part and is
/// then made anew from what is there. When everything is as it should be, the plan is empty and nothing is written.
package protocol Reconciler: Sendable {
    associatedtype Observed: Sendable

    /// The kind whose objects are reconciled.
    var kind: ResourceDescription { get }
    /// Nil: nothing outlives the object but what the garbage collector finds by owner references.
    var finalizer: Finalizer? { get }
    /// Whether `object` may still have something to clean up: one that has not gets no finalizer.
    func holds(_ object: JSONObject) -> Bool
    /// Who owns the fields that the loop applies.
    var fieldManager: String { get }
    var statusWriting: StatusWriting { get }
    /// Whether objects that are being deleted have rounds too, without a finalizer of ours.
    var reconcilesDeleted: Bool { get }

    /// Everything that the plan depends on besides the object itself.
    func observe(_ object: JSONObject, through api: any KubernetesAPI) async throws(APIStatus) -> Observed
    func plan(for object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan
    /// What is still to be done before the object may go; empty when nothing is. Only with a finalizer.
    func cleanUp(_ object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan
    /// The status as we see it, whole, also after a failure; nil when the kind has none or there is nothing to say.
    func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON?
    /// What people are told of a change that was tried; of deletions of what is gone already nobody is told.
    func notes(on object: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>) -> [EventNote]
    /// What people are told of a status that was written.
    func notes(on object: JSONObject, afterStatus status: JSON) -> [EventNote]
}

/// How a status is written.
package enum StatusWriting: Sendable {
    /// By server-side apply: what others have added stays. For kinds whose status has several writers.
    case apply
    /// It becomes what the reconciler says, whoever wrote it before. For kinds whose status is the reconciler's alone.
    case replace
}

extension Reconciler {
    package var finalizer: Finalizer? { nil }
    package func holds(_ object: JSONObject) -> Bool { true }
    package var statusWriting: StatusWriting { .apply }
    package var reconcilesDeleted: Bool { false }
    package func notes(on object: JSONObject, after change: KubernetesRequest, _ result: Result<JSON, APIStatus>) -> [EventNote] {
        []
    }
    package func notes(on object: JSONObject, afterStatus status: JSON) -> [EventNote] { [] }
    package func cleanUp(_ object: JSONObject, given observed: Observed, now: UTCTime) -> ReconcilePlan { ReconcilePlan() }
    package func status(of object: JSONObject, given observed: Observed, after outcome: PlanOutcome, now: UTCTime) -> JSON? {
        nil
    }
}

/// What a reconciler decided, as a value.
package struct ReconcilePlan: Sendable, Equatable {
    /// In this order; the first failure ends the round, after those that were sent with it.
    package var changes: [KubernetesRequest] = []
    /// Changes that do not need each other and are sent at once, by their indexes. A server that makes changes durable in groups then
    /// does so once.
    package private(set) var groups: [Range<Int>] = []
    /// Look again after this long although nothing may have changed: something expires, or is not ours to watch.
    package var requeueAfter: Duration?
    /// What people are told once the change at an index has been carried out.
    package private(set) var notes: [Int: EventNote] = [:]

    package init(_ changes: [KubernetesRequest] = [], requeueAfter: Duration? = nil) {
        self.changes = changes
        self.requeueAfter = requeueAfter
    }

    /// The annotation that tells what was applied last, by its digest.
    package static let intentAnnotation = "kars.azure.com/intent"

    /// Applies `intent` unless `live` already is what it says. What is there and not in the intent is left alone, but a field that has
    /// left the intent since the last time is removed: the digest in an annotation tells.
    package mutating func ensure(
        _ resource: GroupVersionResource, _ intent: JSONObject, live: JSONObject?, fieldManager: String
    ) {
        let digest = Hex.encode(SHA256.hash(JSON.object(intent).encoded()).prefix(16))
        var intent = intent
        var annotations = intent.metadata["annotations"]?.objectValue ?? JSONObject()
        annotations[Self.intentAnnotation] = .string(digest)
        intent.metadata["annotations"] = .object(annotations)
        if let live, JSON.object(live).includes(.object(intent)) { return }
        changes.append(.apply(resource, intent, fieldManager: fieldManager))
    }

    /// Adds changes that do not need each other.
    package mutating func together(_ add: (inout ReconcilePlan) -> Void) {
        let first = changes.count
        add(&self)
        if changes.count > first + 1 { groups.append(first..<changes.count) }
    }

    /// Adds what `other` plans, in its order.
    package mutating func append(_ other: ReconcilePlan) {
        for (index, note) in other.notes { notes[changes.count + index] = note }
        groups += other.groups.map { changes.count + $0.lowerBound..<changes.count + $0.upperBound }
        changes += other.changes
        if let pause = other.requeueAfter { requeue(after: pause) }
    }

    /// The changes as they are sent: those of a group at once, the others one by one.
    var steps: [Range<Int>] {
        var steps: [Range<Int>] = [], next = 0
        for group in groups {
            for index in next..<group.lowerBound { steps.append(index..<index + 1) }
            steps.append(group)
            next = group.upperBound
        }
        for index in next..<changes.count { steps.append(index..<index + 1) }
        return steps
    }

    /// Tells `note` once the change that was added last has been carried out.
    package mutating func note(_ note: EventNote) { notes[changes.count - 1] = note }

    /// Sooner of the two.
    package mutating func requeue(after pause: Duration) { requeueAfter = min(requeueAfter ?? pause, pause) }
}

/// How a plan went.
package enum PlanOutcome: Sendable, Equatable {
    case carriedOut
    case failed(APIStatus)
}

extension JSON {
    /// Whether everything in `part` is here too: members of objects by name, elements of lists one by one in their order.
    package func includes(_ part: JSON) -> Bool {
        switch (self, part) {
        case (.object(let whole), .object(let part)):
            part.members.allSatisfy { member in whole[member.key].map { $0.includes(member.value) } ?? false }
        case (.array(let whole), .array(let part)):
            whole.count == part.count && zip(whole, part).allSatisfy { $0.includes($1) }
        default: self == part
        }
    }
}

extension JSONObject {
    /// For `metadata.ownerReferences` of what is made for this object: it is deleted after it, and changes to it are noticed.
    package func controllerReference(_ kind: ResourceDescription) -> JSON {
        [
            "apiVersion": .string(kind.resource.groupVersion.description), "kind": .string(kind.kind), "name": .string(name),
            "uid": .string(uid ?? ""), "controller": true, "blockOwnerDeletion": true,
        ]
    }

    /// The reference to the one owner that controls this object.
    package var controllerReference: JSON? {
        metadata["ownerReferences"]?.arrayValue?.first { $0["controller"]?.boolValue == true }
    }

    /// The object of `kind` that controls this one.
    package func controller(of kind: ResourceDescription) -> ObjectKey? {
        guard let owner = controllerReference, owner["kind"]?.stringValue == kind.kind,
            let version = owner["apiVersion"]?.stringValue.flatMap(GroupVersion.init(apiVersion:)),
            version.group == kind.resource.group, let name = owner["name"]?.stringValue
        else { return nil }
        return ObjectKey(namespace: kind.isNamespaced ? namespace : nil, name: name)
    }
}
