/// What a list is asked for (meta/v1 `ListOptions`).
package struct ListOptions: Sendable, Equatable {
    package var labelSelector: String?
    package var fieldSelector: String?
    /// Objects of one page; nil for all at once.
    package var limit: Int?
    /// From the page before.
    package var continueToken: String?
    /// Nil: the latest. `0`: whatever the server has at hand. Another: see `match`.
    package var resourceVersion: String?
    package var match: ResourceVersionMatch?

    package enum ResourceVersionMatch: String, Sendable { case exact = "Exact", notOlderThan = "NotOlderThan" }

    package init(labelSelector: String? = nil, fieldSelector: String? = nil, limit: Int? = nil) {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.limit = limit
    }

    func write(to request: inout KubernetesRequest) {
        request["labelSelector"] = labelSelector
        request["fieldSelector"] = fieldSelector
        request["limit"] = limit.map(String.init)
        request["continue"] = continueToken
        request["resourceVersion"] = resourceVersion
        request["resourceVersionMatch"] = match?.rawValue
    }
}

/// What a watch is asked for.
package struct WatchOptions: Sendable, Equatable {
    package var labelSelector: String?
    package var fieldSelector: String?
    /// Changes after this one. Nil: from now on, with what exists first.
    package var resourceVersion: String?
    package var allowsBookmarks = true
    /// The server ends the watch after this long, whole seconds; nil leaves it to the server.
    package var timeout: Duration?

    package init(labelSelector: String? = nil, fieldSelector: String? = nil, resourceVersion: String? = nil) {
        self.labelSelector = labelSelector
        self.fieldSelector = fieldSelector
        self.resourceVersion = resourceVersion
    }

    func write(to request: inout KubernetesRequest) {
        request["labelSelector"] = labelSelector
        request["fieldSelector"] = fieldSelector
        request["resourceVersion"] = resourceVersion
        request["watch"] = "true"
        request.set("allowWatchBookmarks", allowsBookmarks)
        guard let timeout else { return }
        request["timeoutSeconds"] = String(timeout.components.seconds)
        // The server ends it; a connection that is still silent after that is dead.
        request.longestSilence = timeout + .seconds(10)
    }
}

/// What goes along with a write.
package struct WriteOptions: Sendable, Equatable {
    package enum FieldValidation: String, Sendable { case ignore = "Ignore", warn = "Warn", strict = "Strict" }

    /// Everything is checked and nothing kept.
    package var isDryRun = false
    /// Who owns the fields that are written; nil: the first part of the `User-Agent`.
    package var fieldManager: String?
    package var fieldValidation: FieldValidation?
    /// Server-side apply only: take fields from other managers.
    package var forces = false

    package init(
        isDryRun: Bool = false, fieldManager: String? = nil, fieldValidation: FieldValidation? = nil, forces: Bool = false
    ) {
        self.isDryRun = isDryRun
        self.fieldManager = fieldManager
        self.fieldValidation = fieldValidation
        self.forces = forces
    }

    func write(to request: inout KubernetesRequest) {
        if isDryRun { request["dryRun"] = "All" }
        request["fieldManager"] = fieldManager
        request["fieldValidation"] = fieldValidation?.rawValue
        request.set("force", forces)
    }
}

/// How something is deleted (meta/v1 `DeleteOptions`).
package struct DeleteOptions: Sendable, Equatable {
    package enum Propagation: String, Sendable { case orphan = "Orphan", background = "Background", foreground = "Foreground" }

    /// Only this very object, not one that has taken its name since.
    package var uid: String?
    /// Only when nobody changed it since.
    package var resourceVersion: String?
    package var propagation: Propagation?
    /// For pods: seconds between the request to end and the end by force; 0 at once.
    package var gracePeriodSeconds: Int?
    package var isDryRun = false

    package init(
        uid: String? = nil, resourceVersion: String? = nil, propagation: Propagation? = nil, gracePeriodSeconds: Int? = nil
    ) {
        self.uid = uid
        self.resourceVersion = resourceVersion
        self.propagation = propagation
        self.gracePeriodSeconds = gracePeriodSeconds
    }

    /// As a body; nil when nothing is asked for.
    package var json: JSON? {
        var object: JSONObject = ["kind": "DeleteOptions", "apiVersion": "v1"]
        let empty = object.count
        var preconditions = JSONObject()
        preconditions["uid"] = uid.map(JSON.string)
        preconditions["resourceVersion"] = resourceVersion.map(JSON.string)
        if !preconditions.isEmpty { object["preconditions"] = .object(preconditions) }
        object["propagationPolicy"] = propagation.map { .string($0.rawValue) }
        object["gracePeriodSeconds"] = gracePeriodSeconds.map { JSON.int($0) }
        if isDryRun { object["dryRun"] = ["All"] }
        return object.count == empty ? nil : .object(object)
    }
}
