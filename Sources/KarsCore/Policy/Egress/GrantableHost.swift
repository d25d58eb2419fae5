/// Which hosts may be granted for a while: names in the public DNS, and nothing that means this machine, this cluster or its cloud.
///
/// A grant is written by people who are not the ones that run the cluster. What a name resolves to is judged again when a connection is
/// made (`AddressPolicy`); this is what can be said of the name alone, and early.
package enum GrantableHost {
    /// At least two labels, the last of which begins with a letter: no wildcard, no address in any spelling, no name without a dot,
    /// which belongs to a search domain.
    package static let pattern = "^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?[.])+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"

    /// Top-level names that never leave a machine, a network, a cluster or a cloud (RFC 6761, RFC 8375, RFC 9476, ICANN's `internal`).
    /// `svc` is how Services end when a search domain is added. Metadata services live under `internal` and `local`.
    package static let refusedSuffixes = [
        "localhost", "local", "localdomain", "internal", "svc", "svc.cluster", "cluster", "home.arpa", "lan", "intranet", "alt",
        "onion",
    ]

    /// Why `host` cannot be granted; nil when it can. Case and one dot at the end do not matter to the second check, but the dot is
    /// refused by the first.
    package static func fault(in host: String) -> String? {
        guard matches(host) else { return "expected a host name with a dot in it; no wildcard, no address" }
        let name = host.lowercased()
        for suffix in refusedSuffixes where name.hasSuffix("." + suffix) {
            return "names under .\(suffix) are inside the cluster or the machine"
        }
        return nil
    }

    /// The rule in CEL for the text in `expression`, which matched `pattern`.
    package static func rule(_ expression: String) -> String {
        let alternatives = refusedSuffixes.map { $0.replacing(".", with: "[.]") }.joined(separator: "|")
        return "!\(expression).lowerAscii().matches('[.](\(alternatives))$')"
    }

    package static let message = "names inside the cluster or the machine cannot be granted"

    /// As `pattern` does.
    private static func matches(_ host: String) -> Bool {
        let labels = host.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.count >= 2, let last = labels.last else { return false }
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
        }
        func isLabel(_ label: Substring.UTF8View.SubSequence, underscores: Bool) -> Bool {
            guard (1...63).contains(label.count), label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
                return false
            }
            return label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || (underscores && $0 == UInt8(ascii: "_")) }
        }
        guard let first = last.first, isAlphanumeric(first), !(48...57).contains(first), isLabel(last, underscores: false) else {
            return false
        }
        return labels.dropLast().allSatisfy { isLabel($0, underscores: true) }
    }
}
