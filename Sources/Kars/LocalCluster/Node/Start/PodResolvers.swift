import KarsCore

/// The resolv.conf of a pod's containers, by its `dnsPolicy` and `dnsConfig`. Pure.
enum PodResolvers {
    /// `cluster` is what the cluster's network says; empty stands for the machine's own, which the supervisor knows.
    static func text(for pod: NodePod, cluster: String) -> String {
        let policy = pod.spec["dnsPolicy"]?.stringValue ?? "ClusterFirst"
        let config = pod.spec["dnsConfig"]
        func texts(_ key: String) -> [String] { (config?[key]?.arrayValue ?? []).compactMap(\.stringValue) }
        let base = ["None", "Default"].contains(policy) ? "" : cluster
        let lines = base.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        func words(_ key: String) -> [String] { lines.filter { $0.first == key }.flatMap { $0.dropFirst() } }
        let servers = words("nameserver") + texts("nameservers"), domains = words("search") + texts("searches")
        let options =
            words("options")
            + (config?["options"]?.arrayValue ?? []).compactMap { option in
                option["name"]?.stringValue.map { name in option["value"]?.stringValue.map { "\(name):\($0)" } ?? name }
            }
        guard !servers.isEmpty || policy == "None" else { return "" }
        var text = servers.map { "nameserver \($0)\n" }.joined()
        if !domains.isEmpty { text += "search \(domains.joined(separator: " "))\n" }
        if !options.isEmpty { text += "options \(options.joined(separator: " "))\n" }
        return text
    }
}
