import KarsCore
import KarsTesting

/// Recorded exchanges with a Kubernetes v1.36 API server, by name: `Vectors/kubeapi-widgets.jsonl`.
struct Recording {
    let id: String
    let requestBody: JSON
    let requestText: String
    let status: Int
    let body: JSON

    private static let file = RecordedFile("kubeapi-widgets.jsonl") { json in
        Recording(
            id: json["id"]?.stringValue ?? "", requestBody: json["request"]?["body"] ?? .null,
            requestText: json["request"]?["bodyText"]?.stringValue ?? "", status: json["response"]?["status"]?.intValue ?? 0,
            body: json["response"]?["body"] ?? .null)
    }

    static var all: [String: Recording] { file.records }
    static subscript(_ id: String) -> Recording { file[id] }

    /// The object as stored after the exchange.
    var object: JSONObject { body.objectValue ?? JSONObject() }

    /// The causes of a refusal; they come in any order.
    var causes: Set<APIStatus.Cause> { Set(APIStatus(reading: body)?.causes ?? []) }

    /// The schema of the definition that `crd-create` and its kin send.
    var definitionSchema: JSON {
        requestBody["spec"]?["versions"]?[0]?["schema"]?["openAPIV3Schema"] ?? .null
    }

    /// What the kind `Widget` may hold.
    static let widgets: StructuralSchema = {
        do { return try StructuralSchema(reading: Recording["crd-create"].definitionSchema, at: "schema") } catch {
            fatalError("the schema of widgets cannot be read: \(error)")
        }
    }()
}

func readSchema(_ text: String) throws -> StructuralSchema { try StructuralSchema(reading: JSON(parsing: text), at: "schema") }
