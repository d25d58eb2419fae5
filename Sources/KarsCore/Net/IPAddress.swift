/// An IPv4 or IPv6 address as a value: strict text in, canonical text out, and what the registries say about it.
///
/// It knows no sockets (`SocketAddress` does) and makes no decision: `AddressPolicy` decides which kinds may be reached.
/// Zone identifiers are not part of an address; text with one is refused, because a zone is only needed for link-local
/// addresses, which nothing here may contact.
package enum IPAddress: Hashable, Sendable {
    case v4(IPv4Address)
    case v6(IPv6Address)

    /// Reads four decimal octets without leading zeros, or RFC 4291 §2.2 text; nil for anything else. The short, octal,
    /// hexadecimal and single-number forms that `inet_aton` takes are refused: two readers of one such text may see two
    /// different hosts.
    package init?(_ text: some StringProtocol) {
        self.init(utf8: Array(text.utf8)[...])
    }

    package init?(utf8 bytes: ArraySlice<UInt8>) {
        if let address = IPv4Address(utf8: bytes) {
            self = .v4(address)
        } else if let address = IPv6Address(utf8: bytes) {
            self = .v6(address)
        } else {
            return nil
        }
    }

    /// Four or sixteen bytes in network order; nil for any other count.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(IPv4Address(bits: bytes.reduce(0) { $0 << 8 | UInt32($1) }))
        case 16:
            let high = bytes.prefix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            let low = bytes.suffix(8).reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            self = .v6(IPv6Address(high: high, low: low))
        default: return nil
        }
    }

    package static let loopbackV4 = IPAddress.v4(.loopback)
    package static let loopbackV6 = IPAddress.v6(.loopback)
    /// Every local IPv4 address, for listeners.
    package static let anyV4 = IPAddress.v4(IPv4Address(bits: 0))
    package static let anyV6 = IPAddress.v6(IPv6Address(high: 0, low: 0))

    /// Network order: 4 or 16 bytes.
    package var bytes: [UInt8] {
        switch self {
        case .v4(let address): address.bytes
        case .v6(let address): address.bytes
        }
    }

    /// 32 or 128.
    package var bitWidth: Int {
        switch self {
        case .v4: 32
        case .v6: 128
        }
    }

    package var isV6: Bool { bitWidth == 128 }

    /// The IPv4 address inside a v4-mapped one (`::ffff:a.b.c.d`), which the kernel contacts over IPv4; otherwise itself.
    package var unmapped: IPAddress {
        guard case .v6(let address) = self, let embedded = address.mappedV4 else { return self }
        return .v4(embedded)
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted decimal, or RFC 5952 text.
    package var description: String {
        switch self {
        case .v4(let address): address.description
        case .v6(let address): address.description
        }
    }
}

// MARK: - The two families

package struct IPv4Address: Hashable, Comparable, Sendable {
    /// Host order: `127.0.0.1` is 0x7f00_0001.
    package var bits: UInt32

    package init(bits: UInt32) { self.bits = bits }

    package init(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8) {
        bits = UInt32(a) << 24 | UInt32(b) << 16 | UInt32(c) << 8 | UInt32(d)
    }

    package static let loopback = IPv4Address(127, 0, 0, 1)

    package var bytes: [UInt8] { [UInt8(bits >> 24), UInt8(bits >> 16 & 255), UInt8(bits >> 8 & 255), UInt8(bits & 255)] }

    package static func < (a: Self, b: Self) -> Bool { a.bits < b.bits }
}

extension IPv4Address: CustomStringConvertible {
    package var description: String { bytes.map { String($0) }.joined(separator: ".") }

    init?(utf8 text: ArraySlice<UInt8>) {
        guard text.count <= 15 else { return nil }
        var bits: UInt32 = 0
        var octets = 0
        for part in text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            guard octets < 4, (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var octet: UInt32 = 0
            for digit in part {
                guard case 48...57 = digit else { return nil }
                octet = octet * 10 + UInt32(digit - 48)
            }
            guard octet <= 255 else { return nil }
            bits = bits << 8 | octet
            octets += 1
        }
        guard octets == 4 else { return nil }
        self.bits = bits
    }
}

