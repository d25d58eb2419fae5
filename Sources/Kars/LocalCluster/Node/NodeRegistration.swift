import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Keeps the Node object and its Lease: who this machine is, what it has, and that it is there.
struct NodeRegistration: Sendable {
    let api: any KubernetesAPI
    let time: any TimeSource
    let nodeName: String
    let address: String
    let machine: MachineFacts
    let log: Log

    static let leaseNamespace = "kube-node-lease"
    private static let leaseSeconds = 40
    private static let renewal = Duration.seconds(10)
    /// Heartbeats in the Node object are for people; the Lease says that the node is there.
    private static let heartbeat = Duration.seconds(300)
    private static let retry = Duration.seconds(1)

    /// Until the task is cancelled.
    func run() async {
        var toldAt: Instant?
        while !Task.isCancelled {
            do throws(APIStatus) {
                if toldAt.map({ time.now().duration(since: $0) >= Self.heartbeat }) ?? true {
                    let node = try await tell()
                    toldAt = time.now()
                    try await renew(owner: node)
                } else {
                    try await renew(owner: nil)
                }
                // Cancelled: the loop ends.
                try? await time.sleep(for: Self.renewal)
            } catch {
                if Task.isCancelled { return }
                toldAt = nil
                log.debug("node.registration.failed", ["reason": .string(error.message)])
                try? await time.sleep(for: Self.retry)
            }
        }
    }

    /// Creates the Node, or brings its status and labels up to date.
    private func tell() async throws(APIStatus) -> JSONObject {
        let now = time.utc()
        var node: JSONObject
        if let present = try await api.objectIfPresent(.get(.nodes, name: nodeName)) {
            node = present
        } else {
            node = try await api.object(
                .create(.nodes, ["apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(nodeName)]]))
        }
        var known = node.metadata["labels"]?.objectValue ?? JSONObject()
        let missing = labels.filter { known[$0.0]?.stringValue != $0.1 }
        if !missing.isEmpty {
            for (name, value) in missing { known[name] = .string(value) }
            node.metadata["labels"] = .object(known)
            node = try await api.object(.update(.nodes, node))
        }
        node["status"] = status(over: node["status"] ?? [:], now)
        return try await api.object(.update(.nodes, node, subresource: "status"))
    }

    private var labels: [(String, String)] {
        [
            ("beta.kubernetes.io/arch", machine.architecture), ("beta.kubernetes.io/os", "linux"),
            ("kubernetes.io/arch", machine.architecture), ("kubernetes.io/hostname", nodeName), ("kubernetes.io/os", "linux"),
        ]
    }

    /// Pure: what the machine has, and that all is well with it.
    func status(over old: JSON, _ now: UTCTime) -> JSON {
        let conditions: [(String, Bool, String, String)] = [
            ("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", true, "KubeletReady", "kubelet is posting ready status"),
        ]
        var status = old.objectValue ?? JSONObject()
        status["capacity"] = machine.capacity
        status["allocatable"] = machine.capacity
        status["conditions"] = .array(
            conditions.map { type, isTrue, reason, message in
                let known = (old["conditions"]?.arrayValue ?? []).first { $0["type"]?.stringValue == type }
                let word = isTrue ? "True" : "False"
                let turned = known?["status"]?.stringValue == word ? known?["lastTransitionTime"] : nil
                return [
                    "type": .string(type), "status": .string(word), "lastHeartbeatTime": .string(now.rfc3339),
                    "lastTransitionTime": turned ?? .string(now.rfc3339), "reason": .string(reason), "message": .string(message),
                ]
            })
        status["addresses"] = [
            ["type": "InternalIP", "address": .string(address)], ["type": "Hostname", "address": .string(nodeName)],
        ]
        status["nodeInfo"] = machine.info
        return .object(status)
    }

    // MARK: - Lease

    private func renew(owner: JSONObject?) async throws(APIStatus) {
        let now = time.utc().rfc3339Microseconds
        let key = (namespace: Self.leaseNamespace, name: nodeName)
        guard var lease = try await api.objectIfPresent(.get(.leases, namespace: key.namespace, name: key.name)) else {
            return try await createLease(owner, now)
        }
        var spec = lease["spec"]?.objectValue ?? JSONObject()
        spec["holderIdentity"] = .string(nodeName)
        spec["leaseDurationSeconds"] = .int(Self.leaseSeconds)
        spec["renewTime"] = .string(now)
        lease["spec"] = .object(spec)
        _ = try await api.send(.update(.leases, lease))
    }

    private func createLease(_ owner: JSONObject?, _ now: String) async throws(APIStatus) {
        var metadata: JSONObject = ["name": .string(nodeName), "namespace": .string(Self.leaseNamespace)]
        let node: JSONObject
        if let owner { node = owner } else { node = try await api.object(.get(.nodes, name: nodeName)) }
        metadata["ownerReferences"] = [
            ["apiVersion": "v1", "kind": "Node", "name": .string(nodeName), "uid": .string(node.uid ?? "")]
        ]
        let lease: JSONObject = [
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": .object(metadata),
            "spec": [
                "holderIdentity": .string(nodeName), "leaseDurationSeconds": .int(Self.leaseSeconds), "renewTime": .string(now),
            ],
        ]
        do throws(APIStatus) { _ = try await api.send(.create(.leases, lease)) } catch {
            guard error.reason == .notFound else { throw error }
            let namespace: JSONObject = [
                "apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(Self.leaseNamespace)],
            ]
            _ = try await api.send(.create(.namespaces, namespace))
            _ = try await api.send(.create(.leases, lease))
        }
    }
}

/// What this machine is and has.
struct MachineFacts: Sendable {
    var capacity: JSON
    var info: JSON
    var architecture: String

    /// Pods at most, as usual.
    static let maxPods = 110

    static func here(directory: String) -> MachineFacts {
        var names = utsname()
        uname(&names)
        let release = withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        var disk = statvfs()
        let diskBytes = statvfs(directory, &disk) == 0 ? Int(disk.f_blocks) * Int(disk.f_frsize) : 0
        #if arch(arm64)
        let architecture = "arm64"
        #else
        let architecture = "amd64"
        #endif
        let memory = text("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemTotal:") }
        let kilobytes = memory.flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int($0) } ?? 0
        let system = text("/etc/os-release").split(separator: "\n").first { $0.hasPrefix("PRETTY_NAME=") }
        return MachineFacts(
            capacity: [
                "cpu": .string("\(max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN))))"),
                "ephemeral-storage": .string("\(diskBytes >> 10)Ki"), "hugepages-1Gi": "0", "hugepages-2Mi": "0",
                "memory": .string("\(kilobytes)Ki"), "pods": .string("\(maxPods)"),
            ],
            info: [
                "machineID": .string(text("/etc/machine-id").trimmingWhitespace()),
                "systemUUID": .string(text("/etc/machine-id").trimmingWhitespace()),
                "bootID": .string(text("/proc/sys/kernel/random/boot_id").trimmingWhitespace()),
                "kernelVersion": .string(release),
                "osImage": .string(system.map { $0.dropFirst(12).filter { $0 != "\"" } } ?? "Linux"),
                "containerRuntimeVersion": "kars://1", "kubeletVersion": "v1.36.2+kars", "kubeProxyVersion": "",
                "operatingSystem": "linux", "architecture": .string(architecture),
            ], architecture: architecture)
    }

    /// A file that is not there says nothing.
    private static func text(_ path: String) -> String {
        (try? Files.read(path, upTo: 1 << 16)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
