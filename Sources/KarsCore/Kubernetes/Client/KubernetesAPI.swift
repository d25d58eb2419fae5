/// What controllers need of a cluster: two methods. `KubernetesClient` is one over the network, a fake cluster one in memory, and an
/// API server in the same process could be one without either.
package protocol KubernetesAPI: Sendable {
    /// Sends anything but a watch or a connection, and returns the object, list or `Status` of success that answers it.
    func send(_ request: KubernetesRequest) async throws(APIStatus) -> JSON

    /// Opens a watch; `request` was made by `KubernetesRequest.watch`.
    func watch(_ request: KubernetesRequest) async throws(APIStatus) -> any WatchStream
}

/// An open watch. Dropping it ends it.
package protocol WatchStream: Sendable {
    /// The next event; nil once the server has ended the watch, as it does to all of them after a while. Throws when the connection
    /// broke or what came makes no sense. One reader at a time; cancelling its task ends the watch.
    func next() async throws(APIStatus) -> WatchEvent?
    func cancel()
}

/// Failures that are ours and not the server's. Their `code` is 0: no server said so.
extension APIStatus.Reason {
    /// No answer, or only a part of one.
    package static let unreachable: APIStatus.Reason = "ClientUnreachable"
    /// An answer that makes no sense.
    package static let malformedAnswer: APIStatus.Reason = "ClientMalformedAnswer"
    /// We have nothing to prove who we are with.
    package static let noCredentials: APIStatus.Reason = "ClientNoCredentials"
    /// The task was cancelled.
    package static let cancelled: APIStatus.Reason = "ClientCancelled"
    /// Not sent, because we no longer hold the lease that allows it.
    package static let notLeading: APIStatus.Reason = "ClientNotLeading"
}

extension APIStatus {
    package static func unreachable(_ message: String) -> APIStatus { APIStatus(code: 0, reason: .unreachable, message: message) }
    package static func malformedAnswer(_ message: String) -> APIStatus {
        APIStatus(code: 0, reason: .malformedAnswer, message: message)
    }
    package static func noCredentials(_ message: String) -> APIStatus {
        APIStatus(code: 0, reason: .noCredentials, message: message)
    }
    package static func cancelled() -> APIStatus { APIStatus(code: 0, reason: .cancelled, message: "the task was cancelled") }

    /// Whether the same request may succeed later although nobody changes anything: the server is busy, restarting, or was not
    /// reached. A conflict is none: the request has to be made anew from the object as it is now.
    package var isTransient: Bool {
        switch reason {
        case .unreachable, .tooManyRequests, .serverTimeout, .timeout, .serviceUnavailable, .internalError: true
        default: code == 429 || code >= 500
        }
    }

    /// How long the server asks to be left alone.
    package var retryAfter: Duration? { retryAfterSeconds.map { .seconds($0) } }
}

extension KubernetesAPI {
    /// Sends a request that is answered with an object.
    package func object(_ request: KubernetesRequest) async throws(APIStatus) -> JSONObject {
        let answer = try await send(request)
        guard let object = answer.objectValue else { throw .malformedAnswer("expected an object in the answer") }
        return object
    }

    /// As `object`; nil when the server says that it does not exist.
    package func objectIfPresent(_ request: KubernetesRequest) async throws(APIStatus) -> JSONObject? {
        do throws(APIStatus) { return try await object(request) } catch {
            if error.reason == .notFound { return nil }
            throw error
        }
    }

    /// A whole collection at one version, fetched page by page.
    ///
    /// A list whose continuation expires (410) begins anew without pages, which always ends.
    package func list(
        _ resource: GroupVersionResource, namespace: String? = nil, _ options: ListOptions = ListOptions(limit: 500)
    ) async throws(APIStatus) -> ObjectList {
        var options = options
        var whole: ObjectList?
        while true {
            let page: ObjectList
            do throws(APIStatus) {
                page = try ObjectList(reading: try await send(.list(resource, namespace: namespace, options)))
            } catch {
                guard error.code == 410, options.continueToken != nil else { throw error }
                (options.continueToken, options.limit, whole) = (nil, nil, nil)
                continue
            }
            if whole == nil { whole = page } else { whole?.append(page) }
            guard let token = page.continueToken else { return whole ?? page }
            options.continueToken = token
            // The token says which version it is.
            (options.resourceVersion, options.match) = (nil, nil)
        }
    }
}

/// A collection, or a page of one.
package struct ObjectList: Sendable, Equatable {
    package var items: [JSONObject]
    package var resourceVersion: String
    /// Where the next page begins; nil on the last.
    package var continueToken: String?

    package init(items: [JSONObject], resourceVersion: String, continueToken: String? = nil) {
        self.items = items
        self.resourceVersion = resourceVersion
        self.continueToken = continueToken
    }

    /// Items of built-in kinds come without `apiVersion` and `kind`; they get the list's here, so that each can stand alone.
    package init(reading json: JSON) throws(APIStatus) {
        guard let list = json.objectValue, let kind = list["kind"]?.stringValue, kind.hasSuffix("List"),
            let version = list.resourceVersion
        else { throw .malformedAnswer("expected a list in the answer") }
        resourceVersion = version
        continueToken = list.metadata["continue"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
        items = []
        for element in list["items"]?.arrayValue ?? [] {
            guard let item = element.objectValue else { throw .malformedAnswer("expected objects in a list") }
            if item["kind"] == nil, let apiVersion = list["apiVersion"] {
                var named: JSONObject = ["apiVersion": apiVersion, "kind": .string(String(kind.dropLast(4)))]
                for member in item { named[member.key] = member.value }
                items.append(named)
            } else {
                items.append(item)
            }
        }
    }

    package mutating func append(_ page: ObjectList) {
        items += page.items
        resourceVersion = page.resourceVersion
        continueToken = page.continueToken
    }
}

/// The name of an object within its kind: what queues hold and caches are looked up by.
package struct ObjectKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Nil for cluster-wide kinds.
    package var namespace: String?
    package var name: String

    package init(namespace: String? = nil, name: String) {
        self.namespace = namespace
        self.name = name
    }

    package init(_ object: JSONObject) { self.init(namespace: object.namespace, name: object.name) }

    /// `namespace/name` or `name`.
    package var description: String { namespace.map { "\($0)/\(name)" } ?? name }

    package static func < (a: ObjectKey, b: ObjectKey) -> Bool { (a.namespace ?? "", a.name) < (b.namespace ?? "", b.name) }
}
