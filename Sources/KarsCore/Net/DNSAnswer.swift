/// One record of an answer, as data (RFC 1035 §3.2.1).
package struct DNSAnswer: Equatable, Sendable {
    package enum Data: Equatable, Sendable {
        case address(IPAddress)
        /// The name is another name for this one (CNAME).
        case alias(HostName)
        /// RFC 2782.
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: HostName)
        /// The name of an address (PTR).
        case pointer(HostName)
    }

    /// Whose record it is; nil for the name that was asked for.
    package var owner: HostName?
    package var data: Data

    package init(_ data: Data, of owner: HostName? = nil) {
        self.data = data
        self.owner = owner
    }

    package var type: DNSType {
        switch data {
        case .address(let address): address.isV6 ? .aaaa : .a
        case .alias: .alias
        case .service: .service
        case .pointer: .pointer
        }
    }

    /// Name, type, class, time to live in seconds, and data. The name of the question is a pointer to it: it follows the header.
    func encoded(ttl: UInt32) -> [UInt8] {
        let name = owner.map(Self.encoded) ?? [0xc0, 12]
        let content: [UInt8] =
            switch data {
            case .address(let address): address.bytes
            case .alias(let name), .pointer(let name): Self.encoded(name)
            // Without compression (RFC 2782).
            case .service(let priority, let weight, let port, let target):
                [priority, weight, port].flatMap(\.networkBytes) + Self.encoded(target)
            }
        return name + type.rawValue.networkBytes + UInt16(1).networkBytes + ttl.networkBytes
            + UInt16(content.count).networkBytes + content
    }

    /// Labels with their lengths; a host name's are short enough.
    private static func encoded(_ name: HostName) -> [UInt8] {
        name.text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}
