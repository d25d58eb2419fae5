package import KarsCore

/// A file of recordings in the folder `Vectors` of a test target: a JSON object on each line, with its name as `id`.
package struct RecordedFile<Record: Sendable>: Sendable {
    package let records: [String: Record]

    /// The target is the one that `place` lies in. A file that cannot be read ends the process: nothing can be tested without it.
    package init(_ name: String, place: String = #filePath, _ record: (JSON) -> Record) {
        let folders = place.split(separator: "/")
        let target = folders.prefix((folders.lastIndex(of: "Tests") ?? 0) + 2).joined(separator: "/")
        do {
            let lines = try Files.read("/\(target)/Vectors/\(name)", upTo: 1 << 20).split(separator: UInt8(ascii: "\n"))
            records = Dictionary(
                uniqueKeysWithValues: try lines.map { line in
                    let json = try JSON(parsing: Array(line))
                    return (json["id"]?.stringValue ?? "", record(json))
                })
        } catch {
            fatalError("the recordings in \(name) cannot be read: \(error)")
        }
    }

    package subscript(_ id: String) -> Record {
        guard let record = records[id] else { fatalError("no recording is named \(id)") }
        return record
    }
}

extension FieldError {
    /// As it stands in the details of a refusal.
    package var cause: APIStatus.Cause {
        APIStatus.Cause(reason: kind.rawValue, message: message, field: field.isEmpty ? "<nil>" : field)
    }
}
