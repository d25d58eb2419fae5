import KarsCore

extension Fuzz {
    /// First line: an action. The rest: a profile. Whatever loads decides the same way twice and in both readings of its files,
    /// and a denial of everything on top leaves nothing allowed. The line goes through the redactor too.
    static let policyProfileTarget = Target(name: "policy-profile") { input in
        let bytes = Array(input)
        let cut = bytes.firstIndex(of: 10) ?? bytes.count
        let name = String(decoding: bytes[..<cut], as: UTF8.self)
        let text = Array(bytes[min(cut + 1, bytes.count)...])
        checkRedaction(Array(name.utf8.prefix(2_000)))
        guard let profile = try? PolicyProfile.load(files: [(name: "p.yaml", bytes: text)]) else { return }
        precondition((try? PolicyProfile.load(files: [(name: "p.yaml", bytes: text)])) == profile, "two readings differ")
        let engine = PolicyEngine(profile)
        let again = PolicyEngine(profile)
        var closed = profile
        closed.rules.append(
            PolicyProfile.Rule(
                name: "everything", kind: .capability(denied: [ActionPattern("*")], allowed: []), priority: Int(UInt32.max)))
        let closedEngine = PolicyEngine(closed)
        var further = profile
        further.rules.append(
            PolicyProfile.Rule(name: "further", kind: .capability(denied: [ActionPattern("shell:rm")], allowed: [])))
        let furtherEngine = PolicyEngine(further)
        for action in [name, "shell:\(name)", "egress:https://\(name)", "tool:\(name)"] {
            let action = Action(surface: .tool, principal: "fuzz", name: action, attributes: ["key": "value"])
            let verdict = engine.evaluate(action)
            precondition(verdict == again.evaluate(action), "the same question had two answers")
            if profile.semantics == .kars {
                precondition(!isAllowed(closedEngine.evaluate(action)), "allowed past a denial of everything")
                precondition(!isAllowed(furtherEngine.evaluate(action)) || isAllowed(verdict), "a denial allowed more")
            }
        }
    }

    private static func isAllowed(_ verdict: Verdict) -> Bool { if case .allow = verdict { true } else { false } }

    private static func checkRedaction(_ text: [UInt8]) {
        let whole = Redactor().redact(text)
        var stream = StreamRedactor(holdBackBytes: text.count + 256)
        var output: [UInt8] = []
        for byte in text { output += stream.push([byte]) }
        output += stream.finish()
        precondition(output == whole.bytes, "byte by byte the redactor gave something else")
        let quotes = { (bytes: [UInt8]) in bytes.count { $0 == UInt8(ascii: "\"") } }
        precondition(quotes(whole.bytes) == quotes(text), "a quote was redacted")
    }
}
