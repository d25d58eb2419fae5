extension InferencePolicy.Spec {
    /// `inference-policy.json`, canonical.
    ///
    /// - Parameter floor: the weakest content safety that this installation has. A category that the policy is silent about gets it, and
    ///   one that is weaker is refused: silence must not be a way below it. Nil: there is none.
    package func compiled(floor: SafetySeverity? = nil) throws(CompileFault) -> CompiledFiles {
        try requireSound()
        if bundleRef != nil { throw .unverifiable("spec.bundleRef") }
        var spec = self
        if let floor { spec.contentSafety = try (contentSafety ?? InferencePolicy.ContentSafety()).atLeast(floor) }
        let json = spec.compiledJSON
        let bytes = try CompiledFiles.canonical(json)
        let name = PolicyDigest.Name.inferencePolicy
        let rules: InferenceRules
        do throws(PolicyFileError) { rules = try InferenceRules(parsing: bytes) } catch { throw .invalid("\(error)") }
        return CompiledFiles(
            files: [name: String(decoding: bytes, as: UTF8.self)], digest: PolicyDigest(name: name, body: bytes),
            versionHash: try CompiledFiles.versionHash(of: json), warnings: rules.warnings)
    }

    /// Every field, absent ones as null (spec/controller 4.1); `outputScan`, which readers of the first hour do not know, only when given.
    private var compiledJSON: JSON {
        let budget: JSON? = tokenBudget.map {
            [
                "perRequestTokens": .orNull($0.perRequestTokens), "dailyTokens": .orNull($0.dailyTokens),
                "monthlyTokens": .orNull($0.monthlyTokens),
            ]
        }
        let safety: JSON? = contentSafety.map {
            [
                "hate": .orNull($0.hate), "selfHarm": .orNull($0.selfHarm), "sexual": .orNull($0.sexual),
                "violence": .orNull($0.violence), "requirePromptShields": .orNull($0.requirePromptShields),
            ]
        }
        let preference: JSON? = modelPreference.map { ["primary": $0.primary.json, "fallback": $0.fallback.json] }
        var object: JSONObject = [
            "appliesTo": [
                "sandboxName": .orNull(appliesTo.sandboxName), "sandboxMatchLabels": appliesTo.sandboxMatchLabels.json,
                "action": .orNull(appliesTo.action),
            ],
            "tokenBudget": .orNull(budget), "contentSafety": .orNull(safety), "modelPreference": .orNull(preference),
            "displayName": .orNull(displayName),
        ]
        object["outputScan"] = outputScan?.json
        return .object(object)
    }
}

extension InferencePolicy.ContentSafety {
    fileprivate func atLeast(_ floor: SafetySeverity) throws(CompileFault) -> Self {
        var result = self
        for (name, category) in Self.categories {
            guard let severity = self[keyPath: category] else {
                result[keyPath: category] = Severity(floor)
                continue
            }
            guard severity.severity <= floor else {
                throw .invalid(
                    "spec.contentSafety.\(name): \(severity.rawValue) is weaker than this installation's floor, \(floor)")
            }
        }
        return result
    }

    private static let categories: [(name: String, path: any WritableKeyPath<Self, Severity?> & Sendable)] = [
        ("hate", \.hate), ("selfHarm", \.selfHarm), ("sexual", \.sexual), ("violence", \.violence),
    ]
}

extension InferencePolicy.ContentSafety.Severity {
    /// Both have the same names; what had none would be the strictest.
    fileprivate init(_ severity: SafetySeverity) { self = Self(rawValue: severity.description) ?? .safe }

    /// What had no grade would be the weakest.
    fileprivate var severity: SafetySeverity { SafetySeverity(name: rawValue) ?? .high }
}
