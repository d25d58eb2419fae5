import KarsCore

/// Event: something that happened to an object. Served in the core group and in events.k8s.io over one storage.
struct EventKind: BuiltInKind {
    private let isCore: Bool
    let type: APIObjectType

    private init(isCore: Bool) {
        self.isCore = isCore
        type = isCore ? EventTypes.core : EventTypes.new
    }

    static let core = served(
        group: "", isCore: true,
        fields: [
            "involvedObject.apiVersion", "involvedObject.fieldPath", "involvedObject.kind", "involvedObject.name",
            "involvedObject.namespace", "involvedObject.resourceVersion", "involvedObject.uid", "reason", "reportingComponent",
            "type",
        ])

    static let new = served(
        group: "events.k8s.io", isCore: false,
        fields: [
            "reason", "regarding.apiVersion", "regarding.fieldPath", "regarding.kind", "regarding.name", "regarding.namespace",
            "regarding.resourceVersion", "regarding.uid", "reportingController", "type",
        ])

    private static func served(group: String, isCore: Bool, fields: [String]) -> ServedResource {
        var resource = ServedResource(
            ResourceDescription(
                GroupVersionResource(group: group, version: "v1", resource: "events"), kind: "Event", isNamespaced: true,
                shortNames: ["ev"]),
            EventKind(isCore: isCore), columns: EventColumns.all, selectableFields: fields,
            nameRule: isCore ? .pathSegment : .subdomain)
        if !isCore {
            resource.storage = StoredForm(
                group: "", resource: "events", store: EventTypes.coreForm(of:), serve: EventTypes.newForm(of:))
        }
        return resource
    }

    // MARK: Rules; core `legacyValidateEvent` and `ValidateEventCreate`

    func faults(in object: JSONObject) -> [FieldError] {
        let event = isCore ? object : EventTypes.coreForm(of: object)
        var faults = namespaceFaults(event)
        if event["eventTime"]?.stringValue != nil { faults += reportFaults(event) }
        return isCore ? faults : faults + newFaults(event)
    }

    /// An event stands in the namespace of its object; those of cluster-wide objects in `default`.
    private func namespaceFaults(_ event: JSONObject) -> [FieldError] {
        let namespace = event.namespace ?? ""
        let involved = event["involvedObject"]?["namespace"]?.stringValue ?? ""
        let fits = involved.isEmpty ? ["", "default"].contains(namespace) : involved == namespace
        return fits ? [] : [.invalid("involvedObject.namespace", .string(involved), "does not match event.namespace")]
    }

    private func reportFaults(_ event: JSONObject) -> [FieldError] {
        func check(_ field: String, _ shown: String, limit: Int, isRequired: Bool = true) -> [FieldError] {
            let text = event[field]?.stringValue ?? ""
            if text.isEmpty { return isRequired ? [.required(shown)] : [] }
            return text.utf8.count > limit ? [.invalid(shown, "", "can have at most \(limit) characters")] : []
        }
        let controller = isCore ? "reportingComponent" : "reportingController"
        let name = event["reportingComponent"]?.stringValue ?? ""
        var faults: [FieldError] = name.isEmpty ? [.required(controller)] : []
        if !name.isEmpty { faults += NameText.qualifiedNameFaults(name).map { .invalid(controller, .string(name), $0) } }
        return faults + check("reportingInstance", "reportingInstance", limit: 128) + check("action", "action", limit: 128)
            + check("reason", "reason", limit: 128) + check("message", "message", limit: 1_024, isRequired: false)
    }

