import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Where a pod runs: its address, its volumes, its users.
struct PodPlace: Sendable {
    var attachment: ClusterNetworkAttachment?
    var outsideBase: Int?
    var volumes: [String: NodeContainerSetup.VolumePlace] = [:]
    var hostsFile: String

    var address: String? { attachment.map { "\($0.address)" } }
    var hostAddress: String? { attachment.map { "\($0.gateway)" } }
    var resolvers: String { attachment?.resolverText ?? "" }

    /// Of a pod that runs already.
    static func found(_ pod: NodePod, _ report: SandboxReport, context: NodeContext, tokens: PodTokens) async -> PodPlace {
        var place = PodPlace(hostsFile: "\(context.podDirectory(pod.uid))/hosts")
        place.outsideBase = report.outsideBase
        do {
            place.attachment = try await context.network?.attach(podUID: pod.uid, namespace: pod.namespace)
        } catch {
            context.log.warn("pod.network.lost", ["pod": .string(pod.fullName), "reason": .error(error)])
        }
        do {
            place.volumes = try await PodPreparation(pod: pod, context: context, tokens: tokens).volumes(place)
        } catch {
            context.log.warn("pod.volumes.old", ["pod": .string(pod.fullName), "reason": .error(error)])
        }
        return place
    }
}

/// Why a pod's place could not be made.
struct PodPlaceError: Error, CustomStringConvertible {
    /// Of the Event: `FailedMount`, `FailedCreatePodSandBox`.
    let reason: String
    let description: String
}

/// Makes a pod's place: network, supervisor, volumes, files of its own; each part as far as it is not there yet.
struct PodPreparation {
    let pod: NodePod
    let context: NodeContext
    let tokens: PodTokens

    private var directory: String { context.podDirectory(pod.uid) }

    func make() async throws(PodPlaceError) -> PodPlace {
        var place = PodPlace(hostsFile: "\(directory)/hosts")
        do {
            place.attachment = try await context.network?.attach(podUID: pod.uid, namespace: pod.namespace)
            // Before there is a supervisor: a node that comes back takes one that runs as a sign that this is there.
            try await writeHosts(place)
            place.outsideBase = try await supervise(place).outsideBase
        } catch {
            throw PodPlaceError(reason: "FailedCreatePodSandBox", description: "Failed to create pod sandbox: \(error)")
        }
        do { place.volumes = try await volumes(place) } catch {
            throw PodPlaceError(reason: "FailedMount", description: "\(error)")
        }
        return place
    }

    /// Starts the supervisor unless it runs already.
    private func supervise(_ place: PodPlace) async throws -> SandboxReport {
        let link = context.link(pod.uid)
        if let report = try await link.report() { return report }
        var launch = PodLaunch(managedIn: directory, name: String(pod.name.prefix(63)))
        launch.network = place.attachment.map { .cluster($0) } ?? .isolated
        launch.hidden = [context.directory]
        launch.loopbackPorts = try await LocalPod.blocking { [context, pod] in
            try LoopbackPorts(ofNode: context.directory).granted(to: pod.object)
        }
        let closed = LoopbackPorts.asked(by: pod.object).subtracting(launch.loopbackPorts)
        if !closed.isEmpty {
            context.log.warn(
                "pod.loopback.closed",
                ["pod": .string(pod.fullName), "ports": .strings(closed.sorted().map { "\($0)" })])
        }
        try await context.localPod(pod.uid).start(launch)
        guard let report = try await link.report() else { throw LocalPodError(.failed, "the pod's supervisor went away") }
        return report
    }

    /// `/etc/hosts` of the containers, as the kubelet writes it.
    private func writeHosts(_ place: PodPlace) async throws {
        var lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
        lines.append("\(place.address ?? "127.0.1.1")\t\(pod.hostname)")
        for alias in pod.spec["hostAliases"]?.arrayValue ?? [] {
            let names = (alias["hostnames"]?.arrayValue ?? []).compactMap(\.stringValue).joined(separator: "\t")
            lines.append("\(alias["ip"]?.stringValue ?? "")\t\(names)")
        }
        let path = place.hostsFile, bytes = Array((lines.joined(separator: "\n") + "\n").utf8)
        try await LocalPod.blocking { [directory] in
            try Files.createDirectories(directory, mode: 0o700)
            try AtomicFile.write(bytes, to: path, mode: 0o644, flushesDirectory: false)
        }
    }

    /// Volumes with what the cluster says now.
    func volumes(_ place: PodPlace) async throws -> [String: NodeContainerSetup.VolumePlace] {
        let payload = VolumePayload(
            fields: fields(place), objects: context.objects, tokens: try await tokens.current(for: pod))
        let volumes = PodVolumes(
            pod: pod, memory: context.podMemory(pod.uid), disk: "\(directory)/volumes", forbidden: context.directory,
            outsideBase: place.outsideBase)
        let now = context.time.utc()
        return try await LocalPod.blocking { try volumes.place(payload: payload, at: now) }
    }

    func fields(_ place: PodPlace) -> DownwardFields {
        DownwardFields(
            pod: pod, nodeName: context.nodeName, hostAddress: place.hostAddress ?? context.hostAddress,
            podAddress: place.address, allocatable: context.allocatable)
    }
}
