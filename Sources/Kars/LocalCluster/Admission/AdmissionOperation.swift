import KarsCore

/// What happens to an object, as admission sees it: an apply or an update that finds nothing creates.
enum AdmissionOperation: String, Sendable {
    case create = "CREATE"
    case update = "UPDATE"
    case delete = "DELETE"
    case connect = "CONNECT"

    /// `old` is what a step of admission is given.
    init(_ request: RequestInfo, old: JSONObject?) {
        guard !request.connects else {
            self = .connect
            return
        }
        switch request.verb {
        case .delete, .deletecollection: self = .delete
        case .get, .list, .watch, .create, .update, .patch: self = old == nil ? .create : .update
        }
    }
}

extension RequestInfo {
    /// Whether a new Pod is what this is about.
    func createsPod(old: JSONObject?) -> Bool {
        resource.group.isEmpty && resource.resource == "pods" && subresource == nil
            && AdmissionOperation(self, old: old) == .create
    }
}
