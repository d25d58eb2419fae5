extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        auditRecordTarget,
        chunkedTarget,
        dnsTarget,
        gzipTarget,
        httpRequestTarget,
        httpResponseTarget,
        jsonTarget,
        policyProfileTarget,
        sniTarget,
        sseTarget,
        tlsTarget,
        watchTarget,
        webSocketTarget,
        yamlTarget,
    ]
}
