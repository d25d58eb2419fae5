/// An inference policy as the controller writes it (spec/router 3): limits, content safety, which model to use, and, as
/// `outputScan`, what happens to credentials and steering texts in answers (spec/router 12).
///
/// Read leniently where a mistake costs nothing (an unknown severity, a bad fallback) and strictly where leniency would open
/// something: a token limit that is no number is an error, not "no limit".
package struct InferenceRules: Equatable, Sendable {
    package static let maxFileBytes = 1 << 20
    /// Longest deployment name, in bytes.
    package static let maxNameBytes = 256
    package static let maxFallbacks = 16

    package var limits: TokenLimits
    package var contentSafety: ContentSafetyFloor
    package var output: OutputPolicy
    /// The deployments to try, in order; empty when the policy prefers none.
    package var models: [String]
    package var displayName: String?
    /// What was read past.
    package var warnings: [String]

    package init(
        limits: TokenLimits = .none, contentSafety: ContentSafetyFloor = ContentSafetyFloor(),
        output: OutputPolicy = OutputPolicy(), models: [String] = [], displayName: String? = nil, warnings: [String] = []
    ) {
        self.limits = limits
        self.contentSafety = contentSafety
        self.output = output
        self.models = models
        self.displayName = displayName
        self.warnings = warnings
    }

    /// The first choice; nil when the policy prefers none.
    package var preferredModel: String? { models.first }
}

/// Why a policy file in JSON cannot be used, with the path of the member.
package struct PolicyFileError: Error, Equatable, CustomStringConvertible {
    package let file: String
    package let reason: String

    package init(file: String, reason: String) {
        self.file = file
        self.reason = reason
    }

    package var description: String { "\(file): \(reason)" }
}

extension InferenceRules {
    package init(parsing bytes: [UInt8], file: String = PolicyDigest.Name.inferencePolicy) throws(PolicyFileError) {
        let json = try PolicyFileError.object(bytes, file: file, maxBytes: Self.maxFileBytes)
        self.init()
        limits = try Self.limits(json["tokenBudget"], file)
        contentSafety = try readSafety(json["contentSafety"], file)
        output = try Self.output(json["outputScan"], file)
        readModels(json["modelPreference"])
        displayName = json["displayName"]?.stringValue
    }

    private static func limits(_ json: JSON?, _ file: String) throws(PolicyFileError) -> TokenLimits {
        guard let json, !json.isNull else { return .none }
        guard json.objectValue != nil else { throw PolicyFileError(file: file, reason: "tokenBudget: expected an object") }
        func count(_ key: String) throws(PolicyFileError) -> Int? {
            guard let value = json[key], !value.isNull else { return nil }
            guard let number = value.intValue, number >= 0 else {
                throw PolicyFileError(file: file, reason: "tokenBudget.\(key): expected a whole number from 0")
            }
            return number
        }
        return TokenLimits(
            perRequest: try count("perRequestTokens"), daily: try count("dailyTokens"), monthly: try count("monthlyTokens"))
    }

    private mutating func readSafety(_ json: JSON?, _ file: String) throws(PolicyFileError) -> ContentSafetyFloor {
        var floor = ContentSafetyFloor()
        guard let json, !json.isNull else { return floor }
        guard json.objectValue != nil else { throw PolicyFileError(file: file, reason: "contentSafety: expected an object") }
        for category in SafetyCategory.allCases {
            guard let value = json[category.policyField], !value.isNull else { continue }
            if let severity = value.stringValue.flatMap(SafetySeverity.init(name:)) {
                floor.ceilings[category] = severity
            } else {
                warnings.append("contentSafety.\(category.policyField): expected Safe, Low, Medium or High; ignored")
            }
        }
        if let value = json["requirePromptShields"], !value.isNull {
            guard let flag = value.boolValue else {
                throw PolicyFileError(file: file, reason: "contentSafety.requirePromptShields: expected true or false")
            }
            floor.requiresPromptShields = flag
        }
        return floor
    }

