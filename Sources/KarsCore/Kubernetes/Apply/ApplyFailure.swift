/// Why a server-side apply did not happen.
package enum ApplyFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package struct Conflict: Hashable, Sendable {
        /// `"m1"` or `"editor" using v1`.
        package var manager: String
        /// `.spec.parts[id="a"].qty`
        package var path: String
    }

    /// Others own fields that this apply would change. Never empty.
    case conflicts([Conflict])
    /// The intent's lists do not fit the schema, so that its fields cannot be named.
    case untypable(String)

    package var description: String {
        switch self {
        case .untypable(let reason): return "failed to create typed patch object: \(reason)"
        case .conflicts(let conflicts):
            guard conflicts.count > 1 else {
                return "Apply failed with 1 conflict: conflict with \(conflicts[0].manager): \(conflicts[0].path)"
            }
            var lines: [String] = []
            var managers: [String] = []
            for conflict in conflicts where !managers.contains(conflict.manager) { managers.append(conflict.manager) }
            for manager in managers {
                lines.append("conflicts with \(manager):")
                lines += conflicts.filter { $0.manager == manager }.map { "- \($0.path)" }
            }
            return "Apply failed with \(conflicts.count) conflicts: \(lines.joined(separator: "\n"))"
        }
    }

    /// As the API server answers it.
    package var status: APIStatus {
        switch self {
        case .untypable: return .badRequest(description)
        case .conflicts(let conflicts):
            var status = APIStatus(code: 409, reason: .conflict, message: description)
            status.causes = conflicts.map {
                APIStatus.Cause(reason: "FieldManagerConflict", message: "conflict with \($0.manager)", field: $0.path)
            }
            return status
        }
    }
}
