/// One line of a watch (meta/v1 `WatchEvent`).
package enum WatchEvent: Sendable, Equatable {
    case added(JSONObject)
    case modified(JSONObject)
    /// The object as it was last.
    case deleted(JSONObject)
    /// Everything up to this version has been told. `endsInitialEvents`: the objects that existed before have all been sent.
    case bookmark(resourceVersion: String, endsInitialEvents: Bool)
    /// The watch cannot go on; 410 when its version is too old.
    case failed(APIStatus)
}

/// Cuts the body of a watch into events: one JSON object per line. Knows no sockets.
package struct WatchDecoder: Sendable {
    /// The longest line in bytes. The server takes objects of 3 MiB at most, but adds managed fields.
    package var maxLineBytes = 16 << 20

    private var line: [UInt8] = []
    private var hasFailed = false

    package init() {}

    /// The events that `bytes` complete. What makes no sense becomes a `failed` of ours, after which there is nothing.
    package mutating func push(_ bytes: [UInt8]) -> [WatchEvent] {
        guard !hasFailed else { return [] }
        var events: [WatchEvent] = []
        do throws(APIStatus) {
            var rest = bytes[...]
            while let end = rest.firstIndex(of: 0x0a) {
                try keep(rest[..<end])
                rest = rest[(end + 1)...]
                if !line.allSatisfy({ $0 == 0x20 || $0 == 0x0d || $0 == 0x09 }) { events.append(try Self.event(line)) }
                line.removeAll(keepingCapacity: line.capacity <= 1 << 16)
            }
            try keep(rest)
        } catch {
            (hasFailed, line) = (true, [])
            events.append(.failed(error))
        }
        return events
    }

    /// Whether the stream ended in the middle of a line, which then is lost.
    package var isMidLine: Bool { !line.isEmpty }

    private mutating func keep(_ part: ArraySlice<UInt8>) throws(APIStatus) {
        guard line.count + part.count <= maxLineBytes else {
            throw .malformedAnswer("a line of a watch is longer than \(maxLineBytes) bytes")
        }
        line += part
    }

    private static func event(_ line: [UInt8]) throws(APIStatus) -> WatchEvent {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: line) } catch { throw .malformedAnswer("a watch event: \(error)") }
        guard let type = json["type"]?.stringValue, let object = json["object"]?.objectValue else {
            throw .malformedAnswer("a watch event without type and object")
        }
        switch type {
        case "ADDED": return .added(object)
        case "MODIFIED": return .modified(object)
        case "DELETED": return .deleted(object)
        case "BOOKMARK":
            guard let version = object.resourceVersion else { throw .malformedAnswer("a bookmark without resourceVersion") }
            return .bookmark(
                resourceVersion: version, endsInitialEvents: object.annotations["k8s.io/initial-events-end"] == "true")
        case "ERROR":
            guard let status = APIStatus(reading: .object(object)) else {
                throw .malformedAnswer("a watch event of type ERROR without a Status")
            }
            return .failed(status)
        default: throw .malformedAnswer("a watch event of type \(type.prefix(32))")
        }
    }
}

extension WatchEvent {
    /// As the server writes it, line feed included.
    package var line: [UInt8] {
        let (type, object): (String, JSON) =
            switch self {
            case .added(let object): ("ADDED", .object(object))
            case .modified(let object): ("MODIFIED", .object(object))
            case .deleted(let object): ("DELETED", .object(object))
            case .bookmark(let version, false): ("BOOKMARK", ["metadata": ["resourceVersion": .string(version)]])
            case .bookmark(let version, true):
                (
                    "BOOKMARK",
                    [
                        "metadata": [
                            "resourceVersion": .string(version), "annotations": ["k8s.io/initial-events-end": "true"],
                        ]
                    ]
                )
            case .failed(let status): ("ERROR", status.json)
            }
        return JSON.object(["type": .string(type), "object": object]).encoded() + [0x0a]
    }
}
