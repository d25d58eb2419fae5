extension InferencePolicy.Spec {
    /// `inference-policy.json`, canonical.
    package func compiled() throws(CompileFault) -> CompiledFiles {
        try requireSound()
        if bundleRef != nil { throw .unverifiable("spec.bundleRef") }
        let json = compiledJSON
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
