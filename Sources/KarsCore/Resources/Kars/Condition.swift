/// One entry of `status.conditions`, as `metav1.Condition` has it. Entries are told apart by `type`.
package struct Condition: SchemaRecord {
    package enum Status: String, SchemaChoice { case `true` = "True", `false` = "False", unknown = "Unknown" }

    package var type = ""
    package var status = Status.unknown
    /// One word in camel case that programs switch on; never empty.
    package var reason = ""
    package var message = ""
    /// RFC 3339, seconds.
    package var lastTransitionTime = ""
    package var observedGeneration: Int?

    package init() {}

    package static let summary = "One aspect of the present state."
    package static let fields: [SchemaField<Condition>] = [
        .required("type", \.type, "What the condition is about.") { $0.with(\.minLength, 1).with(\.maxLength, 316) },
        .required("status", \.status, "Whether it holds."),
        .required("reason", \.reason, "Why, as one word that programs switch on.") {
            $0.with(\.minLength, 1).with(\.maxLength, 1024)
        },
        .required("message", \.message, "Why, for people.") { $0.with(\.maxLength, 32_768) },
        .required("lastTransitionTime", \.lastTransitionTime, "When the status changed last.") { $0.with(\.format, "date-time") },
        .optional("observedGeneration", \.observedGeneration, "The generation of the specification that this speaks of.") {
            $0.atLeast(0)
        },
    ]
}

extension [Condition] {
    /// As a field: a list whose entries several writers may own, each by its `type`.
    package static func field<Record>(_ place: FieldPlace<Record, [Condition]>) -> SchemaField<Record> {
        .collection("conditions", place, "The present state, one aspect each.") { $0.with(\.listType, .map(keys: ["type"])) }
    }

    package subscript(type: String) -> Condition? { first { $0.type == type } }

    /// Says how `type` stands now. The time of the last change is kept while the status stays the same.
    package mutating func set(
        _ type: String, _ holds: Condition.Status, _ reason: String, _ message: String = "", generation: Int?, now: UTCTime
    ) {
        var condition = Condition()
        condition.type = type
        condition.status = holds
        condition.reason = reason
        condition.message = message
        condition.observedGeneration = generation
        let place = firstIndex { $0.type == type }
        if let place, self[place].status == holds {
            condition.lastTransitionTime = self[place].lastTransitionTime
        } else {
            condition.lastTransitionTime = now.rfc3339
        }
        if let place { self[place] = condition } else { append(condition) }
    }
}
