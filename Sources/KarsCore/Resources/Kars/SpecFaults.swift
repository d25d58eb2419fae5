/// A specification that can say what is wrong with it without an API server: keywords and CEL rules alike.
///
/// The controller asks before it acts, because an object may have been admitted under an older definition. What CEL says and what is
/// written here is held equal by a table of manifests that runs through both.
package protocol CheckedSpec: SchemaRecord {
    /// Of the rules in CEL, on this record and those within it; empty when there is nothing to object to.
    func ruleFaults() -> [ResourceError]
}

extension CheckedSpec {
    /// Everything, with paths from the object's root.
    package func faults() -> [ResourceError] { keywordFaults(at: "spec") + ruleFaults() }
}

extension [ResourceError] {
    /// Adds a fault unless `holds`.
    mutating func require(_ holds: Bool, _ path: String, _ reason: String) {
        if !holds { append(ResourceError(path, reason)) }
    }
}

/// Texts that several kinds hold.
enum TextPattern {
    /// No control characters, tabs and line ends included.
    static let plain = #"^[^\x00-\x1f\x7f]*$"#
    /// No control characters but tab, line feed and carriage return.
    static let prose = #"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"#
    /// An Ed25519 public key, 32 bytes in base64url without padding. The last digit holds four bits only.
    static let ed25519PublicKey = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$"
    /// An Ed25519 signature, 64 bytes in base64url without padding. The last digit holds two bits only.
    static let ed25519Signature = "^[A-Za-z0-9_-]{85}[AQgw]$"
}

/// The one signature algorithm that cards and graphs know.
package enum SignatureAlgorithm: String, SchemaChoice { case edDSA = "EdDSA" }

extension StructuralSchema {
    func lengths(_ range: ClosedRange<Int>) -> StructuralSchema {
        with(\.minLength, range.lowerBound).with(\.maxLength, range.upperBound)
    }
    func counts(_ range: ClosedRange<Int>) -> StructuralSchema {
        with(\.minItems, range.lowerBound).with(\.maxItems, range.upperBound)
    }

    /// A text for people of at most `limit` characters.
    func plain(_ limit: Int) -> StructuralSchema { with(\.maxLength, limit).matching(TextPattern.plain) }

    /// Labels: at most 64, of the lengths that Kubernetes takes.
    func labels() -> StructuralSchema {
        guard case .schema(let value) = self.additionalProperties else { return self }
        return with(\.maxProperties, 64).with(\.additionalProperties, .schema(value.with(\.maxLength, 63)))
    }
}
