import KarsCore

/// Recorded exchanges with a Kubernetes v1.36 API server, by name: `Vectors/kubeapi-widgets.jsonl`.
struct Recording {
    let id: String
    let requestBody: JSON
    let requestText: String
    let status: Int
    let body: JSON

    static let all: [String: Recording] = {
        let path = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        do {
            let bytes = try Files.read("/\(path)/Vectors/kubeapi-widgets.jsonl", upTo: 1 << 20)
            let records = try bytes.split(separator: UInt8(ascii: "\n")).map { line in
                let json = try JSON(parsing: Array(line))
                return Recording(
                    id: json["id"]?.stringValue ?? "", requestBody: json["request"]?["body"] ?? .null,
                    requestText: json["request"]?["bodyText"]?.stringValue ?? "",
                    status: json["response"]?["status"]?.intValue ?? 0, body: json["response"]?["body"] ?? .null)
            }
            return Dictionary(uniqueKeysWithValues: records.map { ($0.id, $0) })
        } catch {
            fatalError("the recordings cannot be read: \(error)")
        }
    }()

    static subscript(_ id: String) -> Recording {
        guard let recording = all[id] else { fatalError("no recording is named \(id)") }
        return recording
    }

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

extension FieldError {
    var cause: APIStatus.Cause {
        APIStatus.Cause(reason: kind.rawValue, message: message, field: field.isEmpty ? "<nil>" : field)
    }
}

func readSchema(_ text: String) throws -> StructuralSchema { try StructuralSchema(reading: JSON(parsing: text), at: "schema") }
