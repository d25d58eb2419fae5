/// How bad a provider finds a text, on the scale of its content filter.
package enum SafetySeverity: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
    case safe, low, medium, high

    /// Case does not count.
    package init?(name: String) {
        guard let found = Self.allCases.first(where: { $0.name == name.lowercased() }) else { return nil }
        self = found
    }

    package var name: String {
        switch self {
        case .safe: "safe"
        case .low: "low"
        case .medium: "medium"
        case .high: "high"
        }
    }

    /// As policies write it: `Medium`.
    package var description: String { name.prefix(1).uppercased() + name.dropFirst() }

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// What a provider's filter grades, in the order in which ceilings are checked.
package enum SafetyCategory: String, CaseIterable, Sendable {
    case hate
    case selfHarm = "self_harm"
    case sexual, violence

    /// The member of `contentSafety` in an inference policy, and the word in refusals: `SelfHarm`.
    package var policyField: String { self == .selfHarm ? "selfHarm" : rawValue }
    var title: String { policyField.prefix(1).uppercased() + policyField.dropFirst() }
}

/// Attacks that prompt shields look for.
package enum PromptShield: String, CaseIterable, Sendable {
    case jailbreak
    case indirectAttack = "indirect_attack"
}

/// Everything that a provider's filter has said about one call, prompt and answers together, the worst of each kept.
///
/// The parts come from `prompt_filter_results[].content_filter_results`, `choices[].content_filter_results` and an error's
/// `innererror.content_filter_result` (spec/router 11), whole or spread over the events of a stream.
package struct SafetyAnnotations: Equatable, Sendable {
    package struct Finding: Equatable, Sendable {
        package var severity = SafetySeverity.safe
        /// The provider itself held the text back.
        package var isFiltered = false
    }

    package struct ShieldResult: Equatable, Sendable {
        package var isDetected = false
        package var isFiltered = false
    }

    package private(set) var graded: [SafetyCategory: Finding] = [:]
    /// Only of the prompt: a shield that did not look at the prompt shields nothing.
    package private(set) var shields: [PromptShield: ShieldResult] = [:]

    package init() {}

    package var isEmpty: Bool { graded.isEmpty && shields.isEmpty }
    /// Whether both shields have looked.
    package var hasShields: Bool { PromptShield.allCases.allSatisfy { shields[$0] != nil } }

    /// Takes in an annotation object about the prompt.
    package mutating func observe(prompt annotation: JSON) {
        observe(annotation)
        for shield in PromptShield.allCases {
            guard let entry = annotation[shield.rawValue], entry.objectValue != nil else { continue }
            let filtered = entry["filtered"]?.boolValue
            let detected = entry["detected"]?.boolValue
            // An entry that says neither has not looked.
            guard filtered != nil || detected != nil else { continue }
            shields[shield, default: ShieldResult()].isDetected = shields[shield]?.isDetected == true || detected == true
            shields[shield, default: ShieldResult()].isFiltered = shields[shield]?.isFiltered == true || filtered == true
        }
    }

    /// Takes in an annotation object about an answer.
    package mutating func observe(completion annotation: JSON) { observe(annotation) }

    private mutating func observe(_ annotation: JSON) {
        for category in SafetyCategory.allCases {
            guard let entry = annotation[category.rawValue], entry.objectValue != nil else { continue }
            let isFiltered = entry["filtered"]?.boolValue == true
            var severity = isFiltered ? SafetySeverity.high : .safe
            // A severity of unknown name cannot be compared, so it counts as the worst.
            if let name = entry["severity"]?.stringValue { severity = SafetySeverity(name: name) ?? .high }
            guard entry["severity"] != nil || entry["filtered"] != nil else { continue }
            var finding = graded[category] ?? Finding()
            finding.severity = max(finding.severity, severity)
            finding.isFiltered = finding.isFiltered || isFiltered
            graded[category] = finding
        }
    }

    /// Takes in every annotation of a whole answer, an error answer, or one event of a stream.
    package mutating func observe(answer json: JSON) {
        for result in json["prompt_filter_results"]?.arrayValue ?? [] {
            if let annotation = result["content_filter_results"] { observe(prompt: annotation) }
        }
        for choice in json["choices"]?.arrayValue ?? [] {
            if let annotation = choice["content_filter_results"] { observe(completion: annotation) }
        }
        if let inner = json["error"]?["innererror"],
            let annotation = inner["content_filter_result"] ?? inner["content_filter_results"]
        {
            observe(prompt: annotation)
        }
    }
}
