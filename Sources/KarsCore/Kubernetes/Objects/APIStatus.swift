/// A failure as a Kubernetes API server words it (`Status` of meta/v1). The server sends it, the client throws it.
package struct APIStatus: Error, Equatable, Sendable, CustomStringConvertible {
    /// Why, for programs; any text is allowed, those known are listed.
    package struct Reason: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
        package var rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }
        package init(stringLiteral value: String) { rawValue = value }

        package static let unknown: Reason = ""
        package static let unauthorized: Reason = "Unauthorized"
        package static let forbidden: Reason = "Forbidden"
        package static let notFound: Reason = "NotFound"
        package static let alreadyExists: Reason = "AlreadyExists"
        package static let conflict: Reason = "Conflict"
        package static let gone: Reason = "Gone"
        package static let invalid: Reason = "Invalid"
        package static let timeout: Reason = "Timeout"
        package static let serverTimeout: Reason = "ServerTimeout"
        package static let tooManyRequests: Reason = "TooManyRequests"
        package static let badRequest: Reason = "BadRequest"
        package static let methodNotAllowed: Reason = "MethodNotAllowed"
        package static let notAcceptable: Reason = "NotAcceptable"
        package static let requestEntityTooLarge: Reason = "RequestEntityTooLarge"
        package static let unsupportedMediaType: Reason = "UnsupportedMediaType"
        package static let internalError: Reason = "InternalError"
        package static let expired: Reason = "Expired"
        package static let serviceUnavailable: Reason = "ServiceUnavailable"
    }

    /// One of several faults (`StatusCause`).
    package struct Cause: Hashable, Sendable {
        package var reason: String
        package var message: String
        package var field: String?

        package init(reason: String, message: String, field: String? = nil) {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    /// The HTTP status code.
    package var code: Int
    package var reason: Reason
    package var message: String
    /// `details.name`, `.group`, `.kind` (a resource or a kind), `.uid`.
    package var name: String?
    package var group: String?
    package var kind: String?
    package var uid: String?
    package var causes: [Cause] = []
    package var retryAfterSeconds: Int?
    /// `metadata.continue` of an expired list: goes on at the newest version.
    package var continueToken: String?
    /// The refusals that name no object carry empty details.
    package var showsEmptyDetails = false

    package init(code: Int, reason: Reason, message: String) {
        self.code = code
        self.reason = reason
        self.message = message
    }

    package var description: String { message }

    /// Nothing new may be made there because the namespace is being deleted (`NamespaceTerminating`).
    package var isNamespaceEnding: Bool { causes.contains { $0.reason == "NamespaceTerminating" } }
}

extension APIStatus {
    private init(code: Int, reason: Reason, message: String, about resource: GroupVersionResource, name: String?) {
        self.init(code: code, reason: reason, message: message)
        self.name = name
        group = resource.group.isEmpty ? nil : resource.group
        kind = resource.resource
    }

    package static func notFound(_ resource: GroupVersionResource, name: String) -> APIStatus {
        APIStatus(
            code: 404, reason: .notFound, message: "\(resource.qualified) \"\(name)\" not found", about: resource, name: name)
    }

    package static func alreadyExists(_ resource: GroupVersionResource, name: String) -> APIStatus {
        APIStatus(
            code: 409, reason: .alreadyExists, message: "\(resource.qualified) \"\(name)\" already exists", about: resource,
            name: name)
    }

    /// Optimistic locking failed, or a precondition.
    package static func conflict(
        _ resource: GroupVersionResource, name: String,
        _ why: String = "the object has been modified; please apply your changes to the latest version and try again"
    ) -> APIStatus {
        APIStatus(
            code: 409, reason: .conflict, message: "Operation cannot be fulfilled on \(resource.qualified) \"\(name)\": \(why)",
            about: resource, name: name)
    }

    package static func forbidden(_ resource: GroupVersionResource, name: String?, _ why: String) -> APIStatus {
        let subject = name.map { "\(resource.qualified) \"\($0)\"" } ?? resource.qualified
        return APIStatus(code: 403, reason: .forbidden, message: "\(subject) is forbidden: \(why)", about: resource, name: name)
    }

    /// `kind` and `group` are the object's, not the resource's: `Widget.golden.example.com "w1" is invalid: …`.
    package static func invalid(group: String, kind: String, name: String, _ errors: [FieldError]) -> APIStatus {
        let qualified = group.isEmpty ? kind : "\(kind).\(group)"
        let list = errors.map(\.description)
        let text = list.count == 1 ? list[0] : "[\(list.joined(separator: ", "))]"
        var status = APIStatus(code: 422, reason: .invalid, message: "\(qualified) \"\(name)\" is invalid: \(text)")
        status.name = name.isEmpty ? nil : name
        status.group = group.isEmpty ? nil : group
        status.kind = kind
        status.causes = errors.map {
            Cause(reason: $0.kind.rawValue, message: $0.message, field: $0.field.isEmpty ? "<nil>" : $0.field)
        }
        return status
    }

    package static func badRequest(_ message: String) -> APIStatus { APIStatus(code: 400, reason: .badRequest, message: message) }
    package static func unauthorized() -> APIStatus { APIStatus(code: 401, reason: .unauthorized, message: "Unauthorized") }
    package static func expired(_ message: String) -> APIStatus { APIStatus(code: 410, reason: .expired, message: message) }
    package static func internalError(_ message: String) -> APIStatus {
        var status = APIStatus(code: 500, reason: .internalError, message: "Internal error occurred: \(message)")
        status.causes = [Cause(reason: "", message: message)]
        return status
    }
    package static func methodNotAllowed() -> APIStatus {
        bare(405, .methodNotAllowed, "the server does not allow this method on the requested resource")
    }
    /// A resource that a known group does not have.
    package static func unknownResource() -> APIStatus {
        bare(404, .notFound, "the server could not find the requested resource")
    }
    /// A patch that does not fit the object.
    package static func unprocessable() -> APIStatus {
        bare(422, .invalid, "the server rejected our request due to an error in our request")
    }
    package static func bare(_ code: Int, _ reason: Reason, _ message: String) -> APIStatus {
        var status = APIStatus(code: code, reason: reason, message: message)
        status.showsEmptyDetails = true
        return status
    }
}

extension APIStatus {
    /// Reads a body of kind `Status`; nil for anything else.
    package init?(reading json: JSON) {
        guard json["kind"]?.stringValue == "Status", let code = json["code"]?.intValue else { return nil }
        self.init(
            code: code, reason: Reason(rawValue: json["reason"]?.stringValue ?? ""), message: json["message"]?.stringValue ?? "")
        continueToken = json["metadata"]?["continue"]?.stringValue
        guard let details = json["details"] else { return }
        showsEmptyDetails = details.objectValue?.isEmpty == true
        name = details["name"]?.stringValue
        group = details["group"]?.stringValue
        kind = details["kind"]?.stringValue
        uid = details["uid"]?.stringValue
        retryAfterSeconds = details["retryAfterSeconds"]?.intValue
        causes = (details["causes"]?.arrayValue ?? []).map {
            Cause(
                reason: $0["reason"]?.stringValue ?? "", message: $0["message"]?.stringValue ?? "",
                field: $0["field"]?.stringValue)
        }
    }

    package var json: JSON {
        var details = JSONObject()
        for (field, value) in [("name", name), ("group", group), ("kind", kind), ("uid", uid)] {
            if let value, !value.isEmpty { details[field] = .string(value) }
        }
        if !causes.isEmpty {
            details["causes"] = .array(
                causes.map { cause in
                    var object = JSONObject()
                    if !cause.reason.isEmpty { object["reason"] = .string(cause.reason) }
                    object["message"] = .string(cause.message)
                    object["field"] = cause.field.map(JSON.string)
                    return .object(object)
                })
        }
        details["retryAfterSeconds"] = retryAfterSeconds.map { JSON.int($0) }
        var object: JSONObject = [
            "kind": "Status", "apiVersion": "v1", "metadata": continueToken.map { ["continue": .string($0)] } ?? [:],
            "status": "Failure", "message": .string(message),
        ]
        if reason != .unknown { object["reason"] = .string(reason.rawValue) }
        if !details.isEmpty || showsEmptyDetails { object["details"] = .object(details) }
        object["code"] = .int(code)
        return .object(object)
    }
}
