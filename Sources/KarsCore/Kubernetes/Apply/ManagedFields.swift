/// Who owns what of one object: `metadata.managedFields`.
struct ManagedFields: Equatable {
    enum Operation: String {
        case apply = "Apply"
        case update = "Update"
    }

    /// What makes two writes one manager's. An applier is the same one in whatever version it applies.
    struct Manager: Hashable {
        var name: String
        var operation: Operation
        /// Empty for appliers.
        var apiVersion: String
        var subresource: String

        init(_ name: String, _ operation: Operation, apiVersion: String, subresource: String?) {
            self.name = name
            self.operation = operation
            self.apiVersion = operation == .apply ? "" : apiVersion
            self.subresource = subresource ?? ""
        }

        /// As conflicts name it.
        var description: String {
            var text = JSON.string(name).description
            if !subresource.isEmpty { text += " with subresource \(JSON.string(subresource))" }
            return operation == .update ? "\(text) using \(apiVersion)" : text
        }
    }

    struct Entry: Equatable {
        var fields: FieldSet
        var apiVersion: String
        var time: UTCTime?
    }

    var entries: [Manager: Entry] = [:]

    init() {}

    /// Nil when one of the entries cannot be read. `json` nil or null: nobody owns anything.
    init?(reading json: JSON?) {
        guard let json, !json.isNull else { return }
        guard let elements = json.arrayValue else { return nil }
        for element in elements {
            guard let operation = (element["operation"]?.stringValue).flatMap(Operation.init(rawValue:)),
                let fields = element["fieldsV1"].flatMap(FieldSet.init(fieldsV1:)),
                element["fieldsType"]?.stringValue == "FieldsV1"
            else { return nil }
            let apiVersion = element["apiVersion"]?.stringValue ?? ""
            let manager = Manager(
                element["manager"]?.stringValue ?? "", operation, apiVersion: apiVersion,
                subresource: element["subresource"]?.stringValue)
            let time = (element["time"]?.stringValue).flatMap { UTCTime(rfc3339: $0) }
            entries[manager] = Entry(fields: fields, apiVersion: apiVersion, time: time)
        }
    }

    /// `[{}]`: the writer wants all ownership forgotten.
    static func isReset(_ json: JSON?) -> Bool { json == [[:]] }

    /// Nil when nobody owns anything. Appliers first, then by time, name, version and subresource.
    var json: JSON? {
        guard !entries.isEmpty else { return nil }
        let sorted = entries.sorted { left, right in
            func key(_ pair: (key: Manager, value: Entry)) -> (String, Int64, String, String) {
                (pair.key.operation.rawValue, pair.value.time?.seconds ?? 0, pair.key.name, pair.value.apiVersion)
            }
            return key(left) == key(right) ? left.key.subresource < right.key.subresource : key(left) < key(right)
        }
        return .array(
            sorted.map { manager, entry in
                var object: JSONObject = [
                    "manager": .string(manager.name), "operation": .string(manager.operation.rawValue),
                    "apiVersion": .string(entry.apiVersion),
                ]
                object["time"] = entry.time.map { .string($0.rfc3339) }
                object["fieldsType"] = "FieldsV1"
                object["fieldsV1"] = entry.fields.fieldsV1
                if !manager.subresource.isEmpty { object["subresource"] = .string(manager.subresource) }
                return .object(object)
            })
    }

    // MARK: Changing

    /// Everybody's fields.
    var union: FieldSet { entries.values.reduce(FieldSet()) { $0.union($1.fields) } }

    /// Nobody owns `fields` any more, except the one that `manager` is.
    mutating func disown(_ fields: FieldSet, except manager: Manager? = nil) {
        guard !fields.isEmpty else { return }
        for (other, entry) in entries where other != manager {
            let rest = entry.fields.difference(fields)
            entries[other] = rest.isEmpty ? nil : Entry(fields: rest, apiVersion: entry.apiVersion, time: entry.time)
        }
    }

    /// Entries of writers that do not apply; older ones are joined under one name, so that an object with many writers does
    /// not grow without end.
    static let maxUpdateManagers = 10
    static let joinedManager = "ancient-changes"

    mutating func joinOldUpdates() {
        let updates = entries.filter { $0.key.operation == .update }
        guard updates.count > Self.maxUpdateManagers else { return }
        let oldest = updates.sorted {
            let left = $0.value.time ?? UTCTime(seconds: 0)
            let right = $1.value.time ?? UTCTime(seconds: 0)
            return left == right ? $0.key.name < $1.key.name : left < right
        }
        var count = updates.count
        for (manager, entry) in oldest where count > Self.maxUpdateManagers && manager.name != Self.joinedManager {
            var joined = manager
            joined.name = Self.joinedManager
            joined.subresource = ""
            entries[manager] = nil
            if let present = entries[joined] {
                entries[joined]?.fields = present.fields.union(entry.fields)
                count -= 1
            } else {
                entries[joined] = entry
            }
            entries[joined]?.time = entry.time
        }
    }
}