    private func newFaults(_ event: JSONObject) -> [FieldError] {
        var faults: [FieldError] = []
        if let series = event["series"], (series["count"]?.intValue ?? 0) < 2 {
            faults.append(.invalid("series.count", "", "should be at least 2"))
        }
        if let series = event["series"], series["lastObservedTime"]?.stringValue == nil {
            faults.append(.required("series.lastObservedTime"))
        }
        if event["eventTime"]?.stringValue == nil { faults.append(.required("eventTime")) }
        let type = event["type"]?.stringValue ?? ""
        if !["Normal", "Warning"].contains(type) { faults.append(.invalid("type", "", "has invalid value: \(type)")) }
        for field in ["firstTimestamp", "lastTimestamp"] where event[field]?.stringValue != nil {
            faults.append(.invalid(field, "", "needs to be unset"))
        }
        if event["count"] != nil { faults.append(.invalid("count", "", "needs to be unset")) }
        if !(event["source"]?.objectValue ?? JSONObject()).isEmpty { faults.append(.invalid("source", "", "needs to be unset")) }
        return faults
    }

    /// In the newer form nothing but the series may change.
    func validateUpdate(_ object: JSONObject, from old: JSONObject, subresource: String?) -> [FieldError] {
        guard !isCore else { return faults(in: object) }
        let fields = [
            "regarding", "reason", "note", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp",
            "deprecatedCount",
            "type", "eventTime", "action", "related", "reportingController", "reportingInstance",
        ]
        return fields.flatMap { FieldChecks.immutable(object[$0], old[$0], at: $0) }
    }
}

/// What `kubectl get events` shows.
enum EventColumns {
    static let all: [TableColumn] = [
        .timed("Last Seen", "When it happened last.") { last(core($0), $1) },
        .text("Type", "Whether something is wrong.") { $0["type"]?.stringValue ?? "" },
        .text("Reason", "Why, for programs.") { $0["reason"]?.stringValue ?? "" },
        .text("Object", "What it happened to.") { target(core($0)) },
        .text("Subobject", wide: true, "The part it happened to.") {
            core($0)["involvedObject"]?["fieldPath"]?.stringValue ?? ""
        },
        .text("Source", wide: true, "Who reports.") { source(core($0)) },
        .text("Message", "What happened.") { (core($0)["message"]?.stringValue ?? "").trimmingBlanks },
        .timed("First Seen", wide: true, "When it happened first.") { first(core($0), $1) },
        TableColumn(name: "Count", type: "string", description: "How often it happened.", priority: 1) { event, _ in
            .int(count(core(event)))
        },
        TableColumn(name: "Name", type: "string", format: "name", description: "Name of the event.", priority: 1) { event, _ in
            .string(event.name)
        },
    ]

    private static func core(_ event: JSONObject) -> JSONObject {
        event["regarding"] == nil ? event : EventTypes.coreForm(of: event)
    }

    private static func first(_ event: JSONObject, _ now: UTCTime) -> String {
        AgeText.since(event["firstTimestamp"]?.stringValue == nil ? event["eventTime"] : event["firstTimestamp"], now)
    }

    private static func last(_ event: JSONObject, _ now: UTCTime) -> String {
        if let series = event["series"] { return AgeText.since(series["lastObservedTime"], now) }
        return event["lastTimestamp"]?.stringValue == nil ? first(event, now) : AgeText.since(event["lastTimestamp"], now)
    }

    private static func count(_ event: JSONObject) -> Int {
        event["series"]?["count"]?.intValue ?? event["count"]?.intValue ?? 1
    }

    private static func target(_ event: JSONObject) -> String {
        let kind = (event["involvedObject"]?["kind"]?.stringValue ?? "").lowercased()
        let name = event["involvedObject"]?["name"]?.stringValue ?? ""
        return name.isEmpty ? kind : "\(kind)/\(name)"
    }

    private static func source(_ event: JSONObject) -> String {
        func text(_ source: String, _ reporter: String) -> String {
            let text = event["source"]?[source]?.stringValue ?? ""
            return text.isEmpty ? event[reporter]?.stringValue ?? "" : text
        }
        let (component, host) = (text("component", "reportingComponent"), text("host", "reportingInstance"))
        return host.isEmpty ? component : "\(component), \(host)"
    }
}
