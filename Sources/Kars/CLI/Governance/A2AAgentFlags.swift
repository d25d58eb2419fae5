import ArgumentParser
import KarsCore

/// `kars a2a-agent apply` (spec/cli 4).
struct A2AAgentFlags: PolicyFlags {
    typealias Kind = A2AAgent

    static let noun = PolicyNoun(
        name: "a2a-agent", summary: "cards of agents that others may call",
        examples: """
            kars a2a-agent apply research --endpoint-url https://agents.example.com/research --production-mode \\
              --signing-key main:EdDSA:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo --capability tasks --capability streaming
            kars a2a-agent apply research --from-file agent.yaml
            """)

    @Option(help: "Where the agent takes tasks; https in production.") var endpointUrl: String?
    @Flag(help: "It is meant for others than its makers.") var productionMode = false
    @Option(
        help: ArgumentHelp(
            "A key it signs with: its name, EdDSA, the key in base64url, and when it ends in Unix seconds; repeat for more.",
            valueName: "kid:alg:key[:notAfter]"))
    var signingKey: [String] = []
    @Option(help: "What it can do: tasks, streaming, cancel, mandates; repeat for more.") var capability: [String] = []
    @Option(help: "What it does, for people.") var description: String?
    @Option(help: "A name for people.") var displayName: String?
    @Option(help: "The ToolPolicy that its calls are under.") var policyToolpolicy: String?
    @Flag(help: "Requests must be signed.") var requireSigned = false
    @Option(help: "How many signatures a card needs.") var minSignatures: Int?
    @Option(help: "How far clocks may be apart, in seconds.") var maxSkewSeconds: Int?

    static let columns = ["ENDPOINT", "PROD"]

    static func cells(of spec: A2AAgent.Spec) -> [String] { [spec.endpointUrl, spec.productionMode ? "yes" : "no"] }

    func spec() throws -> A2AAgent.Spec {
        var spec = A2AAgent.Spec()
        guard let endpointUrl, !signingKey.isEmpty else {
            throw CommandFailure(.usage, "--endpoint-url and at least one --signing-key are required")
        }
        spec.endpointUrl = endpointUrl
        spec.productionMode = productionMode
        spec.signingKeys = try signingKey.map(Self.key)
        spec.capabilities = capability
        spec.description = description
        spec.displayName = displayName
        if requireSigned || minSignatures != nil || maxSkewSeconds != nil {
            var trust = A2AAgent.Trust()
            trust.requireSignedRequests = requireSigned
            trust.minSignaturesRequired = minSignatures
            trust.maxClockSkewSeconds = maxSkewSeconds
            spec.trust = trust
        }
        if let policyToolpolicy {
            var policies = A2AAgent.PolicyRefs()
            policies.toolPolicy = policyToolpolicy
            spec.policyRefs = policies
        }
        return spec
    }

    private static func key(_ word: String) throws -> A2AAgent.SigningKey {
        let parts = word.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard (3...4).contains(parts.count), let algorithm = SignatureAlgorithm(rawValue: parts[1]) else {
            throw CommandFailure(.usage, "--signing-key \(word): expected KID:EdDSA:KEY or KID:EdDSA:KEY:NOTAFTER")
        }
        var key = A2AAgent.SigningKey()
        key.kid = parts[0]
        key.alg = algorithm
        key.publicKeyB64u = parts[2]
        if parts.count == 4 {
            guard let seconds = Int(parts[3]) else {
                throw CommandFailure(.usage, "--signing-key \(word): '\(parts[3])' is no time in Unix seconds")
            }
            key.notAfter = seconds
        }
        return key
    }
}
