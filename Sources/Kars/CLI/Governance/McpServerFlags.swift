import ArgumentParser
import KarsCore

/// `kars mcp apply` (spec/cli 4).
struct McpServerFlags: PolicyFlags {
    typealias Kind = McpServer

    static let noun = PolicyNoun(
        name: "mcp", summary: "servers of tools (Model Context Protocol)",
        examples: """
            kars mcp apply docs --url https://mcp.example.com --production-mode --oauth-issuer https://login.example.com \\
              --allowed-tool search --allowed-tool read
            kars mcp apply github --url https://api.githubcopilot.com/mcp --bearer-from-env GITHUB_TOKEN --allowed-tool '*'
            """)

    @Option(help: "Address of the server; https in production.") var url: String?
    @Flag(help: "Callers must prove themselves.") var productionMode = false
    @Option(help: "Who issues the tokens that callers bring.") var oauthIssuer: String?
    @Option(help: "Whom tokens must be for.") var oauthAudience: String?
    @Option(help: "The resource that tokens must be for (RFC 8707).") var oauthResource: String?
    @Option(help: "What a caller's token must allow; repeat for more.") var scope: [String] = []
    @Option(help: "A tool that agents may call, * for all; repeat for more. None without this flag.") var allowedTool: [String] =
        []
    @Option(help: ArgumentHelp("A label that a sandbox must have to use it; repeat for more.", valueName: "key=value"))
    var allowedSandboxLabel: [String] = []
    @Option(help: "Variable of the router that holds what it proves itself to the server with.") var bearerFromEnv: String?
    @Option(help: "A name for people.") var displayName: String?

    static let columns = ["URL", "PROD"]

    static func cells(of spec: McpServer.Spec) -> [String] {
        [spec.url ?? spec.bundleRef.map { "\($0.registry)/\($0.repository)" } ?? "-", spec.productionMode == true ? "yes" : "no"]
    }

    func spec() throws -> McpServer.Spec {
        var spec = McpServer.Spec()
        guard let url else { throw CommandFailure(.usage, "--url is required, for instance --url https://mcp.example.com") }
        spec.url = url
        if productionMode { spec.productionMode = true }
        if let oauthIssuer {
            var oauth = McpServer.OAuth()
            oauth.issuer = oauthIssuer
            oauth.audience = oauthAudience
            oauth.resource = oauthResource
            spec.oauth = oauth
        } else if oauthAudience != nil || oauthResource != nil {
            throw CommandFailure(.usage, "--oauth-audience and --oauth-resource go with --oauth-issuer")
        }
        if !scope.isEmpty { spec.scopes = scope }
        if !allowedTool.isEmpty { spec.allowedTools = allowedTool }
        if !allowedSandboxLabel.isEmpty {
            var sandboxes = McpServer.AllowedSandboxes()
            sandboxes.matchLabels = try Self.pairs(allowedSandboxLabel, "--allowed-sandbox-label")
            spec.allowedSandboxes = sandboxes
        }
        spec.bearerFromEnv = bearerFromEnv
        spec.displayName = displayName
        return spec
    }
}
