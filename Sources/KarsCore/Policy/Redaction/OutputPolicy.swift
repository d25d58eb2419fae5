/// What happens to an answer in which something is found (spec/router 12).
///
/// Credentials can be taken out, because their ends are known. A text that tries to steer the agent cannot be told from honest
/// prose with certainty: it is reported, or it ends the answer, but nothing is cut out of the middle of a sentence.
package struct OutputPolicy: Equatable, Sendable {
    package enum CredentialMode: String, CaseIterable, Sendable { case off, observe, redact, block }
    package enum ThreatMode: String, CaseIterable, Sendable { case off, observe, block }

    package var credentials = CredentialMode.redact
    /// Tags that pose as another speaker, and phrases that give orders.
    package var injection = ThreatMode.observe
    /// Addresses on a line that also says to send something.
    package var exfiltration = ThreatMode.observe

    package init(
        credentials: CredentialMode = .redact, injection: ThreatMode = .observe, exfiltration: ThreatMode = .observe
    ) {
        self.credentials = credentials
        self.injection = injection
        self.exfiltration = exfiltration
    }

    var looksForThreats: Bool { injection != .off || exfiltration != .off }
    var blocksThreats: Bool { injection == .block || exfiltration == .block }

    func mode(of threat: ThreatScanner.Threat) -> ThreatMode {
        switch threat {
        case .promptInjection, .imperativePhrasing: injection
        case .exfiltrationURL: exfiltration
        }
    }
}
