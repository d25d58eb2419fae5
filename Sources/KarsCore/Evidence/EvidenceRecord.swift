/// What happened, as a surface of the router reports it. The log adds sequence number, time and hashes.
///
/// Payloads are never stored: `detailDigest` is the digest of what was decided about (`EvidenceEvent.digest`). Text longer than
/// its limit is cut, and the cut says how much is missing and what the whole text hashes to.
package struct EvidenceEvent: Equatable, Sendable {
    /// What became of the action. Values that existing tools know come first.
    package enum Decision: String, CaseIterable, Sendable {
        case allow, deny, flagged, sanitized, success, failed, info
        case requiresApproval = "requires_approval"
        case rateLimited = "rate_limited"
    }

    package var surface: Action.Surface
    /// As policies match it (spec/router 14.4): `inference:chat_completions:gpt-4.1`, `shell:ls`, `egress:example.com:443`.
    package var action: String
    package var decision: Decision
    /// Who acted: the sandbox's own name, unless a surface knows better.
    package var agentID: String
    /// For people; no secret, no payload.
    package var reason: String
    /// The rule that decided, as its author named it.
    package var rule: String?
    /// Digest of the policy in force, `sha256:…`.
    package var policyDigest: String?
    /// Digest of the payload, `sha256:…`.
    package var detailDigest: String?

    package init(
        surface: Action.Surface, action: String, decision: Decision, agentID: String, reason: String = "", rule: String? = nil,
        policyDigest: String? = nil, detailDigest: String? = nil
    ) {
        self.surface = surface
        self.action = action
        self.decision = decision
        self.agentID = agentID
        self.reason = reason
        self.rule = rule
        self.policyDigest = policyDigest
        self.detailDigest = detailDigest
    }

    /// `sha256:…` of a payload, for `detailDigest`.
    package static func digest(_ payload: [UInt8]) -> String { "sha256:" + Hex.encode(SHA256.hash(payload)) }
}

/// One link of the chain, as read from the log.
package struct EvidenceRecord: Equatable, Sendable {
    /// How the hash is computed, and which fields a line has.
    package enum Version: Int, Sendable {
        /// Lines without `v`, as older tools write them: an ambiguous pre-image that covers six fields. Read, never written.
        case legacy = 1
        case current = 2
    }

    package var version: Version
    package var sandbox: String
    /// From 0, without gaps, over all files of the chain.
    package var seq: UInt64
    /// RFC 3339, UTC; milliseconds in the current version, whole seconds in the legacy one.
    package var timestamp: String
    package var agentID: String
    package var action: String
    package var decision: String
    /// Hash of the record before, 64 lower-case hexadecimal digits; empty in the first record.
    package var previousHash: String
    package var hash: String
    package var surface: String
    package var reason: String
    package var rule: String?
    package var policyDigest: String?
    package var detailDigest: String?
}

/// Limits of the text of one record, in bytes of UTF-8.
package enum EvidenceLimits {
    package static let agentID = 256
    package static let action = 2048
    package static let reason = 2048
    package static let rule = 256
    package static let digest = 128
    /// Longest line accepted when reading, newline excluded. Above what the limits give with every character escaped.
    package static let lineBytes = 65_536
}

extension String {
    /// The text itself when it fits `limit`; otherwise a prefix that says what was cut: `…[+1234 bytes, sha256:…]`.
    func boundedForEvidence(_ limit: Int) -> String {
        let count = utf8.count
        guard count > limit else { return self }
        let kept = scalars(upToBytes: limit - 112)
        return "\(kept)…[+\(count - kept.utf8.count) bytes, \(EvidenceEvent.digest(Array(utf8)))]"
    }
}
