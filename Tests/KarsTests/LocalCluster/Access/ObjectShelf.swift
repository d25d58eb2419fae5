import KarsCore
import Synchronization

@testable import Kars

/// Objects for those who only read them.
final class ObjectShelf: ObjectReader {
    private let objects = Mutex<[(GroupVersionResource, JSONObject)]>([])

    init(_ objects: [(GroupVersionResource, JSONObject)] = []) {
        for (resource, object) in objects { put(resource, object) }
    }

    /// In place of what has the same name.
    func put(_ resource: GroupVersionResource, _ object: JSONObject) {
        remove(resource, namespace: object.namespace, name: object.name)
        objects.withLock { $0.append((resource, object)) }
    }

    func remove(_ resource: GroupVersionResource, namespace: String?, name: String) {
        objects.withLock { $0.removeAll { Self.isSame($0.0, resource) && $0.1.namespace == namespace && $0.1.name == name } }
    }

    func get(_ resource: GroupVersionResource, namespace: String?, name: String) -> JSONObject? {
        list(resource, namespace: namespace).first { $0.name == name && $0.namespace == namespace }
    }

    func list(_ resource: GroupVersionResource, namespace: String?) -> [JSONObject] {
        objects.withLock {
            $0.filter { Self.isSame($0.0, resource) && (namespace == nil || $0.1.namespace == namespace) }.map(\.1)
        }
    }

    private static func isSame(_ a: GroupVersionResource, _ b: GroupVersionResource) -> Bool {
        a.group == b.group && a.resource == b.resource
    }
}

extension JSONObject {
    /// `JSONObject` of a literal text.
    static func read(_ text: String) -> JSONObject {
        guard let object = (try? JSON(parsing: text))?.objectValue else { preconditionFailure("not an object: \(text)") }
        return object
    }
}

extension RequestInfo {
    static func of(
        _ verb: ResourceDescription.Verb, _ resource: GroupVersionResource, namespace: String? = "golden", name: String? = nil,
        user: UserInfo = UserInfo(name: "alice", groups: ["dev", "system:authenticated"]), subresource: String? = nil
    ) -> RequestInfo {
        RequestInfo(
            user: user, verb: verb, resource: resource, subresource: subresource, namespace: namespace, name: name,
            now: UTCTime(seconds: 1_795_225_421))
    }
}