package struct IPv6Address: Hashable, Comparable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static let loopback = IPv6Address(high: 0, low: 1)

    package var bytes: [UInt8] {
        [high, low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
    }

    /// Eight groups of 16 bits, first one first.
    package var groups: [UInt16] {
        [high, low].flatMap { half in (0..<4).map { UInt16(truncatingIfNeeded: half >> (48 - 16 * $0)) } }
    }

    /// The address inside `::ffff:0:0/96` (RFC 4291 §2.5.5.2).
    package var mappedV4: IPv4Address? {
        high == 0 && low >> 32 == 0xffff ? IPv4Address(bits: UInt32(truncatingIfNeeded: low)) : nil
    }

    package static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

extension IPv6Address: CustomStringConvertible {
    /// RFC 5952 §4: lower case, no leading zeros, the first longest run of two or more zero groups as `::`; v4-mapped
    /// addresses end in dotted decimal (§5).
    package var description: String {
        if let mappedV4 { return "::ffff:\(mappedV4)" }
        let groups = groups
        var run = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start >= 2, end - start > run.count { run = start..<end }
            start = max(end, start + 1)
        }
        func text(_ part: ArraySlice<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        return run.isEmpty ? text(groups[...]) : "\(text(groups[..<run.lowerBound]))::\(text(groups[run.upperBound...]))"
    }

    init?(utf8 text: ArraySlice<UInt8>) {
        let colon = UInt8(ascii: ":")
        guard (2...45).contains(text.count) else { return nil }
        var groups: [UInt16] = []
        /// How many groups stand before the `::`.
        var gap: Int?
        var rest = text
        if rest.first == colon {
            rest = rest.dropFirst()
            guard rest.first == colon else { return nil }
            rest = rest.dropFirst()
            gap = 0
        }
        while !rest.isEmpty {
            let end = rest.firstIndex(of: colon) ?? rest.endIndex
            let part = rest[..<end]
            if end == rest.endIndex, part.contains(UInt8(ascii: ".")) {
                guard groups.count <= 6, let tail = IPv4Address(utf8: part) else { return nil }
                groups += [UInt16(tail.bits >> 16), UInt16(tail.bits & 0xffff)]
                break
            }
            guard groups.count < 8, (1...4).contains(part.count) else { return nil }
            var group: UInt16 = 0
            for digit in part {
                switch digit {
                case 48...57: group = group << 4 | UInt16(digit - 48)
                case 65...70: group = group << 4 | UInt16(digit - 55)
                case 97...102: group = group << 4 | UInt16(digit - 87)
                default: return nil
                }
            }
            groups.append(group)
            guard end < rest.endIndex else { break }
            rest = rest[(end + 1)...]
            if rest.isEmpty { return nil }  // a single colon at the end
            if rest.first == colon {
                guard gap == nil else { return nil }
                gap = groups.count
                rest = rest.dropFirst()
            }
        }
        if let gap {
            guard groups.count < 8 else { return nil }
            groups.insert(contentsOf: repeatElement(0, count: 8 - groups.count), at: gap)
        }
        guard groups.count == 8 else { return nil }
        high = groups[..<4].reduce(0) { $0 << 16 | UInt64($1) }
        low = groups[4...].reduce(0) { $0 << 16 | UInt64($1) }
    }
}

// MARK: - Prefixes

/// A CIDR block. Host bits must be zero in text: `10.0.0.1/8` is more often a typing error than a wish for `10.0.0.0/8`.
package struct IPPrefix: Hashable, Sendable {
    package let address: IPAddress
    /// 0...32 or 0...128.
    package let length: Int

    /// The block of `length` leading bits that holds `address`; nil when `length` is out of range.
    package init?(containing address: IPAddress, length: Int) {
        guard (0...address.bitWidth).contains(length) else { return nil }
        switch address {
        case .v4(let v4): self.address = .v4(IPv4Address(bits: v4.bits & Self.mask(length)))
        case .v6(let v6):
            self.address = .v6(
                IPv6Address(high: v6.high & Self.mask(min(length, 64)), low: v6.low & Self.mask(max(length - 64, 0))))
        }
        self.length = length
    }

    /// `address/length`, or an address alone for exactly that host; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let first = parts.first, let address = IPAddress(first) else { return nil }
        var length = address.bitWidth
        if parts.count == 2 {
            let digits = parts[1].utf8
            guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
                digits.count == 1 || digits.first != UInt8(ascii: "0"), let number = Int(parts[1])
            else { return nil }
            length = number
        }
        guard let prefix = IPPrefix(containing: address, length: length), prefix.address == address else { return nil }
        self = prefix
    }

    package func contains(_ other: IPAddress) -> Bool {
        switch (address, other) {
        case (.v4(let mine), .v4(let theirs)): (mine.bits ^ theirs.bits) & Self.mask(length) == 0
        case (.v6(let mine), .v6(let theirs)):
            (mine.high ^ theirs.high) & Self.mask(min(length, 64)) == 0
                && (mine.low ^ theirs.low) & Self.mask(max(length - 64, 0)) == 0
        default: false
        }
    }

    private static func mask<Bits: FixedWidthInteger & UnsignedInteger>(_ length: Int) -> Bits {
        length == 0 ? 0 : Bits.max << (Bits.bitWidth - length)
    }
}

extension IPPrefix: CustomStringConvertible {
    package var description: String { "\(address)/\(length)" }
}

// MARK: - What an address is

extension IPAddress {
    /// What the registries (IANA special-purpose registries, RFC 6890) and the clouds say an address is for.
    package enum Kind: String, CaseIterable, Sendable {
        case global
        case unspecified, loopback, multicast, broadcast
        /// A cloud's instance metadata or host agent, which hands credentials to whoever asks.
        case metadata
        case linkLocal = "link-local"
        /// 0.0.0.0/8: some stacks take it as this host.
        case thisNetwork = "this network"
        case privateUse = "private"
        /// 100.64.0.0/10 (RFC 6598): carriers, and the pods of several clouds.
        case sharedAddressSpace = "carrier-grade NAT"
        case documentation, benchmarking, reserved
        case protocolAssignments = "protocol assignments"
        /// 64:ff9b::/96 and 64:ff9b:1::/48: a gateway turns it into the IPv4 address in its last bits (RFC 6052).
        case nat64 = "NAT64"
        /// 2002::/16 and 2001::/32: relays send it on to an IPv4 address inside.
        case sixToFour = "6to4"
        case teredo = "Teredo"
        /// ::/96, deprecated (RFC 4291 §2.5.5.1).
        case v4Compatible = "IPv4-compatible"
    }