    /// A word that is not known is an error: "blok" must not mean "observe".
    private static func output(_ json: JSON?, _ file: String) throws(PolicyFileError) -> OutputPolicy {
        var policy = OutputPolicy()
        guard let json, !json.isNull else { return policy }
        guard json.objectValue != nil else { throw PolicyFileError(file: file, reason: "outputScan: expected an object") }
        func mode<Mode: RawRepresentable & CaseIterable>(_ key: String, _ fallback: Mode) throws(PolicyFileError) -> Mode
        where Mode.RawValue == String {
            guard let value = json[key], !value.isNull else { return fallback }
            guard let mode = value.stringValue.flatMap(Mode.init(rawValue:)) else {
                let known = Mode.allCases.map(\.rawValue).joined(separator: ", ")
                throw PolicyFileError(file: file, reason: "outputScan.\(key): expected one of \(known)")
            }
            return mode
        }
        policy.credentials = try mode("credentials", policy.credentials)
        policy.injection = try mode("injection", policy.injection)
        policy.exfiltration = try mode("exfiltration", policy.exfiltration)
        return policy
    }

    /// The provider tag of an entry is the controller's; only the deployment counts here.
    private mutating func readModels(_ json: JSON?) {
        guard let json, !json.isNull else { return }
        guard let primary = Self.deployment(json["primary"]) else {
            warnings.append("modelPreference.primary: expected a deployment; no model is preferred")
            return
        }
        models = [primary]
        for (index, entry) in (json["fallback"]?.arrayValue ?? []).enumerated() {
            guard index < Self.maxFallbacks, let name = Self.deployment(entry) else {
                warnings.append("modelPreference.fallback[\(index)]: expected a deployment; ignored")
                if index >= Self.maxFallbacks { break }
                continue
            }
            if !models.contains(name) { models.append(name) }
        }
    }

    private static func deployment(_ json: JSON?) -> String? {
        guard let name = json?["deployment"]?.stringValue, !name.isEmpty, name.utf8.count <= maxNameBytes,
            !name.utf8.contains(where: { $0 < 0x21 || $0 == 0x7f })
        else { return nil }
        return name
    }

    /// As the controller writes it: every member, in its order; `outputScan` only where it differs from the default.
    package var json: JSON {
        func number(_ value: Int?) -> JSON { value.map(JSON.int) ?? .null }
        let budget: JSON =
            limits == .none
            ? .null
            : [
                "perRequestTokens": number(limits.perRequest), "dailyTokens": number(limits.daily),
                "monthlyTokens": number(limits.monthly),
            ]
        var safety: [(String, JSON)] = SafetyCategory.allCases.map {
            ($0.policyField, contentSafety.ceilings[$0].map { .string($0.description) } ?? .null)
        }
        safety.append(("requirePromptShields", .bool(contentSafety.requiresPromptShields)))
        func entry(_ model: String) -> JSON { ["provider": "any", "deployment": .string(model)] }
        let preference: JSON =
            models.first.map { ["primary": entry($0), "fallback": .array(models.dropFirst().map(entry))] } ?? .null
        var object: JSONObject = [
            "appliesTo": [:], "tokenBudget": budget,
            "contentSafety": contentSafety.isInactive ? .null : .object(JSONObject(safety)), "modelPreference": preference,
            "displayName": displayName.map { .string($0) } ?? .null,
        ]
        if output != OutputPolicy() {
            object["outputScan"] = [
                "credentials": .string(output.credentials.rawValue), "injection": .string(output.injection.rawValue),
                "exfiltration": .string(output.exfiltration.rawValue),
            ]
        }
        return .object(object)
    }
}

extension PolicyFileError {
    static func object(_ bytes: [UInt8], file: String, maxBytes: Int) throws(PolicyFileError) -> JSON {
        let json: JSON
        do {
            json = try JSON(parsing: bytes, limits: JSONLimits(maxBytes: maxBytes, maxDepth: 32))
        } catch {
            throw PolicyFileError(file: file, reason: "\(error)")
        }
        guard json.objectValue != nil else { throw PolicyFileError(file: file, reason: "expected an object") }
        return json
    }
}
