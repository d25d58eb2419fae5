/// What an inference policy asks of content safety: `contentSafety` (spec/router 11).
package struct ContentSafetyFloor: Equatable, Sendable {
    /// The worst that may pass, per category; what is graded above it is refused.
    package var ceilings: [SafetyCategory: SafetySeverity]
    /// Both prompt shields must have looked at the prompt, and neither may have found anything.
    package var requiresPromptShields: Bool

    package init(ceilings: [SafetyCategory: SafetySeverity] = [:], requiresPromptShields: Bool = false) {
        self.ceilings = ceilings
        self.requiresPromptShields = requiresPromptShields
    }

    /// Nothing to check: costs nothing.
    package var isInactive: Bool { ceilings.isEmpty && !requiresPromptShields }
}

/// Holds one call against the floor of its policy, whole or event by event.
///
/// One machine for buffered and streamed answers, so that both meet the same decisions. Once it has refused it keeps refusing:
/// whatever of the stream comes after is not forwarded.
package struct ContentSafety: Sendable {
    package let floor: ContentSafetyFloor
    package private(set) var annotations = SafetyAnnotations()
    private var hasContent = false
    private var refused: Refusal?

    package init(_ floor: ContentSafetyFloor) { self.floor = floor }

    /// Takes in a whole answer, or the next event of a stream. Nil: it may be forwarded.
    ///
    /// - Parameter hasContent: whether it carries anything of an answer (text or a tool call). Before that, shields may still
    ///   report; content without their report is refused when they are required, so that nothing passes unlooked at.
    package mutating func inspect(
        prompt: [JSON], completion: [JSON], hasContent: Bool
    ) -> Refusal? {
        if let refused { return refused }
        guard !floor.isInactive else { return nil }
        self.hasContent = self.hasContent || hasContent
        guard !prompt.isEmpty || !completion.isEmpty || floor.requiresPromptShields else { return nil }
        for annotation in prompt { annotations.observe(prompt: annotation) }
        for annotation in completion { annotations.observe(completion: annotation) }
        refused = violation(isComplete: false)
        return refused
    }

    /// The same from JSON.
    package mutating func inspect(answer json: JSON, hasContent: Bool) -> Refusal? {
        if let refused { return refused }
        guard !floor.isInactive else { return nil }
        self.hasContent = self.hasContent || hasContent
        annotations.observe(answer: json)
        refused = violation(isComplete: false)
        return refused
    }

    /// The answer has ended: what was required and never came is a violation too.
    package mutating func finish() -> Refusal? {
        if refused == nil { refused = violation(isComplete: true) }
        return refused
    }

    private func violation(isComplete: Bool) -> Refusal? {
        for category in SafetyCategory.allCases {
            guard let ceiling = floor.ceilings[category], let finding = annotations.graded[category], finding.severity > ceiling
            else {
                continue
            }
            return Self.refusal(
                code: "inference_policy_content_safety_exceeded", rule: "contentSafety.\(category.policyField)",
                reason: "content safety: \(category.title) is \(finding.severity), above the policy's ceiling \(ceiling)")
        }
        guard floor.requiresPromptShields else { return nil }
        for shield in PromptShield.allCases {
            guard let result = annotations.shields[shield], result.isDetected || result.isFiltered else { continue }
            return Self.refusal(
                code: "inference_policy_prompt_shields_required", rule: "contentSafety.requirePromptShields",
                reason: "content safety: prompt shields detected \(shield == .jailbreak ? "a jailbreak" : "an indirect attack")"
                    + " in the prompt")
        }
        guard hasContent || isComplete, !annotations.hasShields else { return nil }
        return Self.refusal(
            code: "inference_policy_prompt_shields_required", rule: "contentSafety.requirePromptShields",
            reason: "content safety: the policy requires prompt shields, and the provider reported none for this prompt; "
                + "enable them on the deployment or turn off requirePromptShields")
    }

    private static func refusal(code: String, rule: String, reason: String) -> Refusal {
        Refusal(stage: .inspect, code: code, type: "content_policy_violation", rule: rule, reason: reason, status: 403)
    }
}

/// What is worth reporting of a provider's annotations, whatever the policy: counters, audit and trust.
package struct ContentFlags: Equatable, Sendable {
    package struct Config: Equatable, Sendable {
        /// Graded categories below this are not flagged.
        package var minimumSeverity = SafetySeverity.low
        /// Graded categories that are never flagged. Attacks always are.
        package var suppressed: Set<SafetyCategory> = []

        package init(minimumSeverity: SafetySeverity = .low, suppressed: Set<SafetyCategory> = []) {
            self.minimumSeverity = minimumSeverity
            self.suppressed = suppressed
        }
    }

    /// What the provider held back, in the order of its documentation: attacks first.
    package var filtered: [String] = []
    /// What it only remarked on.
    package var detected: [String] = []
    /// To take off the sandbox's trust score.
    package var trustPenalty = 0

    package var isEmpty: Bool { filtered.isEmpty && detected.isEmpty }
    package var categories: [String] { filtered + detected }

    package init(_ annotations: SafetyAnnotations, config: Config = Config()) {
        for shield in PromptShield.allCases {
            guard let result = annotations.shields[shield], result.isDetected || result.isFiltered else { continue }
            add(shield.rawValue, isFiltered: result.isFiltered, penalty: 100)
        }
        for category in SafetyCategory.allCases {
            guard !config.suppressed.contains(category), let finding = annotations.graded[category],
                finding.isFiltered || finding.severity > .safe && finding.severity >= config.minimumSeverity
            else { continue }
            add(category.rawValue, isFiltered: finding.isFiltered, penalty: 50)
        }
    }

    private mutating func add(_ category: String, isFiltered: Bool, penalty: Int) {
        if isFiltered { filtered.append(category) } else { detected.append(category) }
        trustPenalty += penalty
    }
}
