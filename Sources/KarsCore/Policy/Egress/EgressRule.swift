/// One permitted (or denied) destination: a host pattern and a port.
package struct EgressRule: Hashable, Sendable {
    package enum Pattern: Hashable, Sendable {
        case exact(Host)
        /// `*.example.com`: every name below, at any depth, not `example.com` itself.
        case below(HostName)
    }

    package var pattern: Pattern
    package var port: UInt16

    package init(_ pattern: Pattern, port: UInt16 = 443) {
        self.pattern = pattern
        self.port = port
    }

    /// Reads a host pattern: a name, an address, or `*.` and a name. A star anywhere else is refused.
    package init(host text: some StringProtocol, port: UInt16 = 443) throws(HostName.Problem) {
        let trimmed = Array(text.utf8).trimmedSpaces
        if trimmed.starts(with: Array("*.".utf8)) {
            self.init(.below(try HostName(utf8: trimmed.dropFirst(2))), port: port)
        } else {
            self.init(.exact(try Host(utf8: trimmed)), port: port)
        }
    }

    /// Reads `host` or `host:port`.
    package init(parsing text: some StringProtocol, defaultPort: UInt16 = 443) throws(HostName.Problem) {
        let isSuffix = text.hasPrefix("*.")
        let (host, port) = try Host.authority(isSuffix ? String(text.dropFirst(2)) : String(text))
        switch host {
        case .name(let name): self.init(isSuffix ? .below(name) : .exact(host), port: port ?? defaultPort)
        case .address:
            guard !isSuffix else { throw .badCharacter(UInt8(ascii: "*")) }
            self.init(.exact(host), port: port ?? defaultPort)
        }
    }

    /// The host part as policies and documents write it.
    package var host: String { pattern.description }

    package func matches(_ other: Host) -> Bool {
        switch (pattern, other) {
        case (.exact(let mine), _): mine == other
        case (.below(let suffix), .name(let name)): name.parents.contains { $0 == suffix.text }
        case (.below, .address): false
        }
    }
}

extension EgressRule.Pattern: CustomStringConvertible {
    package var description: String {
        switch self {
        case .exact(.name(let name)): name.text
        case .exact(.address(let address)): address.description
        case .below(let name): "*.\(name.text)"
        }
    }
}

extension EgressRule: CustomStringConvertible, Comparable {
    package var description: String {
        if case .exact(.address(let address)) = pattern, address.isV6 { return "[\(address)]:\(port)" }
        return "\(host):\(port)"
    }

    /// By the bytes of the host, then the port: the order of the merged digest (spec/router 16.8).
    package static func < (a: Self, b: Self) -> Bool { (a.host, a.port) < (b.host, b.port) }
}

/// A temporary grant on top of the allowlist (an `EgressGrant`), as its file says it.
package struct EgressGrant: Equatable, Sendable {
    package var name: String
    package var rules: [EgressRule]
    package var effectiveAt: UTCTime
    package var expiresAt: UTCTime

    package init(name: String, rules: [EgressRule], effectiveAt: UTCTime, expiresAt: UTCTime) {
        self.name = name
        self.rules = rules
        self.effectiveAt = effectiveAt
        self.expiresAt = expiresAt
    }

    /// Expiry is enforced here, at each decision, so that a grant ends even when the controller is away.
    package func isActive(at now: UTCTime) -> Bool { effectiveAt <= now && now < expiresAt }
}

extension Array<UInt8> {
    /// Without spaces and tabs at the ends.
    fileprivate var trimmedSpaces: ArraySlice<UInt8> {
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
        var rest = self[...].drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }
}
