/// An action's name in the one spelling that patterns are compared with; valid only inside `with`.
///
/// Verbs are lower case, and so is the scheme and host of an `egress:` URL, so that `SHELL:rm` and `egress:HTTPS://Evil.example`
/// are what they say.
struct CanonicalAction {
    let name: UnsafeBufferPointer<UInt8>
    /// Bytes before the first colon.
    let verbCount: Int
    let isShell: Bool
    let isWellFormed: Bool

    var verb: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: name[..<verbCount]) }
    /// What follows the first colon; empty when there is none.
    var detail: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: name[min(verbCount + 1, name.count)...]) }

    static func with<Result>(_ action: Action, _ body: (CanonicalAction) -> Result) -> Result {
        let direct = action.name.utf8.withContiguousStorageIfAvailable { bytes in
            if let lowered = lowered(bytes) { return lowered.withUnsafeBufferPointer { body(CanonicalAction($0)) } }
            return body(CanonicalAction(bytes))
        }
        if let direct { return direct }
        return Array(action.name.utf8).withUnsafeBufferPointer { bytes in
            let copy = lowered(bytes) ?? Array(bytes)
            return copy.withUnsafeBufferPointer { body(CanonicalAction($0)) }
        }
    }

    private init(_ name: UnsafeBufferPointer<UInt8>) {
        self.name = name
        var end = 0
        var isClean = true
        while end < name.count, name[end] != UInt8(ascii: ":") {
            let byte = name[end]
            let isLetter = byte >= 97 && byte <= 122
            let isDigit = byte >= 48 && byte <= 57
            let isMark = byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
            if !isLetter, !isDigit, !isMark { isClean = false }
            end += 1
        }
        verbCount = end
        isWellFormed = isClean && end > 0 && name.count <= PolicyEngine.maxNameBytes
        isShell = name[..<end].elementsEqual("shell".utf8)
    }

    /// The spelling in which a pattern of `egress:` is compared.
    static func canonical(_ name: [UInt8]) -> [UInt8] { name.withUnsafeBufferPointer { lowered($0) } ?? name }

    /// A copy with the part that ignores case in lower case; nil when it is already.
    private static func lowered(_ name: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        let end = caselessCount(name)
        guard name[..<end].contains(where: { $0 >= 65 && $0 <= 90 }) else { return nil }
        var copy = Array(name)
        for index in 0..<end where copy[index] >= 65 && copy[index] <= 90 { copy[index] |= 0x20 }
        return copy
    }

    private static func caselessCount(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        guard let colon = name.firstIndex(of: UInt8(ascii: ":")) else { return name.count }
        guard colon == 6, name[..<colon].elementsEqual("egress".utf8) || isEgressInCapitals(name) else { return colon }
        // Scheme and authority: up to the first slash, question mark or hash after `//`.
        var index = colon + 1
        while index < name.count, name[index] != UInt8(ascii: "/"), name[index] != UInt8(ascii: "?") { index += 1 }
        if index + 1 < name.count, name[index] == UInt8(ascii: "/"), name[index + 1] == UInt8(ascii: "/") {
            index += 2
            while index < name.count, name[index] != UInt8(ascii: "/"), name[index] != UInt8(ascii: "?"),
                name[index] != UInt8(ascii: "#")
            {
                index += 1
            }
        }
        return index
    }

    private static func isEgressInCapitals(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        name[..<6].elementsEqual("egress".utf8, by: { $0 | 0x20 == $1 })
    }
}

/// One condition of a rule: a key of the context whose value must be one of a list.
struct RuleCondition: Sendable {
    private enum Key: Sendable {
        case full, category, detail, command, surface, principal
        case attribute(String)
    }

    private let key: Key
    private let anyOf: [String]

    /// Names under `action.`, `surface` and `principal` are derived from the action itself; a caller's context cannot forge them.
    init(key: String, anyOf: [String]) {
        self.key =
            switch key {
            case "action", "action.full": .full
            case "action.category": .category
            case "action.detail": .detail
            case "action.command": .command
            case "surface": .surface
            case "principal": .principal
            default: .attribute(key)
            }
        self.anyOf = anyOf
    }

    /// A missing value satisfies nothing; only the program of an opaque shell command satisfies every restriction.
    func holds(
        for action: Action, _ canonical: CanonicalAction, command: (ShellLine.Command, ShellLine)?, restricts: Bool
    ) -> Bool {
        switch key {
        case .attribute(let name): return action.attributes[name].map(anyOf.contains) ?? false
        case .principal: return anyOf.contains(action.principal)
        case .surface: return anyOf.contains(action.surface.rawValue)
        case .full: return isAny(of: canonical.name)
        case .category: return isAny(of: canonical.verb)
        case .detail: return isAny(of: canonical.detail)
        case .command:
            guard let (command, line) = command else {
                return isAny(of: canonical.detail.prefix { $0 != UInt8(ascii: " ") })
            }
            guard !command.isOpaque else { return restricts }
            let path = line.bytes(of: line.words[Int(command.first)])
            return isAny(of: path) || restricts && isAny(of: ShellLine.baseName(of: path))
        }
    }

    private func isAny(of bytes: some Sequence<UInt8>) -> Bool { anyOf.contains { $0.utf8.elementsEqual(bytes) } }
}

/// Texts of refusals by policy: the same words wherever one is made.
enum PolicyRefusal {
    static func make(code: String, rule: String?, reason: String) -> Refusal {
        Refusal(stage: .policy, code: code, type: "policy_violation", rule: rule, reason: reason, status: 403)
    }

    /// The action as people may see it: verb and what it is about, without arguments that could hold a secret.
    static func label(of action: Action) -> String {
        let name = action.name
        guard let colon = name.utf8.firstIndex(of: UInt8(ascii: ":")) else { return quoted(name) }
        let verb = name[..<colon]
        let detail = name[name.utf8.index(after: colon)...]
        switch verb.lowercased() {
        case "output": return quoted(verb)
        case "shell":
            let program = detail.drop { $0 == " " }.prefix { $0 != " " && $0 != "\n" && $0 != "\t" }
            return quoted("\(verb):\(program)")
        case "tool", "memory": return quoted("\(verb):\(detail.prefix { $0 != ":" })")
        case "egress":
            // A user name and password may stand before the host.
            let url = name.prefix { $0 != "?" && $0 != "#" }
            return quoted(url.contains("@") ? verb : url)
        default: return quoted(name)
        }
    }

    private static func quoted(_ text: some StringProtocol) -> String {
        let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7f && $0 != UInt8(ascii: "`") }
        if isPlain, text.utf8.count <= 120 { return "`\(text)`" }
        var shown = ""
        for scalar in text.unicodeScalars.prefix(120) {
            shown.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f || scalar == "`" ? "?" : scalar)
        }
        return "`\(shown)`"
    }
}
