import KarsCore
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The network of the embedded cluster's node: pods have addresses and reach each other and Services by address and name, as far as
/// NetworkPolicies let them; the API server is at its Service's address, and the world outside behind `pasta`.
///
/// It owns a process (`NodeNetworkStage`) that holds the namespace, and serves the namespace's sockets: names itself, the API server by
/// passing connections on. A process that ends is started again, pods' supervisors then rejoin by themselves. Everything goes with this
/// process; only pods' addresses are kept, in `directory`.
actor NodeNetwork: ClusterNetwork {
    struct Config: Sendable {
        var addresses: ClusterAddresses
        /// Which iptables; by default the first that works.
        var backend = PacketTool.Choice.auto
        /// Connections to the API server from pods at one time.
        var maxConnections = 1_024
        /// For watches, which say something at least every few minutes.
        var tunnel = TunnelLimits(idle: .seconds(3_600), lifetime: .seconds(86_400))
        var connectLimit = Duration.seconds(5)
        var restartPause = Duration.seconds(1)
    }

    private let directory: String
    private let executable: String
    private let apiServer: SocketAddress
    private let config: Config
    private let log: Log
    private let group: EventLoopGroup
    private let names: ClusterNameServer
    private var book: PodAddressBook
    /// By this process; others in the book are from before, and some of their pods are no more.
    private var attached: Set<String> = []
    private var state = NetworkState()
    private var running: Running?
    private var hasStarted = false
    private var isStopped = false
    /// Changes to the kernel's rules happen one after the other.
    private var lastSettlement: Task<Void, any Error>?
    private var upkeep: Task<Void, Never>?

    /// What of the network is up.
    private struct Running {
        let process: NodeNetworkProcess
        let tool: PacketTool
        let nameServer: DNSServer.Listeners
        let apiServer: TCPListener
        /// In force.
        var rules: NodeRules
        var pods: [String: IPv4Address] = [:]
    }

    /// `directory`: the network's own, readable to nobody else. `executable`: kars. `apiServer`: where it listens on this machine.
    init(
        directory: String, executable: String, apiServer: SocketAddress, config: Config, group: EventLoopGroup, log: Log
    ) throws {
        try Files.createDirectories(directory, mode: 0o700)
        self.directory = directory
        self.executable = executable
        self.apiServer = apiServer
        self.config = config
        self.group = group
        self.log = log.with(["part": "network"])
        book = try PodAddressBook(path: "\(directory)/pod-addresses.json", available: config.addresses.podAddresses)
        names = ClusterNameServer(domain: config.addresses.domain, forwarder: DNSForwarder(group: group), group: group)
    }

    // MARK: Life

    /// Makes the network and waits until it is up, closed to every pod until `apply` says otherwise. Once.
    func start() async throws {
        precondition(!hasStarted, "a network starts once")
        hasStarted = true
        guard geteuid() == 0 else { throw Unavailable() }
        try await bringUp()
        // Unstructured: it lives until `stop`, which cancels it.
        upkeep = Task { await self.keepUp() }
    }

    /// Ends it. Pods keep nothing but their loopback.
    func stop() async {
        isStopped = true
        upkeep?.cancel()
        await takeDown()
    }

    private func bringUp() async throws {
        let directory = directory, executable = executable, addresses = config.addresses
        let process = try await LocalPod.blocking {
            try NodeNetworkProcess(directory: directory, executable: executable, addresses: addresses)
        }
        let rules = NodeRules(NetworkState(), pods: [:], in: addresses)
        let tool = try await Self.installFirst(rules, config.backend, in: process)
        let sockets = try await LocalPod.blocking { try process.sockets() }
        let nameServer: DNSServer.Listeners
        do {
            nameServer = try await names.serve(datagrams: sockets.nameServerDatagrams, streams: sockets.nameServerStreams)
        } catch {
            close(sockets.apiServer)
            throw error
        }
        let relay: TCPListener
        do { relay = try await serveAPI(sockets.apiServer) } catch {
            await nameServer.close()
            throw error
        }
        let fresh = Running(process: process, tool: tool, nameServer: nameServer, apiServer: relay, rules: rules)
        guard !isStopped else { return await end(fresh) }
        running = fresh
        log.info("network.up", ["rules": .string(tool.title), "pods": .string("\(addresses.pods)")])
        try await settle()
    }

    /// Passes connections on to the API server, which listens on the machine and not in the node's network.
    private func serveAPI(_ socket: Int32) async throws(SocketError) -> TCPListener {
        let target = apiServer, config = config, group = group
        var listening = ListenerConfig()
        listening.maxConnections = config.maxConnections
        return try await TCPListener.adopt(socket, config: listening, group: group) { stream in
            // A failure ends the connection, which is what the pod is to see of it.
            guard
                let server = try? await ByteStream.connect(
                    to: target, on: group.currentOrNext(), within: config.connectLimit)
            else { return }
            _ = await stream.tunnel(to: server, limits: config.tunnel)
        }
    }

    private func takeDown() async {
        guard let gone = running else { return }
        running = nil
        await end(gone)
    }

    private func end(_ gone: Running) async {
        await gone.nameServer.close()
        await gone.apiServer.close()
        // Ending a process cannot fail.
        try? await LocalPod.blocking { gone.process.stop() }
    }

    /// Makes the network anew when its process has ended by itself.
    private func keepUp() async {
        while !isStopped {
            if let process = running?.process {
                await process.ended(on: group.next())
                if isStopped { return }
                log.warn("network.ended")
                await takeDown()
            }
            do { try await bringUp() } catch {
                log.error("network.failed", ["reason": .string("\(error)")])
                do { try await Task.sleep(for: config.restartPause) } catch { return }
            }
        }
    }

    // MARK: Pods and rules

    func attach(podUID: String, namespace: String) async throws -> ClusterNetworkAttachment {
        let address = try book.allot(to: podUID)
        attached.insert(podUID)
        // Otherwise the rules come with the state that has it.
        if state.pods.contains(where: { $0.uid == podUID }) { try await settle() }
        let addresses = config.addresses
        return ClusterNetworkAttachment(
            podUID: podUID, address: .v4(address), gateway: .v4(addresses.gateway), nameServer: .v4(addresses.nameServer),
            searchDomains: addresses.searchDomains(namespace: namespace),
            socket: "\(directory)/\(NodeNetworkStage.socketName)")
    }

    func detach(podUID: String) async {
        attached.remove(podUID)
        do {
            try book.release(podUID)
            try await settle()
        } catch {
            log.error("network.detach.failed", ["pod": .string(podUID), "reason": .string("\(error)")])
        }
    }

    /// Makes packets and names follow the cluster's objects; returns when the kernel has the rules. After a failure the former rules
    /// are in force, and pods that they do not know stay outside.
    func apply(_ state: NetworkState) async throws {
        self.state = state
        let present = Set(state.pods.map(\.uid)).union(attached)
        for pod in book.addresses.keys where !present.contains(pod) { try book.release(pod) }
        try await settle()
    }

    private func settle() async throws {
        let former = lastSettlement
        // Unstructured: a caller that is cancelled must not leave rules half-told; it waits for the end.
        let settlement = Task {
            // Its failure was told to whoever asked for it.
            _ = await former?.result
            try await self.settleNow()
        }
        lastSettlement = settlement
        try await settlement.value
    }

    /// What waited together is done by the first, and the others find nothing left to do.
    private func settleNow() async throws {
        let present = Set(state.pods.map(\.uid)), pods = book.addresses.filter { present.contains($0.key) }
        names.update(ClusterNames(state, pods: pods, domain: config.addresses.domain))
        // Not up: the rules come with it.
        guard let current = running else { return }
        let rules = NodeRules(state, pods: pods, in: config.addresses)
        if rules != current.rules {
            try await Self.install(rules, for: .v4, with: current.tool, in: current.process)
            if running?.process === current.process { running?.rules = rules }
        }
        if pods != current.pods {
            try await LocalPod.blocking { try current.process.admit(pods) }
            if running?.process === current.process { running?.pods = pods }
        }
    }

    /// Closes a new namespace with the first back end of the packet rules that works.
    private static func installFirst(
        _ rules: NodeRules, _ choice: PacketTool.Choice, in process: NodeNetworkProcess
    ) async throws -> PacketTool {
        var failures: [String] = []
        for tool in PacketTool.candidates(choice) {
            let missing = GuardPlan.Family.allCases.map { tool.name($0, "restore") }.filter { Programs.find($0) == nil }
            guard missing.isEmpty else {
                failures.append("\(missing.joined(separator: ", ")) not installed")
                continue
            }
            do {
                try await install(rules, for: .v4, with: tool, in: process)
                if try IPv6Presence.inThisNamespace() != .absent {
                    try await install(.closedToIPv6, for: .v6, with: tool, in: process)
                }
                return tool
            } catch {
                failures.append("\(error)")
            }
        }
        throw PacketRuleError(.failed, "the node's network has no packet rules: \(failures.joined(separator: "; "))")
    }

    private static func install(
        _ rules: NodeRules, for family: GuardPlan.Family, with tool: PacketTool, in process: NodeNetworkProcess
    ) async throws {
        let name = tool.name(family, "restore"), text = rules.restoreText
        let result = try await LocalPod.blocking { try process.run(name, ["--wait", "10"], input: text) }
        guard result.succeeded else {
            throw PacketRuleError(.failed, "\(name) failed: \(result.errors.trimmingWhitespace().prefix(1_024))")
        }
    }
}

extension NodeNetwork {
    /// The node's network needs rights over the networks of all pods, which so far only the machine's root has.
    struct Unavailable: Error, Equatable, CustomStringConvertible {
        var description: String {
            "pods of an ordinary user are not joined to a network: each has its own way out and none to other pods; run as root"
        }
    }
}
