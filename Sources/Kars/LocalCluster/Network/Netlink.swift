import CLinux
import KarsCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A request to the kernel about links, addresses and routes of a network namespace (rtnetlink(7)): bytes, no socket.
struct NetlinkRequest: Equatable, Sendable {
    let type: UInt16
    /// Beyond `NLM_F_REQUEST` and `NLM_F_ACK`.
    let flags: UInt16
    let body: [UInt8]
    /// What it is for, told when the kernel refuses it.
    let purpose: String

    private static let newLink: UInt16 = 16, deleteLink: UInt16 = 17, newAddress: UInt16 = 20, newRoute: UInt16 = 24
    private static let create: UInt16 = 0x400, exclusive: UInt16 = 0x200, replace: UInt16 = 0x100

    // MARK: Requests

    /// A cable between this namespace and the one that `namespace` is open on, both ends down.
    static func cable(_ name: String, peer: String, in namespace: Int32, mtu: UInt32) -> NetlinkRequest {
        let other = linkHeader() + attribute(3, text: peer) + attribute(4, mtu) + attribute(28, UInt32(bitPattern: namespace))
        let information = attribute(1, text: "veth") + attribute(2, attribute(1, other))
        return NetlinkRequest(
            type: newLink, flags: create | exclusive,
            body: linkHeader() + attribute(3, text: name) + attribute(4, mtu) + attribute(18, information),
            purpose: "making link \(name)")
    }

    /// Takes a link away, and with it the other end of a cable.
    static func removal(of link: String) -> NetlinkRequest {
        NetlinkRequest(
            type: deleteLink, flags: 0, body: linkHeader() + attribute(3, text: link), purpose: "removing link \(link)")
    }

    static func up(_ link: UInt32) -> NetlinkRequest {
        NetlinkRequest(type: newLink, flags: 0, body: linkHeader(index: link, isUp: true), purpose: "bringing link \(link) up")
    }

    /// An address of one host on a link.
    static func address(_ address: IPv4Address, on link: UInt32) -> NetlinkRequest {
        // Family, prefix, flags, scope, link.
        let header = [UInt8(AF_INET), 32, 0, 0] + bytes(of: link)
        return NetlinkRequest(
            type: newAddress, flags: create | replace,
            body: header + attribute(2, address.bytes) + attribute(1, address.bytes), purpose: "giving link \(link) \(address)")
    }

    /// The way to `destination`: over `link`, by `gateway` when that is no neighbour, as `source` when this host is the one who sends.
    static func route(
        to destination: IPPrefix, over link: UInt32, by gateway: IPv4Address? = nil, as source: IPv4Address? = nil
    ) -> NetlinkRequest {
        let universe: UInt8 = 0, onLink: UInt8 = 253, mainTable: UInt8 = 254, setByAdministrator: UInt8 = 4, unicast: UInt8 = 1
        var body =
            [
                UInt8(AF_INET), UInt8(destination.length), 0, 0, mainTable, setByAdministrator,
                gateway == nil ? onLink : universe, unicast,
            ]
            + bytes(of: UInt32(0))
        if destination.length > 0 { body += attribute(1, destination.address.bytes) }
        body += attribute(4, link)
        if let gateway { body += attribute(5, gateway.bytes) }
        if let source { body += attribute(7, source.bytes) }
        return NetlinkRequest(type: newRoute, flags: create | replace, body: body, purpose: "setting the route to \(destination)")
    }

    // MARK: Bytes

    /// `nlmsghdr` and body. Numbers are in the machine's order, as the kernel has them.
    func encoded(sequence: UInt32) -> [UInt8] {
        let isRequest: UInt16 = 1, wantsAnswer: UInt16 = 4
        return Self.bytes(of: UInt32(16 + body.count)) + Self.bytes(of: type) + Self.bytes(of: flags | isRequest | wantsAnswer)
            + Self.bytes(of: sequence) + Self.bytes(of: UInt32(0)) + body
    }

    /// The error number in the kernel's answer to `sequence`, 0 for success; nil when this is no such answer.
    static func outcome(of answer: [UInt8], sequence: UInt32) -> Int32? {
        func number(at offset: Int) -> UInt32 {
            answer[offset..<offset + 4].withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
        }
        let errorType: UInt16 = 2
        guard answer.count >= 20, answer[4..<6].elementsEqual(bytes(of: errorType)), number(at: 8) == sequence else { return nil }
        return -Int32(bitPattern: number(at: 16))
    }

    private static func linkHeader(index: UInt32 = 0, isUp: Bool = false) -> [UInt8] {
        // Family, padding, device type, index, flags, mask of flags that change.
        let up: UInt32 = isUp ? 1 : 0
        return [0, 0, 0, 0] + bytes(of: index) + bytes(of: up) + bytes(of: up)
    }

    private static func attribute(_ type: UInt16, _ value: [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (4 - value.count % 4) % 4)
        return bytes(of: UInt16(4 + value.count)) + bytes(of: type) + value + padding
    }

    private static func attribute(_ type: UInt16, _ value: UInt32) -> [UInt8] { attribute(type, bytes(of: value)) }
    private static func attribute(_ type: UInt16, text: String) -> [UInt8] { attribute(type, Array(text.utf8) + [0]) }

    private static func bytes(of value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
}

/// A conversation with the kernel about the network namespace of the thread that opened it.
struct NetlinkSocket: ~Copyable {
    private let descriptor: Int32
    private var sequence: UInt32 = 0

    init() throws(StageError) {
        descriptor = try StageError.check(kars_open_netlink(), "opening a netlink socket")
    }

    deinit { close(descriptor) }

    /// Sends one request and waits for the kernel's word on it.
    mutating func perform(_ request: NetlinkRequest) throws(StageError) {
        sequence += 1
        let message = request.encoded(sequence: sequence)
        guard send(descriptor, message, message.count, 0) == message.count else {
            throw StageError(request.purpose, errno: errno)
        }
        var answer = [UInt8](repeating: 0, count: 8_192)
        while true {
            let count = recv(descriptor, &answer, answer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw StageError(request.purpose, errno: errno) }
            guard let outcome = NetlinkRequest.outcome(of: Array(answer[..<count]), sequence: sequence) else { continue }
            guard outcome == 0 else { throw StageError(request.purpose, errno: outcome) }
            return
        }
    }

    /// The number of a link in this thread's namespace.
    static func index(of link: String) throws(StageError) -> UInt32 {
        let index = if_nametoindex(link)
        guard index > 0 else { throw StageError("finding link \(link)", errno: errno) }
        return index
    }
}
