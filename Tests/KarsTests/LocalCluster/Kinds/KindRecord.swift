import KarsCore
import KarsTesting

@testable import Kars

/// One recorded exchange about a kind: `Vectors/kinds.jsonl`.
struct KindRecord {
    let path: String
    let sent: JSONObject
    let status: Int
    let answer: JSON

    private static let file = RecordedFile("kinds.jsonl") { json in
        KindRecord(
            path: json["path"]?.stringValue ?? "", sent: json["sent"]?.objectValue ?? JSONObject(),
            status: json["status"]?.intValue ?? 0, answer: json["answer"] ?? .null)
    }

    static var all: [String: KindRecord] { file.records }
    static subscript(_ id: String) -> KindRecord { file[id] }

    var object: JSONObject { answer.objectValue ?? JSONObject() }

    /// The causes of a refusal; they come in any order.
    var causes: Set<APIStatus.Cause> { Set(APIStatus(reading: answer)?.causes ?? []) }

    /// What of an object does not differ from run to run.
    static func stable(_ object: JSONObject) -> JSONObject {
        var object = object
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] { object.metadata[field] = nil }
        return object
    }

    static func served(_ object: JSONObject) -> ServedResource? {
        let kind = GroupVersionKind(of: object)
        return BuiltInKinds.all.first { $0.description.groupVersionKind == kind }
    }
}

extension RequestInfo {
    /// A request of an administrator on an object in the namespace `golden`.
    static func test(_ resource: ServedResource, verb: ResourceDescription.Verb = .create, subresource: String? = nil)
        -> RequestInfo
    {
        RequestInfo(
            user: UserInfo(name: "kubernetes-admin", groups: ["system:masters"]), verb: verb,
            resource: resource.description.resource,
            subresource: subresource, namespace: resource.description.isNamespaced ? "golden" : nil, name: nil,
            now: UTCTime(seconds: 1_795_225_416))
    }
}
