import KarsCore

/// What a row of a table carries of its object (`includeObject` of meta/v1 `TableOptions`).
enum TableInclude: String, Sendable { case none = "None", metadata = "Metadata", object = "Object" }

/// Tables as `kubectl get` prints them (meta/v1 `Table`). `metadata` of the table is the caller's: it knows the list.
enum TableRenderer {
    static func table(
        of objects: [JSONObject], resource: ServedResource, includeObject: TableInclude, now: UTCTime
    ) -> JSON {
        [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": [:],
            "columnDefinitions": .array(resource.columns.map(definition)),
            "rows": .array(objects.map { row(of: $0, resource.columns, includeObject, now) }),
        ]
    }

    private static func definition(_ column: TableColumn) -> JSON {
        [
            "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
            "description": .string(column.description), "priority": .int(column.priority),
        ]
    }

    private static func row(of object: JSONObject, _ columns: [TableColumn], _ include: TableInclude, _ now: UTCTime) -> JSON {
        var row: JSONObject = ["cells": .array(columns.map { $0.cell(object, now) })]
        if let condition = completion(of: object) { row["conditions"] = [condition] }
        switch include {
        case .none: row["object"] = .null
        case .metadata:
            row["object"] = [
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": .object(object.metadata),
            ]
        case .object: row["object"] = .object(object)
        }
        return .object(row)
    }

    /// A pod that has ended is marked, so that clients may leave it out.
    private static func completion(of object: JSONObject) -> JSON? {
        guard object["kind"]?.stringValue == "Pod" else { return nil }
        let (reason, message): (JSON, JSON)
        switch object["status"]?["phase"]?.stringValue {
        case "Succeeded": (reason, message) = ("Succeeded", "The pod has completed successfully.")
        case "Failed": (reason, message) = ("Failed", "The pod failed.")
        default: return nil
        }
        return ["type": "Completed", "status": "True", "reason": reason, "message": message]
    }
}
