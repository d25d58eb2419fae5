import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Links, addresses and sockets of the node's namespace. Each call is a child that enters it, does its work and ends.
struct NodeLinks {
    let addresses: ClusterAddresses
    let namespaces: PodNamespaces

    /// Largest packet on cables: pasta's, so that nothing is cut on its way out.
    private static let mtu: UInt32 = 65_520

    /// Forwarding between pods, and the node's own addresses.
    func prepare() throws(StageError) {
        try inChild { () throws(StageError) in
            // Before there is any link, so that all links inherit it.
            for (setting, value) in [
                ("ipv6/conf/all/disable_ipv6", "1"), ("ipv6/conf/default/disable_ipv6", "1"), ("ipv4/ip_forward", "1"),
                ("ipv4/conf/all/rp_filter", "1"), ("ipv4/conf/default/rp_filter", "1"), ("ipv4/conf/all/send_redirects", "0"),
                ("ipv4/conf/default/send_redirects", "0"), ("ipv4/conf/all/accept_redirects", "0"),
                ("ipv4/conf/default/accept_redirects", "0"), ("ipv4/conf/all/route_localnet", "0"),
            ] { try Self.set(setting, value) }
            var kernel = try NetlinkSocket()
            let loopback = try NetlinkSocket.index(of: "lo")
            for address in [addresses.gateway, addresses.apiServer, addresses.nameServer] {
                try kernel.perform(.address(address, on: loopback))
            }
            // What no pod and no Service has must not leave by the way out; the rules refuse what goes this way.
            for network in [addresses.pods, addresses.services] { try kernel.perform(.route(to: network, over: loopback)) }
        }
    }

    /// Sockets of the node that the cluster's process serves: name server over UDP and over TCP, API server.
    func sockets() throws(StageError) -> [Int32] {
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_socket_pair(&ends), "socketpair")
        defer { for end in ends { close(end) } }
        try inChild { () throws(StageError) in
            func socket(_ address: IPv4Address, _ port: UInt16, listening: Bool) throws(StageError) -> Int32 {
                try StageError.check(kars_bind_inet(address.bits, port, listening ? 1 : 0), "binding \(address):\(port)")
            }
            let made = [
                try socket(addresses.nameServer, ClusterAddresses.dnsPort, listening: false),
                try socket(addresses.nameServer, ClusterAddresses.dnsPort, listening: true),
                try socket(addresses.apiServer, ClusterAddresses.apiServerPort, listening: true),
            ]
            let sent = kars_send_descriptors(ends[1], [UInt8(ascii: "+")], 1, made, made.count)
            guard sent == 1 else { throw StageError("handing sockets over", errno: errno) }
        }
        var byte: [UInt8] = [0], received = [Int32](repeating: -1, count: 4), count = received.count
        guard kars_receive_descriptors(ends[0], &byte, 1, &received, &count) == 1, count == 3 else {
            throw StageError("taking sockets over", errno: errno)
        }
        return Array(received[..<count])
    }

    /// Lays a cable between the node and the pod whose namespace `network` is, and gives the pod its address.
    func connect(_ address: IPv4Address, network: Int32) throws(StageError) {
        let link = addresses.link(of: address)
        guard let host = IPPrefix(containing: .v4(address), length: 32),
            let gateway = IPPrefix(containing: .v4(addresses.gateway), length: 32),
            let everywhere = IPPrefix(containing: .anyV4, length: 0)
        else { preconditionFailure("lengths of IPv4 prefixes") }
        try inChild { () throws(StageError) in
            var node = try NetlinkSocket()
            // One that a pod of this address left behind.
            try? node.perform(.removal(of: link))
            try node.perform(.cable(link, peer: ClusterAddresses.podLink, in: network, mtu: Self.mtu))
            let index = try NetlinkSocket.index(of: link)
            try node.perform(.up(index))
            try node.perform(.route(to: host, over: index, as: addresses.gateway))
            try StageError.check(kars_join(network, KARS_NEWNET), "joining the pod's network")
            try Self.set("ipv6/conf/\(ClusterAddresses.podLink)/disable_ipv6", "1")
            var pod = try NetlinkSocket()
            let end = try NetlinkSocket.index(of: ClusterAddresses.podLink)
            try pod.perform(.address(address, on: end))
            try pod.perform(.up(end))
            try pod.perform(.route(to: gateway, over: end))
            try pod.perform(.route(to: everywhere, over: end, by: addresses.gateway))
        }
    }

    /// Takes the pod's cable away.
    func disconnect(_ address: IPv4Address) throws(StageError) {
        try inChild { () throws(StageError) in
            var node = try NetlinkSocket()
            try node.perform(.removal(of: addresses.link(of: address)))
        }
    }

    /// A setting of this process's network namespace. One of a protocol that the kernel does not have needs none.
    private static func set(_ setting: String, _ value: String) throws(StageError) {
        let path = "/proc/sys/net/\(setting)"
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        try StageError.check(descriptor, "opening \(path)")
        defer { close(descriptor) }
        guard write(descriptor, value, value.utf8.count) == value.utf8.count else {
            throw StageError("writing \(path)", errno: errno)
        }
    }

    /// Runs `body` in a child that has entered the node's namespace, and throws what it threw.
    private func inChild(_ body: () throws(StageError) -> Void) throws(StageError) {
        var ends: [Int32] = [-1, -1]
        try StageError.check(kars_pipe(&ends), "pipe")
        let child = kars_fork()
        if child == 0 {
            kars_die_with_parent(SIGKILL)
            do throws(StageError) {
                try namespaces.enterNetworkToChangeIt()
                try body()
                _exit(0)
            } catch {
                Descriptors.writeAll("\(error.errno) \(error.step)".utf8, to: ends[1])
                _exit(1)
            }
        }
        close(ends[1])
        defer { close(ends[0]) }
        try StageError.check(child, "fork")
        let words = String(decoding: Descriptors.readAll(ends[0], upTo: 4_096), as: UTF8.self).split(separator: " ", maxSplits: 1)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard kars_wait_status_exit_code(status) != 0 else { return }
        throw StageError(
            words.count == 2 ? String(words[1]) : "the node's child ended", errno: words.first.flatMap { Int32($0) } ?? 0)
    }
}
