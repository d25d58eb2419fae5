/// Decides which variables a user may set in an agent's environment (spec/controller 2.4).
package enum UserEnvironmentFilter {
    /// Names that speak for kars or for an identity; a user's value could lift a limit or name another backend.
    package static let reservedPrefixes = ["AGT_", "AZURE_", "FOUNDRY_AGENT_", "IMDS_", "KARS_"]

    /// A variable that was not taken, and why: for a condition and for the terminal, not only a log.
    package struct Drop: Equatable, Sendable, CustomStringConvertible {
        package enum Reason: Equatable, Sendable {
            case invalidName
            case reservedPrefix(String)
            case setByKars
            case zeroByte
            case duplicate
            case forbiddenSecret(String)
        }

        package var name: String
        package var reason: Reason

        package var description: String {
            switch reason {
            case .invalidName: "\(name): names are letters, digits and underscores, no digit first"
            case .reservedPrefix(let prefix): "\(name): names that begin with \(prefix) are reserved"
            case .setByKars: "\(name): is set by kars"
            case .zeroByte: "\(name): the value holds a NUL byte"
            case .duplicate: "\(name): is given twice; the first counts"
            case .forbiddenSecret(let secret): "\(name): secret \(secret) is for the router only"
            }
        }
    }

    /// `taken`: names the contract sets. `routerSecrets`: names no agent may refer to.
    static func apply(
        to variables: [EnvironmentVariable], taken: Set<String>, routerSecrets: Set<String>
    ) -> (kept: [EnvironmentVariable], dropped: [Drop]) {
        var kept: [EnvironmentVariable] = [], dropped: [Drop] = []
        var seen: Set<String> = []
        for variable in variables {
            if let reason = refusal(of: variable, taken: taken, seen: seen, routerSecrets: routerSecrets) {
                dropped.append(Drop(name: variable.name, reason: reason))
            } else {
                seen.insert(variable.name)
                kept.append(variable)
            }
        }
        return (kept, dropped)
    }

    private static func refusal(
        of variable: EnvironmentVariable, taken: Set<String>, seen: Set<String>, routerSecrets: Set<String>
    ) -> Drop.Reason? {
        guard isName(variable.name) else { return .invalidName }
        // Upper and lower case are different variables to a shell, but `kars_model` is meant to look like the real one.
        let upper = variable.name.uppercased()
        if let prefix = reservedPrefixes.first(where: { upper.hasPrefix($0) }) { return .reservedPrefix(prefix) }
        if taken.contains(variable.name) { return .setByKars }
        if seen.contains(variable.name) { return .duplicate }
        switch variable.source {
        case .text(let text): return text.utf8.contains(0) ? .zeroByte : nil
        case .secretKey(let name, _, _): return routerSecrets.contains(name) ? .forbiddenSecret(name) : nil
        case .configMapKey, .field: return nil
        }
    }

    /// POSIX names: `[A-Za-z_][A-Za-z0-9_]*`.
    static func isName(_ name: String) -> Bool {
        func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || byte == UInt8(ascii: "_")
        }
        guard let first = name.utf8.first, isLetter(first) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
