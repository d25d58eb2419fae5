extension ToolPolicy.Spec {
    package static let profileFile = "profile.json"

    /// `agt-profile.yaml` as it was written, which is what routers enforce, and `profile.json` with everything else of the policy.
    package func compiled() throws(CompileFault) -> CompiledFiles {
        try requireSound()
        if agtProfile?.bundleRef != nil { throw .unverifiable("spec.agtProfile.bundleRef") }
        var compiled = CompiledFiles(
            files: [Self.profileFile: String(decoding: rest.encoded(pretty: true), as: UTF8.self)], digest: nil,
            versionHash: "")
        var meaning = JSONObject([("rest", rest)])
        if let text = agtProfile?.inline {
            let name = PolicyDigest.Name.agtProfile, bytes = Array(text.utf8)
            do throws(PolicyProfileError) {
                // The router's own reader: what it would refuse is refused here, with the line.
                compiled.warnings = try PolicyProfile.load(files: [(name, bytes)]).warnings.map(\.description)
            } catch {
                throw .invalid("spec.agtProfile.inline: \(error)")
            }
            compiled.files[name] = text
            compiled.digest = PolicyDigest(name: name, body: bytes)
            meaning["profile"] = .string(text)
        }
        compiled.versionHash = try CompiledFiles.versionHash(of: .object(meaning))
        return compiled
    }

    /// Every field but the profile; what is absent is null (spec/controller 4.1).
    private var rest: JSON {
        let commerce: JSON? = commerce.map {
            [
                "dailyCap": .orNull($0.dailyCap), "monthlyCap": .orNull($0.monthlyCap),
                "perTransferCap": .orNull($0.perTransferCap), "counterpartyAllowlist": $0.counterpartyAllowlist.json,
            ]
        }
        let rate: JSON? = rateLimit.map {
            ["rps": .orNull($0.rps), "burst": .orNull($0.burst), "window": .orNull($0.window)]
        }
        let approval: JSON? = approval.map {
            ["mode": .orNull($0.mode), "threshold": .orNull($0.threshold), "channel": .orNull($0.channel)]
        }
        return [
            "appliesTo": [
                "tool": .orNull(appliesTo.tool), "mcpServer": .orNull(appliesTo.mcpServer),
                "sandboxMatchLabels": appliesTo.sandboxMatchLabels.json,
            ],
            "commerce": .orNull(commerce), "rateLimit": .orNull(rate), "approval": .orNull(approval),
            "displayName": .orNull(displayName),
        ]
    }
}
