import KarsCore
import KarsTesting

/// States that objects went through on a real cluster: `Vectors/controllers.jsonl`.
struct ControllerRecord {
    let states: [JSONObject]

    private static let file = RecordedFile("controllers.jsonl") { json in
        ControllerRecord(states: (json["states"]?.arrayValue ?? []).compactMap(\.objectValue))
    }

    static subscript(_ id: String) -> ControllerRecord { file[id] }

    private static let times: Set = [
        "lastTransitionTime", "lastUpdateTime", "lastProbeTime", "startTime", "completionTime", "creationTimestamp",
    ]

    /// Without the members that tell a time.
    static func timeless(_ value: JSON?) -> JSON {
        switch value {
        case .object(let object):
            .object(JSONObject(object.members.filter { !times.contains($0.key) }.map { ($0.key, timeless($0.value)) }))
        case .array(let elements): .array(elements.map { timeless($0) })
        case let other?: other
        case nil: .null
        }
    }
}
