import KarsCore

/// Names of secrets: the ones that kars knows, and what is allowed for others (spec/cli 2.1).
enum SecretName {
    /// Name in the store and the environment variable that stands in for it.
    static let known: [(name: String, environmentVariable: String)] = [
        ("azure-openai-key", "AZURE_OPENAI_API_KEY"), ("telegram-token", "TELEGRAM_BOT_TOKEN"),
        ("telegram-allow-from", "TELEGRAM_ALLOW_FROM"), ("slack-token", "SLACK_BOT_TOKEN"),
        ("discord-token", "DISCORD_BOT_TOKEN"),
        ("brave-api-key", "BRAVE_API_KEY"), ("tavily-api-key", "TAVILY_API_KEY"), ("exa-api-key", "EXA_API_KEY"),
        ("firecrawl-api-key", "FIRECRAWL_API_KEY"), ("perplexity-api-key", "PERPLEXITY_API_KEY"),
        ("openai-api-key", "OPENAI_API_KEY"),
    ]

    /// 1 to 64 of `[a-z0-9.-]`, beginning with a letter.
    static func isValid(_ name: String) -> Bool {
        let bytes = name.utf8
        guard let first = bytes.first, (97...122).contains(first), bytes.count <= 64 else { return false }
        return bytes.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 46 }
    }

    /// As it is stored: without blanks around it; people copy Telegram tokens with the `bot` of the URL in front.
    static func normalise(_ value: String, for name: String) -> String {
        let trimmed = value.trimmingWhitespace()
        let base = name.prefix { $0 != "." }
        return base == "telegram-token" && trimmed.hasPrefix("bot") ? String(trimmed.dropFirst(3)) : trimmed
    }

    /// As it is shown: the last four characters of a long value, nothing of a short one.
    static func mask(_ value: Secret<String>) -> String {
        let text = value.reveal()
        return text.count > 8 ? "••••\(text.suffix(4))" : "••••"
    }

    /// What was given on the command line (a file or standard input), else the store, else the environment.
    static func resolve(
        _ name: String, given: Secret<String>?, in store: SecretStore, environment: [String: String]
    ) throws(SecretStoreError) -> Secret<String>? {
        if let given { return Secret(normalise(given.reveal(), for: name)) }
        if let stored = try store.value(of: name) { return stored }
        guard let variable = known.first(where: { $0.name == name })?.environmentVariable, let text = environment[variable],
            !text.isEmpty
        else { return nil }
        return Secret(normalise(text, for: name))
    }
}
