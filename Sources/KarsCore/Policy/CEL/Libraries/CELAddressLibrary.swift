/// A network address with the length of its prefix. Unlike `IPPrefix` it may have host bits: `192.168.0.1/24`.
package struct CELCIDR: Equatable, Sendable, CustomStringConvertible {
    package let address: IPAddress
    /// The network: `address` without its host bits.
    package let network: IPPrefix

    /// Nil for anything but `address/length`, and for IPv4-mapped addresses.
    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let address = IPAddress(parts[0]), address.unmapped == address,
            (1...3).contains(parts[1].utf8.count), parts[1].utf8.allSatisfy({ (48...57).contains($0) }),
            parts[1].utf8.count == 1 || parts[1].first != "0", let length = Int(parts[1]),
            let network = IPPrefix(containing: address, length: length)
        else { return nil }
        self.init(address: address, network: network)
    }

    init(address: IPAddress, network: IPPrefix) {
        self.address = address
        self.network = network
    }

    package var description: String { "\(address)/\(network.length)" }
}

/// The IP and CIDR libraries of Kubernetes.
enum CELAddressLibrary {
    private static let ipType = CELType.opaque(.ip)
    private static let cidrType = CELType.opaque(.cidr)

    static let overloads: [CELOverload] = [
        .function("ip", [.string], ipType, .unary(ip)),
        .function("isIP", [.string], .bool, .unary(isIP)),
        .function("ip.isCanonical", [.string], .bool, .unary(isCanonical)),
        reading("family", .int) { .int($0.isV6 ? 6 : 4) },
        reading("isUnspecified") { .bool($0.kind == .unspecified) },
        reading("isLoopback") { .bool($0.kind == .loopback) },
        reading("isLinkLocalMulticast") { .bool($0.isLinkLocalMulticast) },
        reading("isLinkLocalUnicast") { .bool($0.isLinkLocalUnicast) },
        reading("isGlobalUnicast") { .bool($0.isGlobalUnicast) },
        .function("cidr", [.string], cidrType, .unary(cidr)),
        .function("isCIDR", [.string], .bool, .unary(isCIDR)),
        .member("containsIP", [cidrType, .string], .bool, .binary(containsIP)),
        .member("containsIP", [cidrType, ipType], .bool, .binary(containsIP)),
        .member("containsCIDR", [cidrType, .string], .bool, .binary(containsCIDR)),
        .member("containsCIDR", [cidrType, cidrType], .bool, .binary(containsCIDR)),
        .member("ip", [cidrType], ipType, .unary(address)),
        .member("prefixLength", [cidrType], .int, .unary(prefixLength)),
        .member("masked", [cidrType], cidrType, .unary(masked)),
    ]

    private static func reading(
        _ name: String, _ result: CELType = .bool, _ read: @escaping @Sendable (IPAddress) -> CELValue
    ) -> CELOverload {
        .member(
            name, [ipType], result,
            .unary { (address, frame) throws(CELEvaluationError) in
                guard case .opaque(.ip(let address)) = address else { throw .noSuchOverload }
                try frame.charge(1)
                return read(address)
            })
    }

    // MARK: Addresses

    private static func parseIP(_ text: String) throws(CELEvaluationError) -> IPAddress {
        let shown = CELFormatting.quoted(text, limit: 100)
        guard let address = IPAddress(text) else {
            throw .invalid(
                "IP Address \(shown) parse error during conversion from string: ParseAddr(\(shown)): unable to parse IP")
        }
        guard address.unmapped == address else { throw .invalid("IPv4-mapped IPv6 address \(shown) is not allowed") }
        return address
    }

    static func ip(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .opaque(.ip(try parseIP(text)))
    }

    static func isIP(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .bool((try? parseIP(text)) != nil)
    }

    static func isCanonical(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count * 2)
        return .bool(try parseIP(text).description.hasSameUTF8(as: text))
    }

    // MARK: Blocks

    private static func parseCIDR(_ text: String) throws(CELEvaluationError) -> CELCIDR {
        guard let block = CELCIDR(text) else {
            let shown = CELFormatting.quoted(text, limit: 100)
            throw .invalid(
                "network address parse error during conversion from string: netip.ParsePrefix(\(shown)): no such prefix")
        }
        return block
    }

    static func cidr(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .opaque(.cidr(try parseCIDR(text)))
    }

    static func isCIDR(_ text: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        let text = try text.text()
        try frame.chargeText(text.utf8.count)
        return .bool(CELCIDR(text) != nil)
    }

    static func containsIP(
        _ block: CELValue, _ address: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.cidr(let block)) = block else { throw .noSuchOverload }
        try frame.charge(4)
        switch address {
        case .string(let text):
            try frame.chargeText(text.utf8.count)
            return .bool(block.network.contains(try parseIP(text)))
        case .opaque(.ip(let address)): return .bool(block.network.contains(address))
        default: throw .noSuchOverload
        }
    }

    static func containsCIDR(
        _ block: CELValue, _ other: CELValue, _ frame: inout CELFrame
    ) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.cidr(let block)) = block else { throw .noSuchOverload }
        try frame.charge(6)
        let inner: CELCIDR
        switch other {
        case .string(let text):
            try frame.chargeText(text.utf8.count)
            inner = try parseCIDR(text)
        case .opaque(.cidr(let other)): inner = other
        default: throw .noSuchOverload
        }
        return .bool(block.network.length <= inner.network.length && block.network.contains(inner.address))
    }

    static func address(_ block: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.cidr(let block)) = block else { throw .noSuchOverload }
        try frame.charge(1)
        return .opaque(.ip(block.address))
    }

    static func prefixLength(_ block: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.cidr(let block)) = block else { throw .noSuchOverload }
        try frame.charge(1)
        return .int(Int64(block.network.length))
    }

    static func masked(_ block: CELValue, _ frame: inout CELFrame) throws(CELEvaluationError) -> CELValue {
        guard case .opaque(.cidr(let block)) = block else { throw .noSuchOverload }
        try frame.charge(1)
        return .opaque(.cidr(CELCIDR(address: block.network.address, network: block.network)))
    }
}

// MARK: - What Go calls them

extension IPAddress {
    /// 224.0.0.0/24 or ff02::/16, flags aside.
    fileprivate var isLinkLocalMulticast: Bool {
        switch self {
        case .v4(let address): address.bits >> 8 == 0xe00000
        case .v6(let address): address.high >> 48 & 0xff0f == 0xff02
        }
    }

    /// 169.254.0.0/16 or fe80::/10.
    fileprivate var isLinkLocalUnicast: Bool {
        switch self {
        case .v4(let address): address.bits >> 16 == 0xa9fe
        case .v6(let address): address.high >> 54 == 0xfe80 >> 6
        }
    }

    /// Everything but unspecified, broadcast, loopback, multicast and link-local; private addresses included.
    fileprivate var isGlobalUnicast: Bool {
        let isMulticast =
            switch self {
            case .v4(let address): address.bits >> 28 == 0xe
            case .v6(let address): address.high >> 56 == 0xff
            }
        return kind != .unspecified && kind != .broadcast && kind != .loopback && !isMulticast && !isLinkLocalUnicast
    }
}
