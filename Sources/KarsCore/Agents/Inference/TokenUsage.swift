/// What a provider says a call has used (OpenAI's `usage` object, and Anthropic's names for the same).
package struct TokenUsage: Equatable, Sendable {
    package var promptTokens: Int
    package var completionTokens: Int
    /// What counts against budgets: the provider's own total, at least the sum of the parts.
    package var totalTokens: Int
    /// Part of the prompt that the provider had cached; already inside `promptTokens`.
    package var cachedTokens: Int
    /// Part of the completion spent on reasoning; already inside `completionTokens`.
    package var reasoningTokens: Int

    package init(
        promptTokens: Int, completionTokens: Int, totalTokens: Int? = nil, cachedTokens: Int = 0, reasoningTokens: Int = 0
    ) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        let sum = promptTokens.addingReportingOverflow(completionTokens)
        self.totalTokens = max(totalTokens ?? 0, sum.overflow ? .max : sum.partialValue)
        self.cachedTokens = cachedTokens
        self.reasoningTokens = reasoningTokens
    }

    /// Nil for `null`, for anything but an object, and for an object without a count.
    ///
    /// A negative or absurd count is not taken: a provider that garbles its usage must not make a call free.
    package init?(_ json: JSON?) {
        guard let json, json.objectValue != nil else { return nil }
        func count(_ keys: String...) -> Int? {
            for key in keys {
                if let number = json[key]?.intValue, (0...Self.largestCount).contains(number) { return number }
            }
            return nil
        }
        let prompt = count("prompt_tokens", "input_tokens")
        let completion = count("completion_tokens", "output_tokens")
        let total = count("total_tokens")
        guard prompt != nil || completion != nil || total != nil else { return nil }
        self.init(
            promptTokens: prompt ?? 0, completionTokens: completion ?? 0, totalTokens: total,
            cachedTokens: json["prompt_tokens_details"]?["cached_tokens"]?.intValue ?? 0,
            reasoningTokens: json["completion_tokens_details"]?["reasoning_tokens"]?.intValue ?? 0)
    }

    private static let largestCount = 1_000_000_000
}
