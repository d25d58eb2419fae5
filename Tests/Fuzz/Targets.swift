extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        auditRecordTarget,
        dnsTarget,
        gzipTarget,
        jsonTarget,
        policyProfileTarget,
        sniTarget,
        sseTarget,
        yamlTarget,
    ]
}
