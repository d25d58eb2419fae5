/// The numbers that fields of the built-in API have in Protocol Buffers (the `generated.proto` files of Kubernetes 1.33, which
/// never change a number).
///
/// A message is a list of names: the first has number 1. `-` stands for a number that is not in use or whose field is not
/// served here; `+Name` for a message whose fields JSON shows as if they were this one's own.
enum ProtobufFields {
    /// Of the message with this name in the package of `type`, or of `type` itself; nil when it has no such form.
    static func names(of type: APIObjectType, message: Substring? = nil) -> [Substring]? {
        guard let package = APIPackage(rawValue: String(type.name.dropLast(type.shortName.count + 1))) else { return nil }
        return messages[package]?[message.map(String.init) ?? type.shortName]?.split(separator: " ")
    }

    private static let messages: [APIPackage: [String: String]] = [
        .meta: meta, .core: core, .admission: admission, .apps: apps, .authentication: authentication,
        .authorization: authorization, .autoscaling: autoscaling, .batch: batch, .coordination: coordination,
        .discovery: discovery, .events: events, .networking: networking, .policy: policy, .rbac: rbac,
    ]
}