    /// A v4-mapped address is what its IPv4 address is, because that is what the kernel contacts.
    package var kind: Kind {
        switch unmapped {
        case .v4(let address): address.kind
        case .v6(let address): address.kind
        }
    }

    /// Whether this is an ordinary public unicast address.
    package var isGloballyRoutable: Bool { kind == .global }

    /// The IPv4 address that a NAT64 gateway (64:ff9b::/96), a 6to4 relay or the kernel (v4-mapped) contacts for this address.
    package var embeddedV4: IPv4Address? {
        guard case .v6(let address) = self else { return nil }
        switch address.kind {
        case .nat64 where address.high == 0x0064_ff9b_0000_0000: return IPv4Address(bits: UInt32(truncatingIfNeeded: address.low))
        case .sixToFour: return IPv4Address(bits: UInt32(truncatingIfNeeded: address.high >> 16))
        case .v4Compatible: return IPv4Address(bits: UInt32(truncatingIfNeeded: address.low))
        default: return address.mappedV4
        }
    }
}

extension IPv4Address {
    var kind: IPAddress.Kind {
        switch bits {
        case 0: .unspecified
        case 0xa9fe_a9fe: .metadata  // 169.254.169.254: AWS, Azure, Google, …
        case 0xa83f_8110: .metadata  // 168.63.129.16: Azure's host agent, a public address that only virtual machines reach
        case 0x6464_64c8: .metadata  // 100.100.100.200: Alibaba
        case 0xc000_00c0: .metadata  // 192.0.0.192: Oracle
        case 0xffff_ffff: .broadcast
        case 0x0000_0001...0x00ff_ffff: .thisNetwork  // 0/8
        case 0x0a00_0000...0x0aff_ffff: .privateUse  // 10/8
        case 0x6440_0000...0x647f_ffff: .sharedAddressSpace  // 100.64/10
        case 0x7f00_0000...0x7fff_ffff: .loopback  // 127/8
        case 0xa9fe_0000...0xa9fe_ffff: .linkLocal  // 169.254/16
        case 0xac10_0000...0xac1f_ffff: .privateUse  // 172.16/12
        case 0xc000_0000...0xc000_00ff: .protocolAssignments  // 192.0.0/24
        case 0xc000_0200...0xc000_02ff: .documentation  // 192.0.2/24
        case 0xc058_6300...0xc058_63ff: .sixToFour  // 192.88.99/24, relay anycast
        case 0xc0a8_0000...0xc0a8_ffff: .privateUse  // 192.168/16
        case 0xc612_0000...0xc613_ffff: .benchmarking  // 198.18/15
        case 0xc633_6400...0xc633_64ff: .documentation  // 198.51.100/24
        case 0xcb00_7100...0xcb00_71ff: .documentation  // 203.0.113/24
        case 0xe000_0000...0xefff_ffff: .multicast  // 224/4
        case 0xf000_0000...0xffff_fffe: .reserved  // 240/4
        default: .global
        }
    }
}

extension IPv6Address {
    /// For addresses that are not v4-mapped. Only 2000::/3 is global unicast today; the rest is refused as reserved, so that
    /// a range that gets a meaning tomorrow is not open yesterday.
    var kind: IPAddress.Kind {
        switch (high, low) {
        case (0, 0): return .unspecified
        case (0, 1): return .loopback
        case (0xfd00_0ec2_0000_0000, 0x254), (0xfd20_00ce_0000_0000, 0x254): return .metadata  // AWS, Google
        case (0, _) where low >> 32 == 0: return .v4Compatible
        default: break
        }
        switch high >> 32 {
        case 0x0064_ff9b where high == 0x0064_ff9b_0000_0000 && low >> 32 == 0: return .nat64
        case 0x0064_ff9b where high >> 16 == 0x0064_ff9b_0001: return .nat64
        case 0x2001_0000: return .teredo
        case 0x2001_0db8: return .documentation
        case 0x2001_0001...0x2001_01ff:
            return high >> 16 == 0x2001_0002_0000 ? .benchmarking : .protocolAssignments  // 2001::/23
        default: break
        }
        switch high >> 48 {
        case 0x2002: return .sixToFour
        case 0x3fff where high >> 44 == 0x3fff0: return .documentation  // RFC 9637
        case 0x2000...0x3fff: return .global
        case 0xfc00...0xfdff: return .privateUse
        case 0xfe80...0xfebf: return .linkLocal
        case 0xfec0...0xfeff: return .privateUse  // site-local, deprecated (RFC 3879)
        case 0xff00...0xffff: return .multicast
        default: return .reserved
        }
    }
}
