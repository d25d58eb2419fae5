import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The pod's way out: pasta, or on a machine that is offline a relay to its loopback. Whichever ends is started again.
extension PodSupervisor {
    static let networkDeadline = Duration.seconds(10)
    private static let routeInterval = Duration.seconds(5)

    /// Call once the guard's rules are in force, or before a guard starts. Containers start when packets flow.
    func startNetwork() {
        if case .cluster(let attachment) = launch.network {
            guard !launch.loopbackPorts.isEmpty else { return joinCluster(attachment) }
            return startRelay(isFirst: true) { [self] in joinCluster(attachment) }
        }
        isOffline = !MachineRoutes.haveDefault()
        if isOffline { watchForRoute() }
        let isFirst = runs.allSatisfy { $0.machine.state == .waiting }
        if isOffline, launch.loopbackPorts.isEmpty {
            if isFirst { startContainers() }
            return
        }
        let way = Way(name: isOffline ? "the relay" : "pasta", isFirst: isFirst, up: startContainers, again: startNetwork)
        start(way) { [self] log in
            isOffline
                ? try relay.start(log: log)
                : try PodNetwork(namespaces: namespaces, loopbackPorts: launch.loopbackPorts, lifeline: lifelineReader)
                    .start(forwardsNames: forwardsNames, log: log)
        }
    }

    /// Beside the cluster's network, which leads to no loopback.
    private func startRelay(isFirst: Bool, _ up: @escaping () -> Void) {
        let again = { [self] in startRelay(isFirst: false, up) }
        start(Way(name: "the relay", isFirst: isFirst, up: up, again: again)) { [self] log in try relay.start(log: log) }
    }

    private var relay: LoopbackRelay {
        LoopbackRelay(namespaces: namespaces, ports: launch.loopbackPorts, lifeline: lifelineReader, executable: executable)
    }

    /// A process that makes a way out of the pod.
    private struct Way {
        var name: String
        /// Containers wait for it.
        var isFirst: Bool
        /// It leads out, for the first time.
        var up: () -> Void
        /// It has ended and is wanted still.
        var again: () -> Void
    }

    private func start(_ way: Way, _ make: (Int32) throws -> (process: pid_t, ready: Int32)) {
        do {
            let log = open(networkLog.path, O_WRONLY | O_APPEND | O_CLOEXEC)
            defer { close(log) }
            let started = try make(log)
            follow(started.process, ready: started.ready, way)
        } catch {
            fail("NetworkFailed", "\(error)")
        }
    }

    private func follow(_ process: pid_t, ready: Int32, _ way: Way) {
        network = process
        let deadline = loop.after(Self.networkDeadline) { [self] in
            if way.isFirst { fail("NetworkFailed", "\(way.name) did not come up: \(networkLog.tail())") }
        }
        loop.watch(ready) { [self] in
            var byte: UInt8 = 0
            let count = read(ready, &byte, 1)
            loop.unwatch(ready)
            close(ready)
            loop.cancel(deadline)
            if count > 0, way.isFirst { way.up() }
        }
        loop.onExit(of: process) { [self] code in
            network = nil
            if isStopping { return finishIfEmpty() }
            if way.isFirst, runs.contains(where: { $0.machine.state == .waiting }) {
                return fail("NetworkFailed", "\(way.name) exited with \(code): \(networkLog.tail())")
            }
            loop.after(.seconds(1)) { if !self.isStopping, self.network == nil { way.again() } }
        }
    }

    /// Back online the relay gives way to pasta.
    private func watchForRoute() {
        loop.after(Self.routeInterval) { [self] in
            guard isOffline, !isStopping else { return }
            guard MachineRoutes.haveDefault() else { return watchForRoute() }
            isOffline = false
            writeStatus()
            if let network { kill(network, SIGKILL) } else { startNetwork() }
        }
    }
}

/// The routes of this machine as the kernel lists them.
enum MachineRoutes {
    static func haveDefault() -> Bool {
        let text = { (path: String) in (try? Files.read(path, upTo: 1 << 24)).map { String(decoding: $0, as: UTF8.self) } ?? "" }
        return hasDefault(v4: text("/proc/net/route"), v6: text("/proc/net/ipv6_route"))
    }

    /// Pure: `/proc/net/route` and `/proc/net/ipv6_route`.
    static func hasDefault(v4: String, v6: String) -> Bool {
        let hasV4 = v4.split(separator: "\n").dropFirst().contains {
            let fields = $0.split(separator: "\t")
            return fields.count > 7 && fields[1] == "00000000" && fields[7] == "00000000"
        }
        return hasV4
            || v6.split(separator: "\n").contains {
                let fields = $0.split(separator: " ")
                return fields.count == 10 && fields[0].allSatisfy { $0 == "0" } && fields[1] == "00" && fields[9] != "lo"
            }
    }
}
