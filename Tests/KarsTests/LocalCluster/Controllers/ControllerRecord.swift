import KarsCore

/// States that objects went through on a real cluster: `Vectors/controllers.jsonl`.
struct ControllerRecord {
    let states: [JSONObject]

    static let all: [String: ControllerRecord] = {
        let path = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        do {
            let bytes = try Files.read("/\(path)/Vectors/controllers.jsonl", upTo: 1 << 20)
            let records = try bytes.split(separator: UInt8(ascii: "\n")).map { line in
                let json = try JSON(parsing: Array(line))
                let states = (json["states"]?.arrayValue ?? []).compactMap(\.objectValue)
                return (json["id"]?.stringValue ?? "", ControllerRecord(states: states))
            }
            return Dictionary(uniqueKeysWithValues: records)
        } catch {
            fatalError("the recordings cannot be read: \(error)")
        }
    }()

    static subscript(_ id: String) -> ControllerRecord {
        guard let record = all[id] else { fatalError("no recording is named \(id)") }
        return record
    }

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
