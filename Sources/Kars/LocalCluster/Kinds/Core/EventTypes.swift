import KarsCore

/// Types of Event in both groups. One event is stored, in the form of the core group, and served in either.
enum EventTypes {
    private static let source = APIObjectType(
        .core, "EventSource", "Who reports.",
        [.optional("component", .string, "The component."), .optional("host", .string, "The node it runs on.")])

    private static func series(_ package: APIPackage) -> APIObjectType {
        let fields: [APIField] =
            package == .events
            ? [
                .required("count", .int32, "How often it happened."),
                .required("lastObservedTime", .microTime, "When it happened last."),
            ]
            : [
                .optional("count", .int32, "How often it happened."),
                .shown("lastObservedTime", .microTime, "When it happened last."),
            ]
        return APIObjectType(package, "EventSeries", "Repetitions of the same.", fields)
    }

    static let core = APIObjectType.kind(
        .core, "Event", "Something that happened to an object.",
        [
            .required("involvedObject", .object(ReferenceTypes.object), "The object."),
            .optional("reason", .string, "Why, for programs."),
            .optional("message", .string, "What happened, for people."),
            .shown("source", .object(source), "Who reports."),
            .shown("firstTimestamp", .time, "When it happened first."),
            .shown("lastTimestamp", .time, "When it happened last."),
            .optional("count", .int32, "How often it happened."),
            .optional("type", .string, "`Normal` or `Warning`."),
            .shown("eventTime", .microTime, "When it happened first."),
            .optional("series", .object(series(.core)), "Repetitions of the same."),
            .optional("action", .string, "What was done."),
            .optional("related", .object(ReferenceTypes.object), "Another object that has to do with it."),
            .shown("reportingComponent", .string, "Who reports, for instance `kubernetes.io/kubelet`."),
            .shown("reportingInstance", .string, "Which instance of it reports."),
        ])

    static let new = APIObjectType.kind(
        .events, "Event", "Something that happened to an object.",
        [
            .required("eventTime", .microTime, "When it happened first."),
            .optional("series", .object(series(.events)), "Repetitions of the same."),
            .optional("reportingController", .string, "Who reports, for instance `kubernetes.io/kubelet`."),
            .optional("reportingInstance", .string, "Which instance of it reports."),
            .optional("action", .string, "What was done."),
            .optional("reason", .string, "Why, for programs."),
            .shown("regarding", .object(ReferenceTypes.object), "The object."),
            .optional("related", .object(ReferenceTypes.object), "Another object that has to do with it."),
            .optional("note", .string, "What happened, for people."),
            .optional("type", .string, "`Normal` or `Warning`."),
            .shown("deprecatedSource", .object(source), "Who reports, in the older form."),
            .shown("deprecatedFirstTimestamp", .time, "When it happened first, in the older form."),
            .shown("deprecatedLastTimestamp", .time, "When it happened last, in the older form."),
            .optional("deprecatedCount", .int32, "How often it happened, in the older form."),
        ])

    // MARK: The two forms

    /// Names of one meaning: of events.k8s.io, and of the core group.
    private static let names: [(new: String, core: String)] = [
        ("regarding", "involvedObject"), ("note", "message"), ("reportingController", "reportingComponent"),
        ("deprecatedSource", "source"), ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"), ("deprecatedCount", "count"),
    ]

    static func coreForm(of event: JSONObject) -> JSONObject {
        renamed(event, names.map { ($0.new, $0.core) }, version: "v1", shown: core)
    }

    static func newForm(of event: JSONObject) -> JSONObject {
        renamed(event, names.map { ($0.core, $0.new) }, version: "events.k8s.io/v1", shown: new)
    }

    /// Members under their other names, in the order of the other type. Empty text that only the one form shows goes.
    private static func renamed(
        _ event: JSONObject, _ names: [(from: String, to: String)], version: String, shown type: APIObjectType
    ) -> JSONObject {
        var result = event
        for (from, to) in names {
            result[from] = nil
            result[to] = event[from]
        }
        result["apiVersion"] = .string(version)
        var ordered = JSONObject()
        for field in type.fields {
            if let value = result[field.name] {
                if field.presence == .nonEmpty, value == "" { continue }
                ordered[field.name] = value
            } else if field.presence == .always {
                ordered[field.name] = emptyValue(of: field)
            }
        }
        return ordered
    }

    private static func emptyValue(of field: APIField) -> JSON {
        switch field.type {
        case .string: ""
        case .object: [:]
        default: .null
        }
    }
}
