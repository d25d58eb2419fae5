extension Fuzz {
    /// Every target, one line each, alphabetical.
    static let targets: [Target] = [
        gzipTarget,
        jsonTarget,
        sseTarget,
        yamlTarget,
    ]
}
