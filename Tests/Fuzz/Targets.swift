extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        dnsTarget,
        gzipTarget,
        jsonTarget,
        sniTarget,
        sseTarget,
        yamlTarget,
    ]
}
