import KarsCore

extension Fuzz {
    /// Any bytes: a verdict on a prefix is the verdict on the whole, and record boundaries do not matter.
    static let sniTarget = Target(name: "sni") { input in
        let bytes = Array(input)
        let outcome = ClientHello.parse(bytes[...])
        let step = max(1, bytes.count / 16)
        for length in stride(from: 0, to: bytes.count, by: step) {
            let early = ClientHello.parse(bytes[..<length])
            precondition(early == .incomplete || early == outcome, "the verdict changed after \(length) bytes")
        }
        if case .hello(let hello) = outcome, let name = hello.serverName {
            precondition((try? HostName(name.text)) == name, "a server name is not in normal form")
        }
    }
}
