import KarsCore

/// The conditions of a status, in their order, each type once.
struct StatusConditions: Sendable, Equatable {
    private(set) var all: [JSON]

    init(_ status: JSON?) { all = status?["conditions"]?.arrayValue ?? [] }

    subscript(type: String) -> JSON? { all.first { $0["type"]?.stringValue == type } }

    func reason(of type: String) -> String? { self[type]?["reason"]?.stringValue }
    func isTrue(_ type: String) -> Bool { self[type]?["status"] == "True" }

    mutating func remove(_ type: String) { all.removeAll { $0["type"]?.stringValue == type } }

    /// Puts `condition` at the end, in place of one of its type.
    mutating func put(_ condition: JSON) {
        remove(condition["type"]?.stringValue ?? "")
        all.append(condition)
    }

    /// Nil when there are none.
    var json: JSON? { all.isEmpty ? nil : .array(all) }
}

extension StatusConditions {
    /// Puts `condition` in the place of one of its type, at the end when there is none.
    mutating func replace(_ condition: JSON) {
        guard let index = all.firstIndex(where: { $0["type"] == condition["type"] }) else { return put(condition) }
        all[index] = condition
    }
}
