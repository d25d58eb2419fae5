#if canImport(Glibc)
package import Glibc
#elseif canImport(Darwin)
package import Darwin
#endif

/// An IP address and a port, in the shape that sockets want.
package struct SocketAddress: Hashable, Sendable {
    package var ip: IPAddress
    package var port: UInt16

    package init(_ ip: IPAddress, port: UInt16) {
        self.ip = ip
        self.port = port
    }

    /// `a.b.c.d:port` or `[v6]:port`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(digits)
        else { return nil }
        let isBracketed = host.first == "[" && host.last == "]"
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let ip = IPAddress(host), ip.isV6 == isBracketed else { return nil }
        self.init(ip, port: port)
    }

    /// Of `AF_INET` and `AF_INET6`; nil for other families.
    package init?(_ storage: sockaddr_storage) {
        let address: SocketAddress? = withUnsafeBytes(of: storage) { raw in
            switch Int32(storage.ss_family) {
            case AF_INET:
                let v4 = raw.loadUnaligned(as: sockaddr_in.self)
                return SocketAddress(
                    .v4(IPv4Address(bits: UInt32(bigEndian: v4.sin_addr.s_addr))), port: UInt16(bigEndian: v4.sin_port))
            case AF_INET6:
                let v6 = raw.loadUnaligned(as: sockaddr_in6.self)
                let ip = withUnsafeBytes(of: v6.sin6_addr) { IPAddress(bytes: $0) }
                return ip.map { SocketAddress($0, port: UInt16(bigEndian: v6.sin6_port)) }
            default: return nil
            }
        }
        guard let address else { return nil }
        self = address
    }

    /// `AF_INET` or `AF_INET6`.
    package var family: Int32 { ip.isV6 ? AF_INET6 : AF_INET }

    package var storage: sockaddr_storage {
        var storage = sockaddr_storage()
        withUnsafeMutableBytes(of: &storage) { raw in
            switch ip {
            case .v4(let address):
                var v4 = sockaddr_in()
                v4.sin_family = sa_family_t(AF_INET)
                v4.sin_port = port.bigEndian
                v4.sin_addr.s_addr = address.bits.bigEndian
                raw.storeBytes(of: v4, as: sockaddr_in.self)
            case .v6(let address):
                var v6 = sockaddr_in6()
                v6.sin6_family = sa_family_t(AF_INET6)
                v6.sin6_port = port.bigEndian
                withUnsafeMutableBytes(of: &v6.sin6_addr) { $0.copyBytes(from: address.bytes) }
                raw.storeBytes(of: v6, as: sockaddr_in6.self)
            }
        }
        return storage
    }

    /// Calls `body` with the C structure and its length in bytes, for `bind`, `connect` and `sendto`.
    package func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Result) rethrows -> Result {
        let length = ip.isV6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
        return try withUnsafeBytes(of: storage) { raw in
            try raw.withMemoryRebound(to: sockaddr.self) { bound in
                guard let start = bound.baseAddress else { preconditionFailure("sockaddr_storage has no address") }
                return try body(start, socklen_t(length))
            }
        }
    }
}

extension SocketAddress: CustomStringConvertible {
    package var description: String { ip.isV6 ? "[\(ip)]:\(port)" : "\(ip):\(port)" }
}

extension SocketAddress {
    /// The family of Unix-domain sockets, which have no `SocketAddress`.
    static var unixFamily: CInt { AF_UNIX }
}
