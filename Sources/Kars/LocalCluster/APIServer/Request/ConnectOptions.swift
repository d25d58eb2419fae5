import KarsCore

/// The object that admission sees of a connection to a pod (core/v1 `PodExecOptions` and its kin): what the query asks for.
enum ConnectOptions {
    /// Nil for subresources that are no connections.
    static func object(for name: SubresourceName, _ query: QueryItems) -> JSONObject? {
        guard name.group.isEmpty, name.resource == "pods" else { return nil }
        switch name.subresource {
        case "exec": return streams("PodExecOptions", query)
        case "attach": return streams("PodAttachOptions", query)
        case "portforward":
            var object = blank("PodPortForwardOptions")
            let ports = query.all("ports").flatMap { $0.split(separator: ",") }.compactMap { Int($0) }
            if !ports.isEmpty { object["ports"] = .array(ports.map { .int($0) }) }
            return object
        default: return nil
        }
    }

    private static func streams(_ kind: String, _ query: QueryItems) -> JSONObject {
        var object = blank(kind)
        for flag in ["stdin", "stdout", "stderr", "tty"] where query.flag(flag) == true { object[flag] = true }
        if let container = query.text("container"), !container.isEmpty { object["container"] = .string(container) }
        let command = query.all("command")
        if !command.isEmpty { object["command"] = .array(command.map(JSON.string)) }
        return object
    }

    private static func blank(_ kind: String) -> JSONObject { ["kind": .string(kind), "apiVersion": "v1"] }
}
