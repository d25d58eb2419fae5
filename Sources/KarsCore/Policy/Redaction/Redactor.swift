/// Takes what looks like a credential out of text that a model or a tool produced (spec/router 12).
package struct Redactor: Sendable {
    /// In order of precedence where matches overlap; raw values are metric labels.
    package enum Kind: String, CaseIterable, Sendable {
        case bearerToken = "bearer_token"
        case apiKey = "api_key"
        case connectionString = "connection_string"
        case secretAssignment = "secret_assignment"
        case pemPrivateKey = "pem_private_key"
        case githubToken = "github_token"
        case openAIToken = "openai_token"
        case slackToken = "slack_token"
        case awsAccessKey = "aws_access_key"
        case googleAPIKey = "google_api_key"

        package var placeholder: StaticString {
            switch self {
            case .bearerToken: "[REDACTED_BEARER_TOKEN]"
            case .apiKey: "[REDACTED_API_KEY]"
            case .connectionString: "[REDACTED_CONNECTION_STRING]"
            case .secretAssignment: "[REDACTED_SECRET]"
            case .pemPrivateKey: "[REDACTED_PEM_PRIVATE_KEY]"
            case .githubToken: "[REDACTED_GITHUB_TOKEN]"
            case .openAIToken: "[REDACTED_OPENAI_TOKEN]"
            case .slackToken: "[REDACTED_SLACK_TOKEN]"
            case .awsAccessKey: "[REDACTED_AWS_ACCESS_KEY]"
            case .googleAPIKey: "[REDACTED_GOOGLE_API_KEY]"
            }
        }

        var index: Int {
            switch self {
            case .bearerToken: 0
            case .apiKey: 1
            case .connectionString: 2
            case .secretAssignment: 3
            case .pemPrivateKey: 4
            case .githubToken: 5
            case .openAIToken: 6
            case .slackToken: 7
            case .awsAccessKey: 8
            case .googleAPIKey: 9
            }
        }
    }

    package init() {}

    /// The text without its secrets, and the kind of each that was found, in order. Most texts come back as they are.
    package func redact(_ text: String) -> (text: String, kinds: [Kind]) { secrets(in: text) ?? (text, []) }

    /// As `redact`; nil when there is nothing to redact.
    package func secrets(in text: String) -> (text: String, kinds: [Kind])? {
        var text = text
        guard let found = text.withUTF8({ scan($0) }) else { return nil }
        return (String(decoding: found.bytes, as: UTF8.self), found.kinds)
    }

    /// The same for bytes; raw JSON stays well-formed, because no match contains a quote.
    package func redact(_ bytes: [UInt8]) -> (bytes: [UInt8], kinds: [Kind]) {
        bytes.withUnsafeBufferPointer { scan($0) } ?? (bytes, [])
    }

    /// Nil when there is nothing to redact.
    private func scan(_ bytes: UnsafeBufferPointer<UInt8>) -> (bytes: [UInt8], kinds: [Kind])? {
        var scanner = SecretScanner(bytes, previous: 0, isWhole: true)
        scanner.scan()
        guard !scanner.matches.isEmpty else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var kinds: [Kind] = []
        Self.write(bytes, upTo: bytes.count, regions: scanner.regions, to: &output, kinds: &kinds)
        return (output, kinds)
    }

    /// Writes `text` up to `end` with its regions replaced.
    static func write(
        _ text: UnsafeBufferPointer<UInt8>, upTo end: Int, regions: [SecretScanner.Match], to output: inout [UInt8],
        kinds: inout [Kind]
    ) {
        var position = 0
        for region in regions {
            output.append(contentsOf: text[position..<region.start])
            append(region.kind.placeholder, to: &output)
            kinds.append(region.kind)
            position = region.end
        }
        output.append(contentsOf: text[position..<end])
    }

    static func append(_ placeholder: StaticString, to output: inout [UInt8]) {
        placeholder.withUTF8Buffer { output.append(contentsOf: $0) }
    }
}
